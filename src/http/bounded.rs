//! A listener whose connections are bounded in number, in all and by source, in age, and in the time that
//! the header of a request may take.
//!
//! | bound | past it |
//! |-------|---------|
//! | [`limit::HTTP_CONNECTIONS_MAX`] in all | the next one waits |
//! | [`limit::HTTP_CONNECTIONS_PER_SOURCE_MAX`] of one source, unless it is a proxy of ours | closed at once |
//! | [`limit::HTTP_HEADER_WAIT_MAX`] from the connection's begin, or the last answer, to the end of the next header | closed |
//! | [`limit::HTTP_CONNECTION_AGE_MAX`] | closed |

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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// How long the listener rests after it could not accept (no descriptor left, …).
const REST: Duration = Duration::from_millis(100);

/// What ends the header of a request (RFC 9112 §2.1).
const END: &[u8] = b"\r\n\r\n";

/// The listener.
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    sources: Sources,
    proxies: Arc<[Prefix]>,
    full: Counter,
    slow: Counter,
}

impl Bounded {
    /// `proxies` may have any number of connections.
    pub(super) fn new(listener: TcpListener, proxies: Arc<[Prefix]>) -> Self {
        let shed = |why: &'static str| metrics::counter!("stationmaster_shed_total", "why" => why);
        Self {
            listener,
            places: Arc::new(Semaphore::new(limit::HTTP_CONNECTIONS_MAX)),
            sources: Sources::default(),
            proxies,
            full: shed("http_connections_of_source_full"),
            slow: shed("http_header_slow"),
        }
    }

    fn is_proxy(&self, source: IpAddr) -> bool {
        self.proxies.iter().any(|prefix| prefix.contains(source))
    }
}

impl Listener for Bounded {
    type Io = Aging;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Aging, SocketAddr) {
        loop {
            // The semaphore is never closed, so there always comes a place.
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let most = match self.is_proxy(peer.ip()) {
                        true => usize::MAX,
                        false => limit::HTTP_CONNECTIONS_PER_SOURCE_MAX,
                    };
                    let Some(counted) = self.sources.count(peer.ip(), most) else {
                        self.full.increment(1);
                        continue;
                    };
                    let aging = Aging {
                        stream,
                        end: Box::pin(tokio::time::sleep(limit::HTTP_CONNECTION_AGE_MAX)),
                        header: Header::Awaited { seen: 0 },
                        header_end: Box::pin(tokio::time::sleep(limit::HTTP_HEADER_WAIT_MAX)),
                        slow: self.slow.clone(),
                        _place: place,
                        _counted: counted,
                    };
                    return (aging, peer);
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
    /// The end of a header has not come; so many bytes of that end have.
    Awaited { seen: usize },
    /// A header has come, and its request is being read and answered.
    Come,
}

impl Header {
    /// After these bytes from the client.
    fn after(self, bytes: &[u8]) -> Self {
        let Self::Awaited { mut seen } = self else { return self };
        for byte in bytes {
            seen = match END.get(seen) {
                Some(wanted) if wanted == byte => seen + 1,
                _ => usize::from(*byte == b'\r'),
            };
            if seen == END.len() {
                return Self::Come;
            }
        }
        Self::Awaited { seen }
    }
}

/// A connection that takes a place and ends when it, or the header of its next request, is too old.
pub(super) struct Aging {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    header: Header,
    header_end: Pin<Box<Sleep>>,
    slow: Counter,
    _place: Option<OwnedSemaphorePermit>,
    _counted: Counted,
}

impl Aging {
    fn too_old(&mut self, cx: &mut Context<'_>) -> bool {
        self.end.as_mut().poll(cx).is_ready()
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
        if self.too_old(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.too_slow(cx) {
            self.slow.increment(1);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let new = buf.filled().get(before..).unwrap_or_default();
        self.header = self.header.after(new);
        read
    }
}

impl AsyncWrite for Aging {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.too_old(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        // What is written is an answer, so what comes next is the next request.
        self.header = Header::Awaited { seen: 0 };
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
        let begin = Header::Awaited { seen: 0 };
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
}
