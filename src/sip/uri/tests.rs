//! What is read of a URI, part by part.

use super::*;
use proptest::prelude::*;

/// Text, scheme, user decoded, password, host, port, parameters, headers.
type Row = (
    &'static str,
    Scheme,
    &'static str,
    Option<&'static str>,
    &'static str,
    Option<u16>,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const GOOD: &[Row] = &[
    // RFC 3261 §19.1.3
    ("sip:alice@atlanta.com", Scheme::Sip, "alice", None, "atlanta.com", None, "", ""),
    ("sip:alice:secretword@atlanta.com;transport=tcp", Scheme::Sip, "alice", Some("secretword"), "atlanta.com", None, ";transport=tcp", ""),
    ("sips:alice@atlanta.com?subject=project%20x&priority=urgent", Scheme::Sips, "alice", None, "atlanta.com", None, "", "subject=project%20x&priority=urgent"),
    ("sip:+1-212-555-1212:1234@gateway.com;user=phone", Scheme::Sip, "+1-212-555-1212", Some("1234"), "gateway.com", None, ";user=phone", ""),
    ("sips:1212@gateway.com", Scheme::Sips, "1212", None, "gateway.com", None, "", ""),
    ("sip:alice@192.0.2.4", Scheme::Sip, "alice", None, "192.0.2.4", None, "", ""),
    ("sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com", Scheme::Sip, "", None, "atlanta.com", None, ";method=REGISTER", "to=alice%40atlanta.com"),
    ("sip:alice;day=tuesday@atlanta.com", Scheme::Sip, "alice;day=tuesday", None, "atlanta.com", None, "", ""),
    // RFC 4475 §3.1.1.3, §3.1.1.13; RFC 5118 §4.1
    ("sip:sips%3Auser%40example.com@example.net", Scheme::Sip, "sips:user@example.com", None, "example.net", None, "", ""),
    ("sip:user;par=u%40example.net@example.com", Scheme::Sip, "user;par=u@example.net", None, "example.com", None, "", ""),
    ("sip:null-%00-null@example.com", Scheme::Sip, "null-\0-null", None, "example.com", None, "", ""),
    ("sip:[2001:db8::10]", Scheme::Sip, "", None, "[2001:db8::10]", None, "", ""),
    ("sip:user@[2001:db8::10:5070]", Scheme::Sip, "user", None, "[2001:db8::10:5070]", None, "", ""),
    ("sip:user@[2001:db8::10]:5070", Scheme::Sip, "user", None, "[2001:db8::10]", Some(5070), "", ""),
    ("sip:user@[::ffff:192.0.2.10]:19823;lr", Scheme::Sip, "user", None, "[::ffff:192.0.2.10]", Some(19_823), ";lr", ""),
    // ours
    ("SIP:Alice@AtLanTa.CoM:0", Scheme::Sip, "Alice", None, "AtLanTa.CoM", Some(0), "", ""),
    ("sip:a?b/c&d=e+f$g,h@i", Scheme::Sip, "a?b/c&d=e+f$g,h", None, "i", None, "", ""),
    ("sip:a:@b", Scheme::Sip, "a", Some(""), "b", None, "", ""),
    ("sip:@b", Scheme::Sip, "", None, "b", None, "", ""),
    ("sip:a%zz@b_c.d.", Scheme::Sip, "a%zz", None, "b_c.d.", None, "", ""),
    ("sip:J\u{f6}rg@b:65535", Scheme::Sip, "J\u{f6}rg", None, "b", Some(65_535), "", ""),
    ("tel:+1-604-555-0199;ext=7", Scheme::Tel, "+1-604-555-0199", None, "", None, ";ext=7", ""),
];

#[test]
fn the_parts() {
    for (text, scheme, user, password, host, port, params, headers) in GOOD {
        let uri = Uri::parse(text.as_bytes()).expect(text);
        assert_eq!((uri.scheme, &*uri.user_decoded()), (*scheme, user.as_bytes()), "{text}");
        assert_eq!(uri.password, password.map(str::as_bytes), "{text}");
        assert_eq!((uri.host, uri.port), (host.as_bytes(), *port), "{text}");
        assert_eq!((uri.params, uri.headers), (params.as_bytes(), headers.as_bytes()), "{text}");
        assert!(uri.same(&uri), "{text}");
    }
}

#[test]
fn these_are_none() {
    for bad in [
        "",
        ":",
        "sip",
        "sip:",
        "sip:@",
        "sipp:a@b",
        "http://a",
        "mailto:a@b",
        "urn:service:sos",
        "<sip:a@b>",
        "sip:a@b:",
        "sip:a@b:x",
        "sip:a@b:-1",
        "sip:a@b:65536",
        "sip:a@b:1:2",
        "sip:a@b@c",
        "sip:a@b,c",
        "sip:a@[::1",
        "sip:a@::1",
        "sip:a@[::1]x",
        "sip:a@[fe80::1%eth0]",
        "sip:a@[fe80::1%25eth0]",
        "sip:a@[1.2.3.4]",
        "sip:a@[]",
        "sip:a@b c",
        "sip:a b@c",
        "sip:a@b;x=\"y\"",
        "sip:a@b\r\nc",
        "sip:a\0b@c",
        "sip:a<b@c",
        "sip:a@b;<",
        "sip:a@b?x=y z",
        "sip:a@%62",
        "sip:a@J\u{f6}rg",
        "sip:a@b\u{7f}",
        "sip: a@b",
    ] {
        assert!(Uri::parse(bad.as_bytes()).is_none(), "{bad}");
    }
}

#[test]
fn other_schemes_are_named() {
    for (uri, name) in [
        ("http://www.example.com/", Some("http")),
        ("soap.beep://192.0.2.103:3002", Some("soap.beep")),
        ("nobodyKnowsThisScheme:totallyopaquecontent", Some("nobodyKnowsThisScheme")),
        ("SIP:a", Some("SIP")),
        ("1a:b", None),
        ("a_b:c", None),
        (":a", None),
        ("name", None),
        ("urn:", None),
        ("", None),
    ] {
        assert_eq!(scheme(uri.as_bytes()), name.map(str::as_bytes), "{uri}");
    }
}

#[test]
fn parameters_with_a_meaning() {
    let text = "sip:a@b;lr;OB;gr=urn:uuid:f81d4fae;pn-provider=fcm;pn-param=my%2Dproject;pn-prid=00fc13adff78512;pn-purr=w%3Dq;x=";
    let uri = Uri::parse(text.as_bytes()).unwrap();
    assert!(uri.is_loose() && uri.is_outbound() && !uri.is_phone());
    assert_eq!(uri.gruu(), Some(Some(&b"urn:uuid:f81d4fae"[..])));
    let push = Push { provider: b"fcm", param: Some(b"my%2Dproject"), prid: Some(b"00fc13adff78512") };
    assert_eq!((uri.push(), uri.purr()), (Some(push), Some(&b"w%3Dq"[..])));
    assert_eq!((uri.param("X"), uri.param("y")), (Some(Some(&b""[..])), None));
    let asks = Uri::parse(b"sip:a@b;pn-provider;gr;user=phone").unwrap();
    assert_eq!(asks.push(), Some(Push { provider: b"", param: None, prid: None }));
    assert_eq!((asks.gruu(), asks.is_phone()), (Some(None), true));
    let plain = Uri::parse(b"sip:lr@ob").unwrap();
    assert!(!plain.is_loose() && !plain.is_outbound());
    assert_eq!((plain.gruu(), plain.push(), plain.purr()), (None, None, None));
}

#[test]
fn headers_are_decoded() {
    let text = "sip:dave@example.org;method=INVITE?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&&%53ubject=x&empty=&bare";
    let uri = Uri::parse(text.as_bytes()).unwrap();
    assert_eq!(uri.header("replaces").as_deref(), Some(&b"a@b;to-tag=1;from-tag=2"[..]));
    assert_eq!(uri.header("Subject").as_deref(), Some(&b"x"[..]));
    assert_eq!(
        (uri.header("empty").as_deref(), uri.header("bare").as_deref()),
        (Some(&b""[..]), Some(&b""[..]))
    );
    assert_eq!((uri.header("x"), uri.headers().count()), (None, 4));
    let replaces = uri.header("Replaces").unwrap();
    assert!(crate::sip::header::Replaces::parse(&replaces).is_some());
}

proptest! {
    /// Parts → text → parts.
    #[test]
    fn round_trip(scheme in "[sS][iI][pP][sS]?", user in prop::option::of("[a-zA-Z0-9;/?&=+$,%.!~*'()_-]{1,20}"),
                  password in prop::option::of("[a-z0-9&=+$,]{0,6}"),
                  host in "[a-zA-Z0-9._-]{1,20}|\\[2001:db8::[0-9a-f]{1,4}\\]", port: Option<u16>,
                  params in "(;[a-z-]{1,5}(=[a-z0-9/:&+$%]{0,5})?){0,4}", headers in "([a-zA-Z]{1,5}=[a-z0-9%/?:+$]{0,5}&?){0,3}") {
        let password = password.filter(|_| user.is_some());
        let mut text = format!("{scheme}:{}", user.as_deref().unwrap_or_default());
        if let Some(password) = &password {
            text += &format!(":{password}");
        }
        text += if user.is_some() { "@" } else { "" };
        text += &host;
        if let Some(port) = port {
            text += &format!(":{port}");
        }
        text += &params;
        if !headers.is_empty() {
            text += &format!("?{headers}");
        }
        let uri = Uri::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(uri.scheme, if scheme.len() == 4 { Scheme::Sips } else { Scheme::Sip });
        prop_assert_eq!(uri.user, user.as_deref().unwrap_or_default().as_bytes());
        prop_assert_eq!(uri.password, password.as_deref().map(str::as_bytes));
        prop_assert_eq!((uri.host, uri.port), (host.as_bytes(), port));
        prop_assert_eq!((uri.params, uri.headers), (params.as_bytes(), headers.as_bytes()));
        prop_assert!(uri.same(&uri));
    }

    /// No bytes make it panic.
    #[test]
    fn any_bytes(tail in prop::collection::vec(any::<u8>(), 0..60), known in "(sip:|sips:|tel:|)") {
        let text = [known.as_bytes(), &tail].concat();
        if let Some(uri) = Uri::parse(&text) {
            let _ = (uri.same(&uri), uri.tel().map(|tel| tel.same(&tel)), uri.header("x"), uri.push());
        }
        let _ = scheme(&text);
    }
}

#[test]
fn what_stands_in_a_request_line() {
    for (uri, line) in [
        ("sip:a@b;x?Route=%3Csip:c%3E", "sip:a@b;x"),
        ("sip:a?b@c:5061", "sip:a?b@c:5061"),
        ("sip:a?b@c?d=e", "sip:a?b@c"),
        ("sip:b?d=e", "sip:b"),
        ("sip:b", "sip:b"),
    ] {
        assert_eq!(without_headers(uri.as_bytes()), line.as_bytes(), "{uri}");
    }
}

#[test]
fn schemes_that_we_know() {
    for (uri, scheme) in [
        ("SIP:a", Some(Scheme::Sip)),
        ("sips:a", Some(Scheme::Sips)),
        ("Tel:+1", Some(Scheme::Tel)),
        ("soap.beep://192.0.2.103:3002", None),
        ("sip", None),
        ("", None),
    ] {
        assert_eq!(Scheme::of(uri.as_bytes()), scheme, "{uri}");
    }
}
