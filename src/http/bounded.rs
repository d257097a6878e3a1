//! A listener whose connections are bounded in number, in all and by source, in age, and in the time that
//! the header of a request may take.
//!
//! | bound | past it |
//! |-------|---------|
//! | [`limit::HTTP_CONNECTIONS_MAX`] in all | the one that has waited longest for its client is closed |
//! | the same, all being answered | the new one is closed, but for as many of this machine as one source may have |
//! | [`limit::HTTP_CONNECTIONS_PER_SOURCE_MAX`] of one source, unless it is a proxy of ours | closed at once |
//! | [`limit::HTTP_HEADER_WAIT_MAX`] from the connection's begin, or the last answer, to the end of the next header | closed |
//! | [`limit::HTTP_HEADER_BYTES_MAX`] until that end | closed |
//! | [`limit::HTTP_CONNECTION_AGE_MAX`] | closed |
//!
//! All but the last are counted in `stationmaster_shed_total{why}`: `http_connections_full` (one was closed for
//! another), `http_connections_busy` (the new one was), `http_connections_of_source_full`, `http_header_slow`
//! and `http_header_long`.

use super::places::{Place, Places};
use crate::base::flow::Flow;
use crate::base::limit;
use crate::base::prefix::Prefix;
use axum::serve::Listener;
use metrics::Counter;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

/// How long the listener rests after it could not accept (no descriptor left, …).
const REST: Duration = Duration::from_millis(100);

/// What ends the header of a request (RFC 9112 §2.1).
const END: &[u8] = b"\r\n\r\n";

/// The listener.
pub(super) struct Bounded {
    listener: TcpListener,
    places: Places,
    sources: Sources,
    proxies: Arc<[Prefix]>,
    meters: Meters,
}

/// Handles to `stationmaster_shed_total{why}`.
#[derive(Clone)]
struct Meters {
    full: Counter,
    busy: Counter,
    source_full: Counter,
    slow: Counter,
    long: Counter,
}

impl Meters {
    fn register() -> Self {
        let shed = |why: &'static str| metrics::counter!("stationmaster_shed_total", "why" => why);
        Self {
            full: shed("http_connections_full"),
            busy: shed("http_connections_busy"),
            source_full: shed("http_connections_of_source_full"),
            slow: shed("http_header_slow"),
            long: shed("http_header_long"),
        }
    }
}

impl Bounded {
    /// `proxies` may have any number of connections.
    pub(super) fn new(listener: TcpListener, proxies: Arc<[Prefix]>) -> Self {
        let (places, sources) = (Places::default(), Sources::default());
        Self { listener, places, sources, proxies, meters: Meters::register() }
    }

    fn is_proxy(&self, source: IpAddr) -> bool {
        self.proxies.iter().any(|prefix| prefix.contains(source))
    }

    /// A connection from this source, if there is a place for it; else it is closed.
    fn admit(&self, stream: TcpStream, source: IpAddr) -> Option<Aging> {
        let own = limit::HTTP_CONNECTIONS_PER_SOURCE_MAX;
        // What looks after this machine gets an answer however many ask; a proxy is no such.
        let (own, spare) = match (self.is_proxy(source), source.to_canonical().is_loopback()) {
            (true, _) => (usize::MAX, 0),
            (false, true) => (own, own),
            (false, false) => (own, 0),
        };
        let Some(counted) = self.sources.count(source, own) else {
            self.meters.source_full.increment(1);
            return None;
        };
        let Some(taken) = self.places.take(limit::HTTP_CONNECTIONS_MAX, spare) else {
            self.meters.busy.increment(1);
            return None;
        };
        if taken.from_another {
            self.meters.full.increment(1);
        }
        Some(Aging {
            stream,
            end: Box::pin(tokio::time::sleep(limit::HTTP_CONNECTION_AGE_MAX)),
            left: taken.left,
            has_left: false,
            header: Header::NEXT,
            header_end: Box::pin(tokio::time::sleep(limit::HTTP_HEADER_WAIT_MAX)),
            meters: self.meters.clone(),
            place: taken.place,
            _counted: counted,
        })
    }
}

impl Listener for Bounded {
    type Io = Aging;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Aging, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(aging) = self.admit(stream, peer.ip()) {
                        return (aging, peer);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the HTTP listener could not accept");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// How many connections each source has; an IPv6 address stands for its /64.
#[derive(Clone, Default)]
struct Sources(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One counted connection; the count goes down when it is dropped.
struct Counted {
    sources: Sources,
    source: IpAddr,
}

impl Sources {
    /// One more of this source; none if it has `most` already.
    fn count(&self, source: IpAddr, most: usize) -> Option<Counted> {
        let source = Flow::udp(0, (source, 0).into()).source();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Counted { sources: self.clone(), source })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

/// Where a connection is in its requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Header {
    /// The end of a header has not come; so many bytes of that end have, and so many in all.
    Awaited { seen: usize, bytes: usize },
    /// A header has come, and its request is being read and answered.
    Come,
}

impl Header {
    /// Nothing of it has come.
    const NEXT: Self = Self::Awaited { seen: 0, bytes: 0 };

    /// Whether it is longer than it may be.
    fn is_long(self) -> bool {
        matches!(self, Self::Awaited { bytes, .. } if bytes > limit::HTTP_HEADER_BYTES_MAX)
    }

    /// After these bytes from the client.
    fn after(self, bytes: &[u8]) -> Self {
        let Self::Awaited { mut seen, bytes: before } = self else { return self };
        for byte in bytes {
            seen = match END.get(seen) {
                Some(wanted) if wanted == byte => seen + 1,
                _ => usize::from(*byte == b'\r'),
            };
            if seen == END.len() {
                return Self::Come;
            }
        }
        Self::Awaited { seen, bytes: before.saturating_add(bytes.len()) }
    }
}

/// A connection that takes a place and ends when it, or the header of its next request, is too old.
pub(super) struct Aging {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    left: oneshot::Receiver<()>,
    has_left: bool,
    header: Header,
    header_end: Pin<Box<Sleep>>,
    meters: Meters,
    place: Place,
    _counted: Counted,
}

impl Aging {
    /// Whether it is too old, or had to leave its place to another.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.has_left = self.has_left || Pin::new(&mut self.left).poll(cx).is_ready();
        self.has_left || self.end.as_mut().poll(cx).is_ready()
    }

    fn too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        self.header != Header::Come && self.header_end.as_mut().poll(cx).is_ready()
    }
}

impl AsyncRead for Aging {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.too_slow(cx) {
            self.meters.slow.increment(1);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let new = buf.filled().get(before..).unwrap_or_default();
        self.header = self.header.after(new);
        if self.header.is_long() {
            self.meters.long.increment(1);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        if self.header == Header::Come {
            self.place.work();
        }
        read
    }
}

impl AsyncWrite for Aging {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        // What is written is an answer, so what comes next is the next request.
        self.header = Header::NEXT;
        self.place.wait();
        let until = Instant::now() + limit::HTTP_HEADER_WAIT_MAX;
        self.header_end.as_mut().reset(until);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn as_many_of_a_source_as_allowed_and_one_more() {
        let sources = Sources::default();
        let from = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let max = limit::HTTP_CONNECTIONS_PER_SOURCE_MAX;
        let mut held: Vec<_> = (0..max).map(|n| sources.count(from(n as u16), max).unwrap()).collect();
        assert!(sources.count(from(99), max).is_none(), "a /64 is one source");
        assert!(sources.count([192, 0, 2, 1].into(), max).is_some(), "others have their own");
        assert!(sources.count(from(99), usize::MAX).is_some(), "a proxy of ours has no bound");
        held.pop();
        held.push(sources.count(from(99), max).unwrap());
        drop(held);
        assert!(sources.0.lock().unwrap().is_empty());
    }

    #[test]
    fn the_end_of_a_header_is_found_however_it_comes() {
        let begin = Header::NEXT;
        for (pieces, come) in [
            (&["GET / HTTP/1.1\r\nA: b\r\n\r\n"][..], true),
            (&["GET / HTTP/1.1\r\n", "\r", "\n"], true),
            (&["a\r\n\r", "\r\n\r\n"], true),
            (&["\r\r\n\r\n"], true),
            (&["GET / HTTP/1.1\r\nA: b\r\n"], false),
            (&["a\n\nb\r\n \r\n"], false),
        ] {
            let header = pieces.iter().fold(begin, |header, piece| header.after(piece.as_bytes()));
            assert_eq!(header == Header::Come, come, "{pieces:?}");
        }
        assert_eq!(Header::Come.after(b"anything"), Header::Come);
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    async fn pair() -> (Aging, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut bounded = Bounded::new(listener, Arc::from([]));
        let client = TcpStream::connect(address).await.unwrap();
        (bounded.accept().await.0, client)
    }

    /// What is late at `when` is not a moment before; the wait itself is not waited for.
    async fn reads_nothing(aging: &mut Aging) -> bool {
        let mut buf = [0; 64];
        let mut buf = ReadBuf::new(&mut buf);
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *aging).poll_read(cx, &mut buf).is_pending()))
            .await
    }

    /// Its time is over.
    async fn elapse(time: &mut Pin<Box<Sleep>>) {
        time.as_mut().reset(Instant::now());
        time.as_mut().await;
    }

    #[test]
    fn a_header_has_its_time_and_no_more() {
        runtime().block_on(async {
            let (mut aging, mut client) = pair().await;
            assert!(reads_nothing(&mut aging).await, "within its time");
            client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            let mut buf = [0; 64];
            assert_eq!(aging.read(&mut buf).await.unwrap(), 16);
            elapse(&mut aging.header_end).await;
            assert_eq!(aging.read(&mut buf).await.unwrap_err().kind(), io::ErrorKind::TimedOut);

            let (mut aging, mut client) = pair().await;
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            assert_eq!(aging.read(&mut buf).await.unwrap(), 18);
            elapse(&mut aging.header_end).await;
            assert!(reads_nothing(&mut aging).await, "it is being answered, which may take longer");
            aging.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            assert!(reads_nothing(&mut aging).await, "the next one has its own time");
            elapse(&mut aging.header_end).await;
            assert!(aging.read(&mut buf).await.is_err(), "and no more");
        });
    }

    #[test]
    fn a_connection_has_its_age_whatever_it_does() {
        runtime().block_on(async {
            let (mut aging, mut client) = pair().await;
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            elapse(&mut aging.end).await;
            let mut buf = [0; 64];
            assert_eq!(aging.read(&mut buf).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(aging.write_all(b"x").await.is_err());
        });
    }

    #[test]
    fn who_has_to_leave_is_closed_and_whoever_holds_all_they_may_keep_nobody_out() {
        runtime().block_on(async {
            let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let mut bounded = Bounded::new(listener, Arc::from([]));
            let mut held = Vec::new();
            for source in 2..6 {
                for _ in 0..limit::HTTP_CONNECTIONS_PER_SOURCE_MAX {
                    let socket = tokio::net::TcpSocket::new_v4().unwrap();
                    socket.bind(([127, 0, 0, source], 0).into()).unwrap();
                    let client = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
                    held.push((bounded.accept().await.0, client));
                }
            }
            let (aging, _) = held.first_mut().unwrap();
            assert!(reads_nothing(aging).await);
            assert!(bounded.places.take(1, 0).unwrap().from_another);
            let mut buf = [0; 64];
            assert_eq!(aging.read(&mut buf).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(aging.read(&mut buf).await.is_err() && aging.write_all(b"x").await.is_err());
            assert!(reads_nothing(&mut held[1].0).await, "the others go on");
        });
    }

    #[test]
    fn a_header_has_its_length_and_no_more() {
        let most = Header::NEXT.after(&vec![b'x'; limit::HTTP_HEADER_BYTES_MAX]);
        assert!(!most.is_long() && most.after(b"x").is_long());
        assert_eq!(most.after(END), Header::Come);
        assert!(!Header::Come.after(&vec![b'x'; 2 * limit::HTTP_HEADER_BYTES_MAX]).is_long());
        runtime().block_on(async {
            let (mut aging, mut client) = pair().await;
            let sends = tokio::spawn(async move {
                let _ = client.write_all(&vec![b'x'; limit::HTTP_HEADER_BYTES_MAX + 1]).await;
                client
            });
            let mut buf = vec![0; limit::HTTP_HEADER_BYTES_MAX];
            let error = loop {
                if let Err(error) = aging.read(&mut buf).await {
                    break error;
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            drop(sends.await.unwrap());
        });
    }
}
