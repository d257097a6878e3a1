//! Reading and writing messages.

use super::{Work, steps};
use bytes::{Bytes, BytesMut};
use stationmaster::base::flow::{Flow, ShardId};
use stationmaster::base::limit;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use stationmaster::digest::challenge::{self, Stale};
use stationmaster::digest::{Algorithm, Credentials, Nonces, Role};
use stationmaster::sip::frame::Framer;
use stationmaster::sip::reply::{self, ToTag};
use stationmaster::sip::{Contacts, Message, Name, Uri, Writer};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

const REGISTER: &str = concat!(
    "REGISTER sip:example.test SIP/2.0\r\n",
    "Via: SIP/2.0/UDP 192.0.2.10:5062;rport;branch=z9hG4bK1914059384\r\n",
    "From: \"Ann\" <sip:200-acme@example.test>;tag=3470563847\r\n",
    "To: \"Ann\" <sip:200-acme@example.test>\r\n",
    "Call-ID: 0_3087442318@192.0.2.10\r\n",
    "CSeq: 2 REGISTER\r\n",
    "Contact: <sip:200-acme@192.0.2.10:5062;line=8a7f>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-805ec0123456>\"\r\n",
    "Authorization: Digest username=\"200-acme\", realm=\"example.test\", nonce=\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\", ",
    "uri=\"sip:example.test\", response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5, cnonce=\"0a4f113b0a4f113b\", qop=auth, nc=00000001\r\n",
    "Allow: INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, SUBSCRIBE, REFER, UPDATE, MESSAGE\r\n",
    "Max-Forwards: 70\r\n",
    "User-Agent: Yealink SIP-T46S 66.86.0.15\r\n",
    "Expires: 3600\r\n",
    "Allow-Events: talk,hold,conference,refer,check-sync\r\n",
    "Content-Length: 0\r\n\r\n",
);

const INVITE_HEAD: &str = concat!(
    "INVITE sip:201@example.test SIP/2.0\r\n",
    "Via: SIP/2.0/UDP 192.0.2.10:5062;rport;branch=z9hG4bK77ef4c2312983.1\r\n",
    "Route: <sip:example.test;lr>\r\n",
    "From: \"Ann\" <sip:200-acme@example.test>;tag=3470563848\r\n",
    "To: <sip:201@example.test>\r\n",
    "Call-ID: 0_3087442319@192.0.2.10\r\n",
    "CSeq: 1 INVITE\r\n",
    "Contact: <sip:200-acme@192.0.2.10:5062;line=8a7f>\r\n",
    "Content-Type: application/sdp\r\n",
    "Allow: INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, SUBSCRIBE, REFER, UPDATE, MESSAGE\r\n",
    "Max-Forwards: 70\r\n",
    "User-Agent: Yealink SIP-T46S 66.86.0.15\r\n",
    "Supported: replaces, 100rel, timer, outbound\r\n",
    "Session-Expires: 1800;refresher=uac\r\n",
    "Min-SE: 90\r\n",
    "Allow-Events: talk,hold,conference,refer,check-sync\r\n",
    "P-Preferred-Identity: <sip:200-acme@example.test>\r\n",
    "Accept: application/sdp\r\n",
);

const SDP: &str = concat!(
    "v=0\r\no=- 20518 20518 IN IP4 192.0.2.10\r\ns=SDP data\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n",
    "m=audio 11796 RTP/AVP 9 0 8 18 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n",
    "a=rtpmap:8 PCMA/8000\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n",
    "a=fmtp:101 0-15\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n",
);

/// A message in a receive buffer that others hold too, as in a shard.
fn received(text: &str) -> Bytes {
    BytesMut::from(text).split().freeze()
}

fn invite() -> String {
    format!("{INVITE_HEAD}Content-Length: {}\r\n\r\n{SDP}", SDP.len())
}

fn whole(text: &str) -> Message {
    let message = Message::parse(received(text)).unwrap();
    assert!(message.fault().is_none(), "{text}");
    message
}

fn flow() -> Flow {
    Flow::udp(0, SocketAddr::from((Ipv4Addr::new(192, 0, 2, 10), 5062)))
}

fn parse(text: &str) -> Box<dyn Work> {
    whole(text);
    steps(received(text), |bytes| bytes.clone(), |_, bytes| drop(black_box(Message::parse(bytes))))
}

pub(crate) fn parse_register(_users: u32) -> Box<dyn Work> {
    parse(REGISTER)
}

pub(crate) fn parse_invite(_users: u32) -> Box<dyn Work> {
    parse(&invite())
}

/// The values that a REGISTER is decided by.
pub(crate) fn register_values(_users: u32) -> Box<dyn Work> {
    steps(
        whole(REGISTER),
        |_| (),
        |message, ()| {
            let to = Uri::parse(message.to().uri).map(|to| to.user.len());
            let contacts = Contacts::of(message);
            let instance = match &contacts {
                Some(Contacts::Some(all)) => all.first().and_then(|contact| contact.param("+sip.instance")),
                _ => None,
            };
            let found = (
                message.cseq().number,
                message.call_id().len(),
                message.field(Name::Expires).map(<[u8]>::len),
            );
            black_box((to, instance, found));
        },
    )
}

/// Authorization alone.
pub(crate) fn credentials(_users: u32) -> Box<dyn Work> {
    steps(
        whole(REGISTER),
        |_| (),
        |message, ()| {
            let found = Credentials::find(message, Role::Server, b"example.test");
            assert!(black_box(&found).is_ok());
        },
    )
}

/// Cutting one INVITE from a stream.
pub(crate) fn frame(_users: u32) -> Box<dyn Work> {
    steps(
        invite(),
        |text| BytesMut::from(text.as_str()),
        |_, mut buffer| {
            black_box(Framer::default().next(&mut buffer)).unwrap();
        },
    )
}

/// The head of an answer, in a buffer that is used again.
pub(crate) fn reply(_users: u32) -> Box<dyn Work> {
    steps(
        (whole(REGISTER), BytesMut::with_capacity(1 << 16)),
        |_| (),
        |(message, out), ()| {
            let tag = ToTag::Mint(b"0123456789abcdef");
            black_box(reply::begin(out, message, flow().remote, 200, None, tag).finish());
        },
    )
}

/// A challenge, in a buffer that is used again.
pub(crate) fn challenge(_users: u32) -> Box<dyn Work> {
    let nonces = Nonces::new(1, limit::NONCE_RING, "example.test", &mut Rng::from_number(1));
    let nonce = nonces.mint(ShardId(0), Mono::from_secs(100), &flow());
    steps(
        (nonce, BytesMut::with_capacity(1 << 16)),
        |_| (),
        |(nonce, out), ()| {
            let mut writer = Writer::response(out, 401, None);
            let offered = [Algorithm::Md5];
            challenge::write(&mut writer, Role::Server, "example.test", nonce, &offered, Stale::Yes);
            black_box(writer.finish());
        },
    )
}
