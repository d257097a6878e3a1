//! SIP over WebSocket (RFC 7118), plain and inside TLS: phones, keep-alives, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use support::phone::Phone;
use support::secure::{self, Authority, Channel};
use support::server::{DOMAIN, Server, Setup};
use support::sip::Peer;
use support::{free_port, until};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};
use tungstenite::{Message, WebSocket};

/// The origin that may come.
const PAGE: &str = "https://phone.example.test";

/// Longest SIP message.
const MESSAGE_BYTES_MAX: usize = 65_535;

struct World {
    server: Server,
    ws: SocketAddr,
    wss: SocketAddr,
    authority: Authority,
}

fn world() -> World {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.issue_to(folder.path(), "main", &[DOMAIN]);
    let sections = format!(
        "[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n[ws]\norigins = [\"https://a.test\", \"{PAGE}\"]\n"
    );
    let [ws, wss] = [(); 2].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
    let listens = [format!("ws:{ws}"), format!("wss:{wss}")];
    let server = Server::start_with(&Setup { listens: &listens, sections: &sections, ..Setup::default() });
    World { server, ws, wss, authority }
}

impl World {
    fn secure(&self) -> Channel {
        Channel::Secure(Box::new(secure::connect(self.wss, &self.authority.trust(), DOMAIN).unwrap()))
    }

    fn open(&self) -> WebSocket<Channel> {
        Channel::plain(self.ws).upgrade("sip", None).unwrap()
    }
}

fn options(body: usize) -> String {
    let head = |length: usize| {
        format!(
            "OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/WS a.invalid;rport;branch=z9hG4bKx{length}\r\n\
             From: <sip:a@{DOMAIN}>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: c{length}\r\nCSeq: 1 OPTIONS\r\n\
             Max-Forwards: 70\r\n\r\n"
        )
    };
    head(body) + &"x".repeat(body)
}

/// The code with which the server closes.
fn close_code(mut socket: WebSocket<Channel>) -> CloseCode {
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => return frame.unwrap().code,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_phone_registers_calls_and_is_called_over_both() {
    let world = world();
    let server = &world.server;
    server.populate("acme", &["201", "202", "203"]);
    let plain = Channel::plain(world.ws).upgrade("sip", Some(PAGE)).unwrap();
    let secure = world.secure().upgrade("other, sip", None).unwrap();
    for (number, socket, transport, addr) in
        [("201", plain, "ws", world.ws), ("202", secure, "wss", world.wss)]
    {
        let mut web = Phone::of(Peer::web(socket), server.sip(), number).registered();
        let flow = server.bindings("acme", number)[0]["flow"].to_string();
        assert!(flow.contains(&format!("{transport}:{}", web.peer.local())), "{flow}");
        let mut desk = Phone::new(server, "203").registered();
        let request = desk.invite_request(number);
        let challenge = desk.ask(&request);
        let invite = desk.signed(&request, &challenge);
        desk.send(&invite);
        let rung = web.awaits("INVITE");
        let via = format!("SIP/2.0/{} {addr};", transport.to_uppercase());
        assert!(rung.field("Via").starts_with(&via), "{rung}");
        assert!(rung.field("Contact").contains(&format!("@{addr};transport=ws>")), "{rung}");
        web.answers(&rung, 200, "OK");
        let answer = desk.answer_to(&invite);
        assert_eq!(answer.status(), 200, "{answer}");
        let ack = desk.in_dialog("ACK", &invite, &answer);
        desk.send(&ack);
        let bye = web.bye_to(&rung);
        web.send(&bye);
        let heard = desk.awaits("BYE");
        desk.answers(&heard, 200, "OK");
        assert_eq!(web.answer_to(&bye).status(), 200);
        let counted = format!("stationmaster_messages_total{{transport=\"{transport}\",direction=\"out\"}}");
        assert!(server.metric(&counted) >= 4);
    }
    let flow = || server.bindings("acme", "202")[0]["flow"].to_string();
    until("the binding ends with its connection", || flow().contains("(closed)").then_some(()));
    world.server.stop();
}

#[test]
fn text_binary_fragments_and_keep_alives() {
    let world = world();
    for channel in [Channel::plain(world.ws), world.secure()] {
        let mut socket = channel.upgrade("sip", None).unwrap();
        socket.send(Message::Ping("p".into())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Pong("p".into()));
        socket.send(Message::text("\r\n\r\n")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("\r\n"));
        let question = options(3);
        let (first, rest) = question.split_at(40);
        let fragment = |text: &str, code, last| Frame::message(text.to_owned(), OpCode::Data(code), last);
        for messages in [
            vec![Message::text(question.as_str())],
            vec![Message::binary(question.clone())],
            vec![
                Message::Frame(fragment(first, Data::Text, false)),
                Message::Frame(fragment(rest, Data::Continue, true)),
            ],
        ] {
            messages.into_iter().for_each(|message| socket.send(message).unwrap());
            let answer = socket.read().unwrap();
            assert!(
                answer.is_text() && answer.to_text().unwrap().starts_with("SIP/2.0 200 OK\r\n"),
                "{answer}"
            );
        }
        socket.close(None).unwrap();
        assert!(matches!(socket.read().unwrap(), Message::Close(_)));
    }
    world.server.stop();
}

#[test]
fn who_is_let_in() {
    let world = world();
    for (protocol, origin, refused) in [
        ("sip", None, None),
        ("sip", Some(PAGE), None),
        ("SIP", None, Some(400)),
        ("sip", Some("https://a.test"), None),
        ("msrp", None, Some(400)),
        ("sip", Some("https://evil.test"), Some(403)),
        ("sip", Some("https://a.test:8443"), Some(403)),
        ("sip", Some("null"), Some(403)),
    ] {
        let status = Channel::plain(world.ws).upgrade(protocol, origin).map(drop).err();
        assert_eq!(status, refused, "{protocol} {origin:?}");
    }
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9_000));
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "426 Upgrade Required"),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request"),
        ("\u{1}\u{2}\r\n\r\n", "400 Bad Request"),
        (&*long, "431 Request Header Fields Too Large"),
    ] {
        let mut channel = Channel::plain(world.ws);
        channel.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        channel.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
    }
    let refused = "stationmaster_shed_total{why=\"handshake_failed\"}";
    until("all are counted", || (world.server.metric(refused) == 9).then_some(()));
    world.server.stop();
}

#[test]
fn what_breaks_the_protocol_is_closed_with_its_code() {
    let world = world();
    // The longest message, and one byte more.
    let longest = MESSAGE_BYTES_MAX - options(60_000).len() + 60_000;
    for (body, good) in [(longest, true), (longest + 1, false)] {
        let mut socket = world.open();
        socket.send(Message::text(options(body))).unwrap();
        if good {
            assert!(socket.read().unwrap().to_text().unwrap().starts_with("SIP/2.0 200 "));
        } else {
            assert_eq!(close_code(socket), CloseCode::Size);
        }
    }
    // A frame without mask.
    let mut socket = world.open();
    let mut header = Vec::new();
    let text = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    text.format(3, &mut header).unwrap();
    socket.get_mut().write_all(&[&header[..], b"abc"].concat()).unwrap();
    assert_eq!(close_code(socket), CloseCode::Protocol);
    // Text that is none.
    let mut socket = world.open();
    socket.send(Message::Frame(Frame::message(&b"\xff\xfe"[..], OpCode::Data(Data::Text), true))).unwrap();
    assert_eq!(close_code(socket), CloseCode::Invalid);
    let metric = |name: &str| world.server.metric(name);
    until("all are counted", || {
        (metric("stationmaster_shed_total{why=\"stream_broken\"}") == 2
            && metric("stationmaster_parse_errors_total{kind=\"stream_message_too_long\"}") == 1)
            .then_some(())
    });
    world.server.stop();
}

#[test]
fn a_stop_says_goodbye() {
    let world = world();
    let (plain, secure) = (world.open(), world.secure().upgrade("sip", None).unwrap());
    world.server.stop();
    assert_eq!((close_code(plain), close_code(secure)), (CloseCode::Away, CloseCode::Away));
}
