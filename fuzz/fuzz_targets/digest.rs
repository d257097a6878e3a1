//! Any bytes as an Authorization field: nothing panics, what is read survives being written again,
//! and nothing made of chance proves a password or passes for a nonce.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stationmaster::base::flow::Flow;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use stationmaster::digest::{Credentials, Ha1, Judgement, Nonces};
use std::sync::LazyLock;

static NONCES: LazyLock<Nonces> =
    LazyLock::new(|| Nonces::new(2, 16, "example.test", &mut Rng::from_number(1)));
static HA1: LazyLock<Ha1> = LazyLock::new(|| Ha1::decoy(&mut Rng::from_number(2)));

fuzz_target!(|data: &[u8]| {
    let flow = Flow::udp(0, ([192, 0, 2, 1], 5060).into());
    let Ok(found) = Credentials::parse(data) else { return };
    for text in [found.username, found.realm] {
        assert!(text.is(&text.plain()));
        assert!(text.plain().len() <= text.raw().len());
    }
    assert!(!HA1.verify(&found, b"REGISTER"));
    let judgement = NONCES.check(found.nonce, found.nc(), 1, Mono::default(), &flow);
    assert_eq!(judgement, Judgement::Stale);

    let written = write(&found);
    let again = Credentials::parse(&written).expect("what was read can be read again");
    assert_eq!(again.username.raw(), found.username.raw());
    assert_eq!(again.realm.raw(), found.realm.raw());
    assert_eq!((again.nonce, again.uri, again.opaque), (found.nonce, found.uri, found.opaque));
    assert_eq!((again.nc(), again.response.hex()), (found.nc(), found.response.hex()));
    assert_eq!(again.algorithm(), found.algorithm());
    let (again, found) = (again.qop, found.qop);
    assert_eq!(again.map(|qop| (qop.word, qop.cnonce)), found.map(|qop| (qop.word, qop.cnonce)));
});

/// The same credentials in the usual form.
fn write(found: &Credentials<'_>) -> Vec<u8> {
    let mut out = b"Digest algorithm=".to_vec();
    out.extend(found.algorithm().token().bytes());
    let mut param = |name: &str, value: &[u8]| {
        out.extend([b", ", name.as_bytes(), b"=\"", value, b"\""].concat());
    };
    param("username", found.username.raw());
    param("realm", found.realm.raw());
    param("nonce", found.nonce);
    param("uri", found.uri);
    param("response", found.response.hex().as_bytes());
    if let Some(opaque) = found.opaque {
        param("opaque", opaque);
    }
    if let Some(qop) = found.qop {
        param("qop", qop.word);
        param("nc", qop.nc_text);
        param("cnonce", qop.cnonce);
    }
    out
}
