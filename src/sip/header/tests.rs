//! One row for each name of the table: values that are read, and one that is not.

use super::*;
use crate::sip::Message;

/// Name, values that follow its grammar (each a field), a value that does not.
type Row = (Name, &'static [&'static str], &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (Name::Via, &["SIP/2.0/UDP a;branch=z9hG4bK1, SIP / 2.0 / TLS [::1]:5061"], "SIP/2.0 a"),
    (Name::From, &["\"A. G. Bell\" <sip:agb@bell-telephone.com> ;tag=a48s", "Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8"], "<sip:a@b"),
    (Name::To, &["The Operator <sip:operator@cs.columbia.edu>;tag=287447", "sip:+12125551212@server.phone2net.com"], "a <sip:a@b> c"),
    (Name::CallId, &["f81d4fae-7dec-11d0-a765-00a0c91e6bf6@biloxi.com"], "a b"),
    (Name::CSeq, &["4711 INVITE"], "INVITE"),
    (Name::MaxForwards, &["6", "0070"], "6.5"),
    (Name::Contact, &["*", "\"Mr. Watson\" <sip:watson@worcester.bell-telephone.com>;q=0.7; expires=3600, <mailto:w@b.com> ;q=0.1"], "<sip:a@b"),
    (Name::ContentLength, &["349"], "-1"),
    (Name::Expires, &["5"], "Thu, 01 Dec 1994 16:00:00 GMT"),
    (Name::Route, &["<sip:bigbox3.site3.atlanta.com;lr>, <sip:server10.biloxi.com;lr>"], "<sip:a;lr"),
    (Name::Authorization, &["Digest username=\"Alice\", realm=\"atlanta.com\", nonce=\"84a\", response=\"7587\"", "Basic YTpi"], "Digest username"),
    (Name::ProxyAuthorization, &["Digest username=\"Alice\", realm=\"atlanta.com\""], "Digest"),
    (Name::Require, &["100rel", "timer,path"], "a b"),
    (Name::UserAgent, &["Softphone Beta1.5", "", "a (b; c)"], ""),
    (Name::Accept, &["application/sdp;level=1, application/x-private, text/html", "", "*/*;q=0.1"], "text"),
    (Name::AcceptEncoding, &["gzip", "", "*;q=0"], "a b"),
    (Name::AcceptLanguage, &["da, en-gb;q=0.8, en;q=0.7"], "a/b"),
    (Name::AlertInfo, &["<http://www.example.com/sounds/moo.wav>;info=alert-internal"], "<>"),
    (Name::Allow, &["INVITE, ACK, OPTIONS, CANCEL, BYE", ""], "IN VITE"),
    (Name::AuthenticationInfo, &["nextnonce=\"47364c23432d2e131a5fb210812c\", qop=auth"], "nextnonce"),
    (Name::CallInfo, &["<http://wwww.example.com/alice/photo.jpg> ;purpose=icon, <http://www.example.com/alice/> ;purpose=info"], "<http://a> b"),
    (Name::ContentDisposition, &["session", "icon;handling=optional"], ";handling=optional"),
    (Name::ContentEncoding, &["gzip, tar"], "a b"),
    (Name::ContentLanguage, &["fr, en-GB"], "f r"),
    (Name::ContentType, &["application/sdp", "text/html; charset=ISO-8859-4"], "sdp"),
    (Name::Date, &["Sat, 13 Nov 2010 23:29:00 GMT"], "Sat, 13 Nov 2010 23:29:00 EST"),
    (Name::ErrorInfo, &["<sip:not-in-service-recording@atlanta.com>"], "<sip:a"),
    (Name::InReplyTo, &["70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com"], "a@b@c"),
    (Name::MimeVersion, &["1.0"], ""),
    (Name::MinExpires, &["60"], "a"),
    (Name::Organization, &["Boxes by Bob", "A, B & \u{e9}", ""], ""),
    (Name::Priority, &["emergency"], "very urgent"),
    (Name::ProxyAuthenticate, &["Digest realm=\"atlanta.com\", domain=\"sip:ss1.carrier.com\", qop=\"auth\", nonce=\"f84f\", opaque=\"\", stale=FALSE, algorithm=MD5"], "Digest"),
    (Name::ProxyRequire, &["foo"], "a b"),
    (Name::RecordRoute, &["<sip:server10.biloxi.com;lr>, <sip:bigbox3.site3.atlanta.com;lr>"], "<sip:a>b"),
    (Name::ReplyTo, &["Bob <sip:bob@biloxi.com>"], "Bob"),
    (Name::RetryAfter, &["18000;duration=3600", "120 (I'm in a meeting)"], "soon"),
    (Name::Server, &["HomeServer v2"], ""),
    (Name::Subject, &["Need more boxes", "a, b", ""], ""),
    (Name::Supported, &["100rel", ""], "100 rel"),
    (Name::Timestamp, &["54", "54.2 .1"], "now"),
    (Name::Unsupported, &["foo"], "a b"),
    (Name::Warning, &["307 isi.edu \"Session parameter 'foo', not understood\", 301 isi.edu \"x\""], "307 isi.edu"),
    (Name::WwwAuthenticate, &["Digest realm=\"atlanta.com\", nonce=\"f84\", stale=FALSE, algorithm=MD5"], "Digest realm=\""),
    (Name::Path, &["<sip:P3.EXAMPLEHOME.COM;lr>,<sip:P1.EXAMPLEVISITED.COM;lr>"], "<sip:a"),
    (Name::ServiceRoute, &["<sip:P2.HOME.EXAMPLE.COM;lr>, <sip:HSP.HOME.EXAMPLE.COM;lr>"], "<sip:a"),
    (Name::FlowTimer, &["126"], "x"),
    (Name::MinSe, &["90", "90;x=y"], "x"),
    (Name::SessionExpires, &["4000;refresher=uac"], "uac"),
    (Name::RAck, &["776656 1 INVITE"], "1 INVITE"),
    (Name::RSeq, &["988789"], "-"),
    (Name::ReferTo, &["<sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>"], "sip:a@b?x=y"),
    (Name::ReferredBy, &["sip:r@ref.example;cid=\"2UWQFN309shb3@ref.example\""], "<sip:a"),
    (Name::Replaces, &["12345@149.112.118.3;to-tag=12345;from-tag=54321"], "12345@149.112.118.3"),
    (Name::AllowEvents, &["presence, presence.winfo"], "a b"),
    (Name::Event, &["refer;id=93809824"], ";id=1"),
    (Name::SubscriptionState, &["terminated;reason=noresource"], "active;expires=never"),
    (Name::Identity, &["eyJhbGciOiJFUzI1NiJ9.e30.rq3pjT1akEfrOw;info=<https://biloxi.example.org/biloxi.cer>"], ""),
    (Name::PAssertedIdentity, &["\"Cullen Jennings\" <sip:fluffy@cisco.com>, tel:+14085264000"], "\"Cullen"),
    (Name::PPreferredIdentity, &["\"Cullen Jennings\" <sip:fluffy@cisco.com>"], "<>"),
    (Name::Privacy, &["header;user", "none"], ";"),
    (Name::Reason, &["SIP ;cause=200 ;text=\"Call completed elsewhere\", Q.850;cause=16"], "SIP;cause=a"),
    (Name::MaxBreadth, &["69"], "x"),
    (Name::Diversion, &["<tel:+17325551000>;reason=user-busy;counter=1"], "<"),
    (Name::HistoryInfo, &["<sip:bob@example.com>;index=1, <sip:bob@192.0.2.4?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1"], "<>;index=1"),
];

/// A message that has these fields alone, and so faults.
fn message(fields: &str) -> Message {
    Message::parse(format!("INVITE sip:a SIP/2.0\r\n{fields}\r\n").into()).unwrap()
}

#[test]
fn each_name_is_read_as_the_table_says() {
    assert_eq!(ROWS.iter().map(|row| row.0).collect::<Vec<_>>(), Name::all().collect::<Vec<_>>());
    for (name, good, bad) in ROWS {
        for token in std::iter::once(name.long().to_owned()).chain(name.compact().map(String::from)) {
            for value in *good {
                let message = message(&format!("{token}: {value}\r\n"));
                assert_eq!(message.malformed(), None, "{token}: {value}");
                assert_eq!(message.field(*name), Some(value.trim_ascii().as_bytes()), "{token}: {value}");
            }
            let malformed = message(&format!("Subject: x\r\n{token}: {bad}\r\n")).malformed();
            let expected = (name.view() != View::Text).then_some(Malformed(*name));
            assert_eq!(malformed, expected, "{token}: {bad}");
        }
    }
}

/// The same, where values stand in several fields, are folded, or are not UTF-8.
#[test]
fn how_often_each_name_may_stand() {
    for (name, good, _) in ROWS {
        let (token, value) = (name.long(), good[0]);
        let one = message(&format!("{token}: {value}\r\n"));
        let two = message(&format!("X-A: 1\r\n{token}: {value}\r\nX-A: 2\r\n{token}:\r\n {value}\r\n"));
        let count = one.values(*name).count();
        match name.stands() {
            Stands::Once => assert_eq!(two.fault(), Some(crate::sip::Fault::Duplicate), "{token}"),
            Stands::First | Stands::Lines => {
                assert_eq!((count, two.values(*name).count()), (1, 2), "{token}")
            }
            Stands::List => assert_eq!(two.values(*name).count(), count * 2, "{token}"),
        }
        assert_eq!(two.malformed(), None, "{token}");
    }
}

#[test]
fn one_value_and_all_values() {
    let text = "Session-Expires: x\r\nMin-SE: 90\r\nPath: <sip:a>, <sip:b\r\nRoute: <sip:c;lr>\r\nRoute: sip:d,<sip:e>\r\n\
                Supported: Path, outbound\r\nk: GRUU\r\nSubject: 1\r\nSubject: 2\r\n";
    let message = message(text);
    let bad = message.read::<Seconds<'_>>(Name::SessionExpires).unwrap_err();
    assert_eq!((bad, bad.to_string()), (Malformed(Name::SessionExpires), "Bad Session-Expires".to_owned()));
    assert_eq!(message.read::<Seconds<'_>>(Name::MinSe).unwrap().map(|min| min.seconds), Some(90));
    assert_eq!(message.read::<u32>(Name::MinExpires), Ok(None));
    let uris =
        |name| message.read_all::<NameAddr<'_>>(name).map(|one| one.map(|addr| addr.uri)).collect::<Vec<_>>();
    assert_eq!(uris(Name::Path), [Ok(&b"sip:a"[..]), Err(Malformed(Name::Path))]);
    assert_eq!(uris(Name::Route), [Ok(&b"sip:c;lr"[..]), Ok(b"sip:d"), Ok(b"sip:e")]);
    assert_eq!(message.malformed(), Some(Malformed(Name::SessionExpires)), "the first in the message");
    for (token, has) in [("path", true), ("Outbound", true), ("gruu", true), ("timer", false), ("", false)] {
        assert_eq!(message.has(Name::Supported, token), has, "{token}");
    }
    assert_eq!(message.field(Name::Subject), Some(&b"1"[..]));
}

/// Nothing that is read by its view panics, whatever its bytes are.
#[test]
fn every_view_takes_the_values_of_every_other() {
    for (name, ..) in ROWS {
        for value in ROWS.iter().flat_map(|(_, good, bad)| good.iter().chain(std::iter::once(bad))) {
            for end in 0..=value.len() {
                let _ = name.view().reads(&value.as_bytes()[..end]);
            }
            let _ = name.view().reads(&[value.as_bytes(), b"\xff\0"].concat());
        }
    }
}
