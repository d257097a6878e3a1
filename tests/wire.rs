//! The shell on the wire: sockets, framing, mailboxes, start and stop, around a core that echoes.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use bytes::Bytes;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use stationmaster::base::flow::{Flow, FlowId, ShardId, Transport};
use stationmaster::base::limit;
use stationmaster::base::time::{Mono, Now};
use stationmaster::core::boundary::{Inbound, Letter, Output};
use stationmaster::net::listen::Listen;
use stationmaster::net::meters::NetMeters;
use stationmaster::server::clock::Clock;
use stationmaster::server::driver::{Effect, ShardCore};
use stationmaster::server::{Running, Seat, Server, Shell, StartError};
use stationmaster::sip::Message;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Far longer than anything takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends everything back with its shard's number before it. What stands after `do:` is done first:
/// `letter N` has shard N answer instead, `after MS` answers three times, MS apart, `fill N` answers N
/// times.
struct Echo {
    shard: ShardId,
    outputs: VecDeque<Output>,
    later: Vec<(Mono, Flow, Bytes)>,
    closed: mpsc::Sender<(ShardId, FlowId)>,
    _alive: Arc<()>,
}

impl Echo {
    fn answer(&mut self, flow: Flow, bytes: &[u8]) {
        let bytes = [self.shard.0.to_string().as_bytes(), b" ", bytes].concat().into();
        self.outputs.push_back(Output::Send { flow, bytes });
    }

    fn message(&mut self, now: Now, flow: Flow, bytes: Bytes) {
        let text = String::from_utf8_lossy(&bytes);
        let mut words = text.split("do: ").nth(1).unwrap_or_default().split_whitespace();
        let (verb, number) = (words.next(), words.next().and_then(|word| word.parse::<u16>().ok()));
        match (verb, number) {
            (Some("letter"), Some(shard)) => {
                let letter = Letter::Message { flow, message: Box::new(Message::parse(bytes).unwrap()) };
                self.outputs.push_back(Output::Letter { to: ShardId(shard), letter });
            }
            (Some("after"), Some(ms)) => {
                for times in [3, 1, 2] {
                    let due = now.mono + Duration::from_millis(ms.into()) * times;
                    self.later.push((due, flow, times.to_string().into()));
                }
                self.later.sort_by_key(|(due, ..)| *due);
            }
            (Some("fill"), Some(times)) => (0..times).for_each(|_| self.answer(flow, &bytes)),
            _ => self.answer(flow, &bytes),
        }
    }
}

impl ShardCore for Echo {
    fn handle_inbound(&mut self, now: Now, inbound: Inbound) {
        match inbound {
            Inbound::Message { flow, bytes } => self.message(now, flow, bytes),
            Inbound::Letter(Letter::Message { flow, message }) => self.answer(flow, message.bytes()),
            Inbound::Settled(_) | Inbound::Unreached(_) | Inbound::Heard { .. } | Inbound::Replied(_) => {}
            Inbound::FlowClosed(flow) => self.closed.send((self.shard, flow)).unwrap(),
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        while self.later.first().is_some_and(|(due, ..)| *due <= now.mono) {
            let (_, flow, bytes) = self.later.remove(0);
            self.answer(flow, &bytes);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn next_deadline(&self) -> Option<Mono> {
        self.later.first().map(|(due, ..)| *due)
    }
}

/// A running server, and what its cores tell of closed connections.
struct World {
    running: Running<Echo>,
    closed: mpsc::Receiver<(ShardId, FlowId)>,
    alive: Arc<()>,
    metrics: PrometheusHandle,
}

/// The transports without handshakes.
const PLAIN: [Transport; 2] = [Transport::Udp, Transport::Tcp];

fn any(transport: Transport) -> Listen {
    Listen { transport, addr: "127.0.0.1:0".parse().unwrap() }
}

fn world(shards: u16) -> World {
    world_at(shards, &PLAIN.map(any), &[])
}

/// A world that listens elsewhere, on a machine with these addresses.
fn world_at(shards: u16, listens: &[Listen], addresses: &[IpAddr]) -> World {
    let recorder = PrometheusBuilder::new().build_recorder();
    let meters = metrics::with_local_recorder(&recorder, NetMeters::new);
    let shell = Shell::new(Clock::new(), meters, Arc::new(|_| false));
    let (tell, closed) = mpsc::channel();
    let alive = Arc::new(());
    let (witness, number) = (Arc::clone(&alive), listens.len());
    let make = move |seat: &Seat<Echo>| {
        assert_eq!((seat.listens.len(), seat.post.shards()), (number, usize::from(shards)));
        let echo = Echo {
            shard: seat.shard,
            outputs: VecDeque::new(),
            later: Vec::new(),
            closed: tell.clone(),
            _alive: Arc::clone(&witness),
        };
        (echo, Box::new(|_, _| {}) as Effect)
    };
    let server = Server::claim_at(listens, shards, addresses).unwrap();
    let running = server.start(shell, make).unwrap();
    World { running, closed, alive, metrics: recorder.handle() }
}

impl World {
    fn addr(&self, transport: Transport) -> SocketAddr {
        self.running.listens().iter().find(|listen| listen.transport == transport).unwrap().addr
    }

    fn udp(&self) -> Datagrams {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.addr(Transport::Udp)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Datagrams(socket)
    }

    fn tcp(&self) -> Stream {
        let stream = TcpStream::connect(self.addr(Transport::Tcp)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Stream(stream)
    }

    /// Stops the server; everything it counted.
    fn stop(self) -> String {
        self.running.stop().unwrap();
        assert_eq!(Arc::strong_count(&self.alive), 1, "a core outlived its shard");
        self.metrics.render()
    }
}

struct Datagrams(UdpSocket);

impl Datagrams {
    fn ask(&self, question: &str) -> String {
        self.0.send(question.as_bytes()).unwrap();
        self.hear()
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 2_000];
        let length = self.0.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }
}

struct Stream(TcpStream);

impl Stream {
    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Reads the echo of `message`; the number of the shard that echoed.
    fn hear(&mut self, message: &str) -> ShardId {
        let mut buffer = vec![0; message.len() + 2];
        self.0.read_exact(&mut buffer).unwrap();
        assert_eq!(String::from_utf8_lossy(&buffer[1..]), format!(" {message}"));
        ShardId(u16::from(buffer[0] - b'0'))
    }

    /// Everything until the server closes.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest); // a reset is an end too
        String::from_utf8(rest).unwrap()
    }
}

fn message(what: &str) -> String {
    format!("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\ndo: {what}\r\nl: 3\r\n\r\nabc")
}

#[test]
fn datagrams_come_back_from_every_shard() {
    let world = world(2);
    let mut seen = [false; 2];
    // The kernel spreads sources over the shards by a hash: 64 of them leave one out once in 2^63.
    for number in 0..64 {
        let question = format!("question {number}");
        let answer = world.udp().ask(&question);
        let (shard, echo) = answer.split_once(' ').unwrap();
        assert_eq!(echo, question);
        seen[shard.parse::<usize>().unwrap()] = true;
    }
    assert_eq!(seen, [true; 2]);
    let counted = world.stop();
    for direction in ["in", "out"] {
        let line = format!("messages_total{{transport=\"udp\",direction=\"{direction}\"}} 64\n");
        assert!(counted.contains(&line), "{counted}");
    }
}

#[test]
fn an_answer_goes_to_where_the_question_came_from() {
    let world = world(1);
    let sockets: Vec<_> = (0..20).map(|_| world.udp()).collect();
    for (number, socket) in sockets.iter().enumerate() {
        socket.0.send(format!("{number}").as_bytes()).unwrap();
    }
    for (number, socket) in sockets.iter().enumerate() {
        assert_eq!(socket.hear(), format!("0 {number}"));
    }
    world.stop();
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    for (wildcard, here, asked) in
        [("0.0.0.0:0", "127.0.0.1", ["127.0.0.2", "127.0.0.1"]), ("[::]:0", "::1", ["::1"; 2])]
    {
        let listen = Listen { transport: Transport::Udp, addr: wildcard.parse().unwrap() };
        let addresses = asked.map(|ip| ip.parse().unwrap());
        let world = world_at(1, &[listen], &addresses);
        let port = world.addr(Transport::Udp).port();
        for asked in addresses {
            let socket = UdpSocket::bind((here, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            // A connected socket hears nobody but whom it asked.
            socket.connect((asked, port)).unwrap();
            assert_eq!(Datagrams(socket).ask("whence"), "0 whence");
        }
        world.stop();
    }
}

#[test]
fn stun_is_answered_and_the_core_not_asked() {
    let world = world(1);
    let socket = world.udp();
    let id = *b"twelve bytes";
    let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &id].concat();
    socket.0.send(&request).unwrap();
    let mut answer = [0; 64];
    let length = socket.0.recv(&mut answer).unwrap();
    assert_eq!((length, &answer[..4], &answer[8..20]), (32, &[1, 1, 0, 12][..], &id[..]));
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!(port, socket.0.local_addr().unwrap().port());
    // What is STUN but no request for us is not answered, and does no harm.
    socket.0.send(&[&[0, 17], &request[2..]].concat()).unwrap();
    assert_eq!(socket.ask("still there"), "0 still there");
    let counted = world.stop();
    assert!(counted.contains("messages_total{transport=\"udp\",direction=\"in\"} 1\n"), "{counted}");
}

#[test]
fn a_stream_is_cut_into_messages_however_it_comes() {
    let world = world(2);
    let mut stream = world.tcp();
    for byte in message("nothing").chars() {
        stream.say(&byte.to_string());
    }
    let shard = stream.hear(&message("nothing"));
    stream.say(&(message("one") + "\r\n\r\n" + &message("two") + "\r\n" + &message("three")));
    let mut heard = vec![0; message("one").len() + message("two").len() + message("three").len() + 8];
    stream.0.read_exact(&mut heard).unwrap();
    let heard = String::from_utf8(heard).unwrap();
    let echo = |what: &str| format!("{} {}", shard.0, message(what));
    // The pong is written when the ping is read, before the messages around it are looked at.
    assert_eq!(heard, format!("\r\n{}{}{}", echo("one"), echo("two"), echo("three")));
    stream.say("\r\n\r\n");
    let mut pong = [0; 2];
    stream.0.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    let counted = world.stop();
    assert!(counted.contains("messages_total{transport=\"tcp\",direction=\"in\"} 4\n"), "{counted}");
    assert!(counted.contains("messages_total{transport=\"tcp\",direction=\"out\"} 4\n"), "{counted}");
}

#[test]
fn a_closed_connection_is_told_once_after_its_messages() {
    let world = world(1);
    let mut stream = world.tcp();
    stream.say(&message("last"));
    stream.0.shutdown(Shutdown::Write).unwrap();
    stream.hear(&message("last"));
    assert_eq!(stream.rest(), "");
    let (_, first) = world.closed.recv_timeout(PATIENCE).unwrap();
    let mut stream = world.tcp();
    stream.say(&message("first"));
    stream.hear(&message("first"));
    drop(stream);
    let (_, second) = world.closed.recv_timeout(PATIENCE).unwrap();
    assert_eq!((second.slot, second.generation), (first.slot, first.generation + 1));
    let World { running, closed, .. } = world;
    running.stop().unwrap();
    assert_eq!(closed.try_recv(), Err(mpsc::TryRecvError::Disconnected));
}

#[test]
fn what_cannot_be_read_is_answered_if_it_can_be_and_closed() {
    let world = world(1);
    let head = |rest: &str| {
        format!(
            "INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx;rport\r\nFrom: <sip:b>;tag=1\r\n\
             To: <sip:a>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n{rest}\r\n"
        )
    };
    for (bad, kind, answer) in [
        (head(""), "stream_content_length", "SIP/2.0 400 Bad Content-Length\r\n"),
        (head("l: 70000\r\n"), "stream_message_too_long", "SIP/2.0 413 Request Entity Too Large\r\n"),
        (
            head(&format!("X: {}", "x".repeat(20_000))),
            "stream_header_too_long",
            "SIP/2.0 400 Header Too Long\r\n",
        ),
        ("\u{1}\u{2}garbage\r\n\r\n".into(), "stream_content_length", ""),
        ("SIP/2.0 200 OK\r\n\r\n".into(), "stream_content_length", ""),
        ("x".repeat(100_000), "stream_header_too_long", ""),
    ] {
        let before = count(&world.metrics.render(), &format!("kind=\"{kind}\""));
        let mut stream = world.tcp();
        stream.say(&message("good"));
        stream.hear(&message("good"));
        let _ = stream.0.write_all(bad.as_bytes()); // it may be closed before all is written
        let _ = stream.0.shutdown(Shutdown::Write);
        let rest = stream.rest();
        assert!(rest.starts_with(answer) && answer.is_empty() == rest.is_empty(), "{kind}: {rest}");
        world.closed.recv_timeout(PATIENCE).unwrap();
        assert_eq!(count(&world.metrics.render(), &format!("kind=\"{kind}\"")), before + 1, "{kind}");
    }
    assert_eq!(world.udp().ask("still there"), "0 still there");
    world.stop();
}

/// The value of the first metric whose line has `label`.
fn count(rendered: &str, label: &str) -> u64 {
    let line = rendered.lines().find(|line| line.contains(label)).unwrap_or_default();
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_default()
}

#[test]
fn a_peer_that_does_not_read_is_closed() {
    let world = world(1);
    let mut stream = world.tcp();
    let mut closed = None;
    // The kernel takes some megabytes before anything waits.
    for _ in 0..10_000 {
        let question = message("fill 1000");
        if stream.0.write_all(question.as_bytes()).is_err() {
            break;
        }
        closed = world.closed.try_recv().ok();
        if closed.is_some() {
            break;
        }
    }
    closed.or_else(|| world.closed.recv_timeout(PATIENCE).ok()).unwrap();
    assert_eq!(world.udp().ask("still there"), "0 still there");
    assert_eq!(count(&world.stop(), "why=\"stream_queue_full\""), 1);
}

#[test]
fn one_connection_too_many_of_a_source_is_closed() {
    let world = world(2);
    let mut held = Vec::new();
    for _ in 0..limit::STREAMS_PER_SOURCE_MAX {
        let mut stream = world.tcp();
        stream.say(&message("in"));
        stream.hear(&message("in"));
        held.push(stream);
    }
    assert_eq!(world.tcp().rest(), "");
    held.pop();
    world.closed.recv_timeout(PATIENCE).unwrap();
    let mut stream = world.tcp();
    stream.say(&message("again"));
    stream.hear(&message("again"));
    assert_eq!(count(&world.stop(), "why=\"streams_of_source_full\""), 1);
}

#[test]
fn letters_are_answered_by_the_other_shard() {
    let world = world(2);
    for to in ["0", "1"] {
        let question = message(&format!("letter {to}"));
        for _ in 0..16 {
            assert_eq!(world.udp().ask(&question), format!("{to} {question}"));
            let mut stream = world.tcp();
            stream.say(&question.repeat(3));
            for _ in 0..3 {
                assert_eq!(stream.hear(&question).0.to_string(), to);
            }
        }
    }
    world.stop();
}

#[test]
fn a_write_to_a_dead_connection_is_told_to_its_writer() {
    let world = world(2);
    drop(world.tcp());
    let (owner, dead) = world.closed.recv_timeout(PATIENCE).unwrap();
    assert_eq!(owner, dead.shard);
    for writer in [ShardId(0), ShardId(1)] {
        let flow = Flow {
            transport: Transport::Tcp,
            listener: 1,
            remote: "127.0.0.1:9".parse().unwrap(),
            stream: Some(dead),
        };
        let post = world.running.post();
        post.call(writer, move |core, _| core.answer(flow, b"too late")).unwrap();
        assert_eq!(world.closed.recv_timeout(PATIENCE).unwrap(), (writer, dead));
    }
    assert_eq!(count(&world.stop(), "why=\"flow_dead\""), 2);
}

#[test]
fn posts_reach_the_core_of_their_shard() {
    let world = world(2);
    let flow = FlowId { shard: ShardId(1), slot: 7, generation: 7 };
    for shard in [ShardId(1), ShardId(0)] {
        world.running.post().send(shard, Inbound::FlowClosed(flow)).unwrap();
        assert_eq!(world.closed.recv_timeout(PATIENCE).unwrap(), (shard, flow));
    }
    assert!(world.running.post().send(ShardId(2), Inbound::FlowClosed(flow)).is_err());
    let post = world.running.post();
    world.stop();
    assert!(post.send(ShardId(0), Inbound::FlowClosed(flow)).is_err(), "it has stopped");
}

#[test]
fn timers_ring_in_their_order_and_not_early() {
    let world = world(1);
    let socket = world.udp();
    let begun = std::time::Instant::now();
    socket.0.send(b"do: after 20").unwrap();
    for times in 1..=3 {
        assert_eq!(socket.hear(), format!("0 {times}"));
        let passed = begun.elapsed();
        assert!(passed >= Duration::from_millis(20) * times, "{times} came after {passed:?}");
    }
    world.stop();
}

#[test]
fn a_busy_address_is_named_and_nothing_is_started() {
    let world = world(1);
    for transport in PLAIN {
        let busy = Listen { transport, addr: world.addr(transport) };
        let refused = Server::<Echo>::claim(&[any(Transport::Udp), busy], 2);
        let error = refused.map(drop).unwrap_err();
        assert!(matches!(error, StartError::Listen(_)));
        assert_eq!(error.to_string(), format!("{busy} is busy: another program listens there"));
    }
    let free = world.running.listens().to_vec();
    world.stop();
    Server::<Echo>::claim(&free, 1).unwrap();
}

#[test]
fn a_stop_delivers_what_was_written_and_closes() {
    let world = world(2);
    let mut streams: Vec<_> = (0..8).map(|_| world.tcp()).collect();
    for stream in &mut streams {
        stream.say(&message("fill 2000"));
        stream.hear(&message("fill 2000")); // it is being written
    }
    let readers = streams.into_iter().map(|mut stream| std::thread::spawn(move || stream.rest()));
    let readers: Vec<_> = readers.collect();
    let addr = world.addr(Transport::Tcp);
    world.stop();
    for reader in readers {
        let rest = reader.join().unwrap();
        assert_eq!(rest.len(), 1_999 * (message("fill 2000").len() + 2));
    }
    TcpStream::connect(addr).unwrap_err();
}
