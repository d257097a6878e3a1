//! Any bytes as one or two URIs (a line each): the parts lie within the text, what is read survives
//! being written again, escapes only shorten, and equality (RFC 3261 §19.1.4) holds of a URI with
//! itself and both ways between two.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stationmaster::sip::text::Params;
use stationmaster::sip::{Scheme, Uri};
use std::collections::HashSet;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let (first, second) = (look(first), look(second));
    if let (Some(first), Some(second)) = (first, second) {
        assert_eq!(first.same(&second), second.same(&first), "both ways");
        if first.same(&second) {
            assert_eq!(first.scheme, second.scheme);
            assert_eq!(first.user_decoded(), second.user_decoded());
            assert!(first.host.eq_ignore_ascii_case(second.host) || first.host.starts_with(b"["));
            assert_eq!(first.port, second.port);
        }
    }
});

fn look(text: &[u8]) -> Option<Uri<'_>> {
    let uri = Uri::parse(text)?;
    let range = text.as_ptr_range();
    for part in [uri.user, uri.host, uri.params, uri.headers] {
        let inside = part.as_ptr_range();
        assert!(part.is_empty() || (range.start <= inside.start && inside.end <= range.end));
    }
    assert!(uri.user_decoded().len() <= uri.user.len());
    assert!(uri.params.is_empty() || uri.params.starts_with(b";"));
    assert_eq!(uri.host.is_empty(), uri.scheme == Scheme::Tel);
    for (name, value) in Params::new(uri.params) {
        let found = Params::get(uri.params, &String::from_utf8_lossy(name));
        assert!(std::str::from_utf8(name).is_err() || found.is_some(), "{name:?} {value:?}");
    }
    let names: Vec<_> = Params::new(uri.params).map(|(name, _)| name.to_ascii_lowercase()).collect();
    if names.iter().collect::<HashSet<_>>().len() == names.len() {
        assert!(uri.same(&uri), "a URI equals itself");
    }
    let written = write(&uri);
    let again = Uri::parse(&written).unwrap_or_else(|| panic!("{}", written.escape_ascii()));
    let parts = |uri: &Uri<'_>| {
        [uri.user, uri.host, uri.params, uri.headers].map(<[u8]>::to_vec)
    };
    assert_eq!((parts(&again), again.scheme, again.port), (parts(&uri), uri.scheme, uri.port));
    Some(uri)
}

/// The URI from its parts; a password is not one of them.
fn write(uri: &Uri<'_>) -> Vec<u8> {
    let mut out = match uri.scheme {
        Scheme::Sip => b"sip:".to_vec(),
        Scheme::Sips => b"sips:".to_vec(),
        Scheme::Tel => b"tel:".to_vec(),
    };
    out.extend(uri.user);
    if uri.scheme != Scheme::Tel {
        // An empty user part may stand before its `@`; without one, what follows must hold none.
        out.extend(b"@");
    }
    out.extend(uri.host);
    out.extend(uri.port.map(|port| format!(":{port}")).unwrap_or_default().bytes());
    out.extend(uri.params);
    if !uri.headers.is_empty() {
        out.extend(b"?");
        out.extend(uri.headers);
    }
    out
}
