//! Nonces and responses.

use super::{Work, steps};
use stationmaster::base::flow::{Flow, ShardId};
use stationmaster::base::limit;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use stationmaster::digest::nonce::NonceText;
use stationmaster::digest::{Algorithm, Credentials, Ha1, Nonces};
use std::collections::VecDeque;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

const NOW: Mono = Mono::from_secs(100);
const SHARD: ShardId = ShardId(0);

fn flow() -> Flow {
    Flow::udp(0, SocketAddr::from((Ipv4Addr::new(192, 0, 2, 10), 5062)))
}

fn nonces() -> Nonces {
    Nonces::new(1, limit::NONCE_RING, "example.test", &mut Rng::from_number(1))
}

pub(crate) fn mint(_users: u32) -> Box<dyn Work> {
    steps(
        nonces(),
        |_| (),
        |nonces, ()| {
            black_box(nonces.mint(SHARD, NOW, &flow()));
        },
    )
}

/// A fresh nonce each time, minted `users` challenges before: its entry is as cold as in service.
pub(crate) fn check_fresh(users: u32) -> Box<dyn Work> {
    let nonces = nonces();
    let minted: VecDeque<NonceText> = (0..users).map(|_| nonces.mint(SHARD, NOW, &flow())).collect();
    steps(
        (nonces, minted),
        |(nonces, minted)| {
            minted.push_back(nonces.mint(SHARD, NOW, &flow()));
            minted.pop_front().unwrap()
        },
        |(nonces, _), nonce| {
            black_box(nonces.check(nonce.as_bytes(), Some(1), 7, NOW, &flow()));
        },
    )
}

/// The same nonce with a count that rises, as from a phone that uses it again.
pub(crate) fn check_reused(_users: u32) -> Box<dyn Work> {
    let nonces = nonces();
    let nonce = nonces.mint(SHARD, NOW, &flow());
    steps(
        (nonces, nonce, 0),
        |(_, _, count)| {
            *count += 1;
            *count
        },
        |(nonces, nonce, _), nc| {
            black_box(nonces.check(nonce.as_bytes(), Some(nc), nc.into(), NOW, &flow()));
        },
    )
}

fn verify(algorithm: Algorithm, digits: usize) -> Box<dyn Work> {
    let nonce = nonces().mint(SHARD, NOW, &flow());
    let text = format!(
        "Digest username=\"200-acme\", realm=\"example.test\", nonce={nonce:?}, uri=\"sip:example.test\", \
         response={}, algorithm={}, cnonce=\"0a4f113b0a4f113b\", qop=auth, nc=00000001",
        "0".repeat(digits),
        algorithm.token()
    );
    let text: &'static [u8] = text.into_bytes().leak();
    let credentials = Credentials::parse(text).unwrap();
    steps(
        (Ha1::new("200-acme", "example.test", "Pw!200x"), credentials),
        |_| (),
        |(ha1, credentials), ()| {
            black_box(ha1.verify(credentials, b"REGISTER"));
        },
    )
}

pub(crate) fn verify_md5(_users: u32) -> Box<dyn Work> {
    verify(Algorithm::Md5, 32)
}

pub(crate) fn verify_sha256(_users: u32) -> Box<dyn Work> {
    verify(Algorithm::Sha256, 64)
}
