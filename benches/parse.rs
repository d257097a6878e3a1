//! What reading a message costs: nanoseconds and allocations.
//!
//! `cargo bench --bench parse`. A message with at most 20 header fields must show no allocation.

use bytes::{Bytes, BytesMut};
use divan::{AllocProfiler, Bencher, black_box};
use stationmaster::base::flow::Flow;
use stationmaster::digest::{Credentials, Role};
use stationmaster::sip::frame::Framer;
use stationmaster::sip::reply::{self, ToTag};
use stationmaster::sip::{Contacts, Message, Name, NameAddr, Uri};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

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

#[divan::bench]
fn register(bencher: Bencher<'_, '_>) {
    let bytes = received(REGISTER);
    assert!(Message::parse(bytes.clone()).is_ok_and(|message| message.fault().is_none()));
    bencher.bench_local(|| Message::parse(black_box(&bytes).clone()));
}

#[divan::bench]
fn invite_with_sdp(bencher: Bencher<'_, '_>) {
    let bytes = received(&invite());
    assert!(Message::parse(bytes.clone()).is_ok_and(|message| message.fault().is_none()));
    bencher.bench_local(|| Message::parse(black_box(&bytes).clone()));
}

/// The values that a REGISTER is decided by.
#[divan::bench(sample_size = 100)]
fn register_values(bencher: Bencher<'_, '_>) {
    let message = Message::parse(received(REGISTER)).ok();
    bencher.bench_local(|| {
        let message = black_box(message.as_ref())?;
        let to = Uri::parse(message.to().uri)?;
        let contacts = Contacts::of(message)?;
        let instance = match &contacts {
            Contacts::Some(all) => all.first().and_then(|contact| contact.param("+sip.instance")),
            _ => None,
        };
        let found = (message.cseq().number, message.call_id().len(), message.field(Name::Expires)?.len());
        Some(black_box((to.user.len(), instance.is_some(), contacts, found)).3)
    });
}

/// Authorization alone.
#[divan::bench]
fn credentials(bencher: Bencher<'_, '_>) {
    let message = Message::parse(received(REGISTER)).ok();
    assert!(message.as_ref().is_some_and(|message| {
        Credentials::find(message, Role::Server, b"example.test").is_ok_and(|found| found.is_some())
    }));
    bencher.bench_local(|| {
        let message = black_box(message.as_ref())?;
        Credentials::find(message, Role::Server, b"example.test").ok()?.map(|found| found.nc())
    });
}

/// The head of the answer, written into a buffer that is used again.
#[divan::bench(sample_size = 100)]
fn reply_head(bencher: Bencher<'_, '_>) {
    let message = Message::parse(received(REGISTER)).ok();
    let flow = "192.0.2.10:5062".parse().ok().map(|remote| Flow::udp(0, remote));
    let mut out = BytesMut::with_capacity(1 << 16);
    bencher.bench_local(|| {
        let (message, flow) = (black_box(message.as_ref())?, flow?);
        let writer =
            reply::begin(&mut out, message, flow.remote, 200, None, ToTag::Mint(b"0123456789abcdef"));
        Some(writer.finish())
    });
}

/// Cutting one INVITE from a stream.
#[divan::bench(sample_size = 100)]
fn frame(bencher: Bencher<'_, '_>) {
    let text = invite();
    bencher
        .with_inputs(|| BytesMut::from(text.as_str()))
        .bench_local_values(|mut buffer| Framer::default().next(&mut buffer).map(|frame| (frame, buffer)));
}

/// One From value.
#[divan::bench]
fn name_addr(bencher: Bencher<'_, '_>) {
    let value = b"\"Ann\" <sip:200-acme@example.test>;tag=3470563847";
    bencher.bench_local(|| NameAddr::parse(black_box(value)).map(|from| from.tag().map(<[u8]>::len)));
}
