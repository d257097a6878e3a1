//! The bounds of connections, each at it and past it.

use super::*;
use crate::net::meters::NetMeters;
use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use tokio::task::LocalSet;

const MESSAGE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n";

/// Runs `test` with the connections of a shard and the address they come to.
fn with_streams<T: Future>(test: impl FnOnce(Streams, SocketAddr) -> T) -> T::Output {
    with(Transport::Tcp, false, test)
}

/// The same over a transport, from a source that is `exempt` from bounds or not.
fn with<T: Future>(
    transport: Transport,
    exempt: bool,
    test: impl FnOnce(Streams, SocketAddr) -> T,
) -> T::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let addr = socket.local_addr().unwrap();
        let tally = Rc::new(Tally::new(NetMeters::new()));
        let sources = Sources::new(Arc::new(move |_| exempt));
        let mut streams = Streams::new(ShardId(0), sources, Arc::default(), Rc::default(), tally);
        streams.listen(0, transport, socket).unwrap();
        test(streams, addr).await
    })
}

async fn next(streams: &mut Streams) -> Event {
    loop {
        if let Some(event) = streams.take(Mono::default()) {
            return event;
        }
        poll_fn(|cx| streams.poll_ready(cx)).await;
    }
}

fn connect(addr: SocketAddr, say: &[u8]) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.write_all(say).unwrap();
    stream
}

/// A connection that has said `say`, which begins with a message.
async fn heard(streams: &mut Streams, addr: SocketAddr, say: &[u8]) -> (FlowId, std::net::TcpStream) {
    let stream = connect(addr, say);
    let Event::Message { flow, .. } = next(streams).await else { panic!("no message") };
    (flow.stream.unwrap(), stream)
}

/// The connections that are closed, in their order; as many as must be.
async fn closed(streams: &mut Streams, number: usize) -> Vec<FlowId> {
    let mut closed = Vec::new();
    for _ in 0..number {
        let Event::Closed(flow) = next(streams).await else { panic!("a message") };
        closed.push(flow);
    }
    closed.sort();
    closed
}

#[test]
fn silence_ends_what_is_not_held() {
    with_streams(async |mut streams, addr| {
        let (held, _a) = heard(&mut streams, addr, MESSAGE).await;
        let (silent, mut b) = heard(&mut streams, addr, MESSAGE).await;
        streams.vouch(held);
        streams.vouch(silent);
        let now = Instant::now();
        streams.sweep(now + limit::STREAM_IDLE_MAX - SWEEP_EVERY, |_| false);
        streams.sweep(now + limit::STREAM_IDLE_MAX + SWEEP_EVERY, |flow| flow == held);
        assert_eq!(closed(&mut streams, 1).await, [silent]);
        assert_eq!(b.read(&mut [0]).unwrap(), 0);
        assert_eq!(streams.write(silent, Bytes::from_static(b"x")), Written::Dead);
        assert_eq!(streams.write(held, Bytes::from_static(b"x")), Written::Taken(Transport::Tcp));
    });
}

#[test]
fn a_message_that_dawdles_ends_its_connection_though_it_is_held() {
    with_streams(async |mut streams, addr| {
        let (whole, _a) = heard(&mut streams, addr, MESSAGE).await;
        let (dawdling, _b) = heard(&mut streams, addr, &[MESSAGE, b"OPT"].concat()).await;
        streams.vouch(whole);
        streams.vouch(dawdling);
        let now = Instant::now();
        streams.sweep(now + limit::STREAM_MESSAGE_MAX - SWEEP_EVERY, |_| true);
        assert!(!streams.flows.find(dawdling).unwrap().is_ended());
        streams.sweep(now + limit::STREAM_MESSAGE_MAX + SWEEP_EVERY, |_| true);
        assert_eq!(closed(&mut streams, 1).await, [dawdling]);
        assert!(streams.flows.find(whole).is_some());
    });
}

#[test]
fn who_stays_a_stranger_goes_however_much_it_says() {
    for exempt in [false, true] {
        with(Transport::Tcp, exempt, async |mut streams, addr| {
            let (stranger, _a) = heard(&mut streams, addr, MESSAGE).await;
            let (known, _b) = heard(&mut streams, addr, MESSAGE).await;
            streams.vouch(known);
            assert_eq!((streams.is_stranger(stranger), streams.is_stranger(known)), (!exempt, false));
            let now = Instant::now();
            streams.sweep(now + limit::STREAM_STRANGER_MAX - SWEEP_EVERY, |_| true);
            assert!(!streams.flows.find(stranger).unwrap().is_ended());
            streams.sweep(now + limit::STREAM_STRANGER_MAX + SWEEP_EVERY, |_| true);
            assert_eq!(streams.flows.find(stranger).unwrap().is_ended(), !exempt);
            assert!(!streams.flows.find(known).unwrap().is_ended());
        });
    }
}

#[test]
fn a_handshake_that_dawdles_ends() {
    with(Transport::Ws, false, async |mut streams, addr| {
        let mut stream = connect(addr, b"GET / HTTP/1.1\r\n");
        while streams.is_empty() {
            poll_fn(|cx| streams.poll_ready(cx)).await;
            assert!(streams.take(Mono::default()).is_none());
        }
        let now = Instant::now();
        streams.sweep(now + limit::HANDSHAKE_MAX - SWEEP_EVERY, |_| false);
        assert!(streams.flows.iter().all(|connection| !connection.is_ended()));
        streams.sweep(now + limit::HANDSHAKE_MAX + SWEEP_EVERY, |_| false);
        assert!(matches!(next(&mut streams).await, Event::Closed(_)));
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    });
}

/// The bytes of a masked WebSocket frame of text (RFC 6455 §5.2).
fn frame(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
    frame.extend([0; 4]); // a mask that changes nothing
    frame.extend(text);
    frame
}

/// A WebSocket that has said `say`, which begins with a message, once it was open.
async fn web(streams: &mut Streams, addr: SocketAddr, say: &[u8]) -> (FlowId, std::net::TcpStream) {
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Protocol: sip\r\n\r\n";
    let mut stream = connect(addr, ask);
    stream.set_nonblocking(true).unwrap();
    let mut answer = [0; 1024];
    while stream.read(&mut answer).is_err() {
        assert!(streams.take(Mono::default()).is_none());
        tokio::task::yield_now().await;
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    stream.set_nonblocking(false).unwrap();
    stream.write_all(say).unwrap();
    let Event::Message { flow, .. } = next(streams).await else { panic!("no message") };
    (flow.stream.unwrap(), stream)
}

/// Half a frame is half a message, and so is the first of several frames: each is waited for as long, and
/// no longer, whatever holds the connection, and although a whole message came with it.
#[test]
fn a_websocket_frame_that_dawdles_ends_its_connection() {
    with(Transport::Ws, false, async |mut streams, addr| {
        let whole = frame(MESSAGE);
        let (head, tail) = whole.split_at(whole.len() / 2);
        let mut first = whole.clone();
        first[0] = 0x01; // text, and more to come
        let (halved, _a) = web(&mut streams, addr, &[&whole, head].concat()).await;
        let (pieced, _b) = web(&mut streams, addr, &[&whole, &first[..]].concat()).await;
        let (slow, mut c) = web(&mut streams, addr, &[&whole, head].concat()).await;
        for known in [halved, pieced, slow] {
            streams.vouch(known);
        }
        let now = Instant::now();
        streams.sweep(now + limit::STREAM_MESSAGE_MAX - SWEEP_EVERY, |_| true);
        assert!(streams.flows.iter().all(|connection| !connection.is_ended()));
        // The rest of one comes in time, and is a message like any other.
        c.write_all(tail).unwrap();
        let Event::Message { flow, .. } = next(&mut streams).await else { panic!("no message") };
        assert_eq!(flow.stream, Some(slow));
        streams.sweep(now + limit::STREAM_MESSAGE_MAX + SWEEP_EVERY, |_| true);
        assert_eq!(closed(&mut streams, 2).await, [halved, pieced]);
        assert!(!streams.flows.find(slow).unwrap().is_ended());
    });
}

#[test]
fn without_a_certificate_nobody_is_let_in() {
    with(Transport::Tls, false, async |mut streams, addr| {
        let mut stream = connect(addr, b"");
        poll_fn(|cx| streams.poll_ready(cx)).await;
        assert!(streams.take(Mono::default()).is_none() && streams.is_empty());
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    });
}

#[test]
fn nothing_is_read_while_paused_or_full() {
    with_streams(async |mut streams, addr| {
        let (flow, mut stream) = heard(&mut streams, addr, MESSAGE).await;
        streams.pause(true);
        stream.write_all(&MESSAGE.repeat(10_000)).unwrap();
        tokio::task::yield_now().await;
        // Writing goes on, and gives the connection's task its turn.
        assert_eq!(streams.write(flow, Bytes::from_static(b"x")), Written::Taken(Transport::Tcp));
        tokio::task::yield_now().await;
        let in_flight = limit::STREAM_READ_BYTES_MAX / MESSAGE.len() + 1;
        let taken = std::iter::from_fn(|| streams.take(Mono::default())).count();
        assert!(taken <= in_flight, "{taken} were read while paused");
        streams.pause(false);
        let (mut most, mut all) = (0, taken);
        while all < 10_000 {
            let Event::Message { .. } = next(&mut streams).await else { panic!("closed") };
            let waiting = 1 + std::iter::from_fn(|| streams.take(Mono::default())).count();
            most = most.max(waiting);
            all += waiting;
        }
        assert!(most <= limit::STREAM_MESSAGES_WAITING_MAX + in_flight, "{most} waited at a time");
    });
}

#[test]
fn an_accepted_connection_without_a_word_is_silent_too() {
    with_streams(async |mut streams, addr| {
        let mut stream = connect(addr, b"");
        while streams.is_empty() {
            poll_fn(|cx| streams.poll_ready(cx)).await;
            assert!(streams.take(Mono::default()).is_none());
        }
        streams.sweep(Instant::now() + limit::STREAM_IDLE_MAX * 2, |_| false);
        assert!(matches!(next(&mut streams).await, Event::Closed(_)));
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert!(streams.is_empty());
    });
}

/// A socket that takes connections, and the way to it.
fn door() -> (std::net::TcpListener, Flow) {
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = Flow::to_open(Transport::Tcp, 0, door.local_addr().unwrap());
    (door, to)
}

const HERE: ShardId = ShardId(0);

fn reach(streams: &mut Streams, to: Flow) -> Result<Option<Transport>, Unreached> {
    streams.reach(Mono::default(), to, Bytes::from_static(MESSAGE), HERE)
}

#[test]
fn a_connection_is_opened_once_and_is_then_like_any_other() {
    with_streams(async |mut streams, addr| {
        let (door, to) = door();
        assert_eq!([reach(&mut streams, to), reach(&mut streams, to)], [Ok(None), Ok(None)]);
        while streams.is_empty() {
            poll_fn(|cx| streams.poll_ready(cx)).await;
            assert!(streams.take(Mono::default()).is_none());
        }
        let (mut phone, from) = door.accept().unwrap();
        assert_eq!(from.ip(), addr.ip(), "from the listener's address");
        assert_eq!(reach(&mut streams, to), Ok(Some(Transport::Tcp)));
        let mut heard = MESSAGE.repeat(3);
        phone.read_exact(&mut heard).unwrap();
        assert_eq!(heard, MESSAGE.repeat(3));
        phone.write_all(MESSAGE).unwrap();
        let Event::Message { flow, bytes } = next(&mut streams).await else { panic!("no message") };
        assert_eq!((flow.remote, &bytes[..]), (to.remote, MESSAGE));
        let id = flow.stream.unwrap();
        assert!(!streams.is_stranger(id), "it is called");
        let socket = streams.flows.find(id).unwrap().tcp_user_timeout();
        assert_eq!(socket, Some(limit::OUTGOING_UNACKNOWLEDGED_MAX));
        assert_eq!(streams.write(id, Bytes::from_static(MESSAGE)), Written::Taken(Transport::Tcp));
        streams.sweep(Instant::now() + limit::STREAM_IDLE_MAX + SWEEP_EVERY, |_| false);
        let ended = [next(&mut streams).await, next(&mut streams).await];
        assert!(
            matches!(&ended, [Event::Closed(ended), Event::Unreached { to: of, askers }]
            if *ended == id && *of == to && askers[..] == [HERE]),
            "{ended:?}"
        );
        assert!(streams.is_empty() && streams.outgoing.is_empty());
        assert_eq!(reach(&mut streams, to), Ok(None), "it spoke, so that it is opened again");
    });
}

#[test]
fn what_cannot_be_opened_is_told_and_left_alone() {
    with_streams(async |mut streams, _| {
        let (door, to) = door();
        drop(door);
        assert_eq!(reach(&mut streams, to), Ok(None));
        let told = next(&mut streams).await;
        assert!(matches!(&told, Event::Unreached { to: of, askers } if *of == to && askers[..] == [HERE]));
        assert_eq!(reach(&mut streams, to), Err(Unreached));
        assert!(streams.is_empty());
    });
}

#[test]
fn connections_that_are_opened_count_for_their_source() {
    for exempt in [false, true] {
        with(Transport::Tcp, exempt, async |mut streams, _| {
            let (_door, to) = door();
            let count = |streams: &Streams| streams.sources.count(to.source(), Begins::Open).unwrap();
            let mut held: Vec<_> = (0..limit::STREAMS_PER_SOURCE_MAX).map(|_| count(&streams)).collect();
            let opened = reach(&mut streams, to);
            assert_eq!(opened, if exempt { Ok(None) } else { Err(Unreached) });
            held.pop();
            assert_eq!(reach(&mut streams, to), Ok(None));
        });
    }
}

#[test]
fn an_attempt_has_its_time_and_no_more() {
    with_streams(async |_, _| {
        let late = within(Duration::ZERO, std::future::pending::<io::Result<()>>()).await;
        let refused =
            within(Duration::ZERO, async { io::Result::<()>::Err(ErrorKind::HostUnreachable.into()) });
        let found = (late, refused.await, within(Duration::ZERO, async { Ok(7) }).await);
        assert_eq!(found, (Err(Opening::Late), Err(Opening::Refused), Ok(7)));
    });
}
