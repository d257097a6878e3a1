//! Any bytes as a message: nothing panics, what is read lies within the bytes, and the answer to
//! whatever was read is itself a good message with nothing slipped in.

#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use stationmaster::base::flow::{Flow, Transport};
use stationmaster::base::limit;
use stationmaster::digest::{Credentials, Role};
use stationmaster::sip::reply::{self, ToTag};
use stationmaster::sip::text::{self, List, Params};
use stationmaster::sip::{Contacts, Message, Method, Name, NameAddr, Uri, Via};
use std::net::SocketAddr;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Message::parse(Bytes::copy_from_slice(data)) {
        walk(&message);
        if message.is_request() {
            answer(&message);
        }
    }
});

/// Reads everything that can be read.
fn walk(message: &Message) {
    let _ = (message.method(), message.status(), message.reason().len(), message.max_forwards());
    let _ = (message.via().map(|via| (via.branch(), via.wants_rport())), message.cseq().method());
    let _ = (message.from().tag(), message.to().tag(), message.other("x-other"));
    let _ = message.malformed();
    if message.fault().is_none() {
        assert!(message.via().is_some() && !message.call_id().is_empty());
        assert!(!message.from().uri.is_empty() && !message.to().uri.is_empty());
        if message.is_request() {
            assert_eq!(message.cseq().method, message.method_token());
            assert_eq!(message.method(), Method::of(message.method_token()));
        }
    }
    if let Some(Contacts::Some(all)) = Contacts::of(message) {
        for contact in all {
            let _ = (contact.expires_s(), contact.q(), contact.reg_id(), contact.instance(), contact.pub_gruu());
        }
    }
    if let Some(uri) = Uri::parse(message.request_uri()) {
        assert!(uri.same(&uri), "a URI equals itself");
        let _ = (uri.tel().map(|tel| tel.digits().count()), uri.push(), uri.header("replaces"));
    }
    let flow = Flow::udp(0, ([192, 0, 2, 1], 5060).into());
    assert_eq!(reply::destination(message, flow).remote.ip(), flow.remote.ip());
    let tcp = Flow { transport: Transport::Tcp, ..flow };
    assert_eq!(reply::destination(message, tcp), tcp);
    for role in [Role::Server, Role::Proxy] {
        let _ = Credentials::find(message, role, b"example.test");
    }
    for (name, token, value) in message.all_fields() {
        assert_eq!(name, Name::of(token));
        assert!(!value.contains(&b'\n') && !value.contains(&b'\r'));
        assert_eq!(text::trim_end(text::trim_start(value)), value);
        let _ = (text::display(value), text::unquote(value), Params::new(value).count());
        for value in List::new(value) {
            assert!(!value.is_empty());
            let _ = Via::parse(value).map(|via| Params::new(via.params).count());
            if let Some(addr) = NameAddr::parse(value) {
                let _ = (addr.tag(), text::display(addr.display));
                let _ = Uri::parse(addr.uri).map(|uri| (uri.user_decoded().len(), uri.param("lr")));
            }
        }
    }
    assert!(message.body().len() <= message.bytes().len());
}

/// Answers a request as a server would and reads the answer.
fn answer(request: &Message) {
    let mut out = BytesMut::new();
    let sources: [SocketAddr; 2] =
        [([192, 0, 2, 1], 5060).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 1024).into()];
    for source in sources {
        let writer = reply::begin(&mut out, request, source, 404, None, ToTag::Mint(b"ours"));
        let Ok(reply) = Message::parse(writer.finish()) else {
            // The request's own head fills all that a message may have.
            assert!(request.bytes().len() > 60_000, "the answer is no message");
            continue;
        };
        assert_eq!((reply.is_request(), reply.status()), (false, 404));
        let copied = [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];
        if request.all_fields().filter(|(name, ..)| copied.contains(name)).count() == limit::HEADERS_MAX {
            continue; // with ours there is one more than is read
        }
        for name in [Name::From, Name::CallId, Name::CSeq] {
            assert_eq!(reply.field(name), request.field(name));
        }
        assert_eq!(reply.fields(Name::Via).count(), request.fields(Name::Via).count());
        let own = reply.all_fields().filter(|(name, ..)| !copied.contains(name)).count();
        assert_eq!(own, 1, "nothing but Content-Length is ours");
        if request.fault().is_none() {
            assert_eq!(reply.fault(), None);
            // A quote that is never closed swallows what is added after it.
            let quoted = |name| request.field(name).is_some_and(|value| value.contains(&b'"'));
            assert!(quoted(Name::To) || reply.to().tag() == request.to().tag().or(Some(b"ours")));
            if !quoted(Name::Via) {
                let (asked, told) = (request.via(), reply.via());
                assert_eq!(asked.and_then(|via| via.branch()), told.and_then(|via| via.branch()));
                let received = told.and_then(|via| via.param("received")).flatten();
                assert_eq!(received, Some(source.ip().to_string().as_bytes()));
            }
        }
    }
}
