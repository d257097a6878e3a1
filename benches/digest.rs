//! What a challenge and the judgement of its answer cost: nanoseconds and allocations.
//!
//! `cargo bench --bench digest`. Nothing here may allocate, but a ring that makes its first entries.

use bytes::BytesMut;
use divan::{AllocProfiler, Bencher, black_box};
use stationmaster::base::flow::{Flow, ShardId};
use stationmaster::base::limit;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use stationmaster::digest::challenge::{self, Stale};
use stationmaster::digest::{Algorithm, Credentials, Ha1, Judgement, Nonces, Outcome, Role};
use stationmaster::sip::Writer;
use std::net::{Ipv4Addr, SocketAddr};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const NOW: Mono = Mono::from_secs(100);
const SHARD: ShardId = ShardId(0);

fn main() {
    divan::main();
}

fn flow() -> Flow {
    Flow::udp(0, SocketAddr::from((Ipv4Addr::new(192, 0, 2, 10), 5062)))
}

fn nonces() -> Nonces {
    Nonces::new(2, limit::NONCE_RING, "example.test", &mut Rng::from_number(1))
}

#[divan::bench]
fn mint(bencher: Bencher<'_, '_>) {
    let (nonces, flow) = (nonces(), flow());
    bencher.bench_local(|| nonces.mint(SHARD, NOW, black_box(&flow)));
}

/// A fresh nonce each time, minted 10,000 challenges before: its entry is cold, as in service.
#[divan::bench(sample_size = 100)]
fn check_fresh(bencher: Bencher<'_, '_>) {
    const AHEAD: usize = 10_000;
    let (nonces, flow) = (nonces(), flow());
    let mut minted = std::collections::VecDeque::new();
    bencher
        .with_inputs(|| {
            while minted.len() < AHEAD {
                minted.push_back(nonces.mint(SHARD, NOW, &flow));
            }
            minted.pop_front()
        })
        .bench_local_refs(|nonce| {
            let nonce = nonce.as_ref()?;
            Some(nonces.check(nonce.as_bytes(), Some(1), 7, NOW, black_box(&flow)))
        });
}

/// The same nonce with a count that rises, as from a phone that uses it again.
#[divan::bench(sample_size = 100)]
fn check_reused(bencher: Bencher<'_, '_>) {
    let (nonces, flow) = (nonces(), flow());
    let nonce = nonces.mint(SHARD, NOW, &flow);
    let mut nc = 0;
    bencher.bench_local(|| {
        nc += 1;
        nonces.check(black_box(nonce.as_bytes()), Some(nc), nc.into(), NOW, &flow)
    });
}

/// A nonce that is not ours.
#[divan::bench]
fn check_foreign(bencher: Bencher<'_, '_>) {
    let (nonces, flow) = (nonces(), flow());
    let other = Nonces::new(1, 1, "example.test", &mut Rng::from_number(2)).mint(SHARD, NOW, &flow);
    bencher.bench_local(|| nonces.check(black_box(other.as_bytes()), Some(1), 7, NOW, &flow));
}

#[divan::bench]
fn settle(bencher: Bencher<'_, '_>) {
    let (nonces, flow) = (nonces(), flow());
    let nonce = nonces.mint(SHARD, NOW, &flow);
    let Judgement::Fresh { nonce: reference, .. } = nonces.check(nonce.as_bytes(), Some(1), 7, NOW, &flow)
    else {
        return;
    };
    bencher.bench_local(|| nonces.settle(black_box(reference), 7, Outcome::Right(1)));
}

/// The hash of a REGISTER of usual length.
#[divan::bench]
fn request_hash_900_bytes(bencher: Bencher<'_, '_>) {
    let (nonces, message) = (nonces(), [b'x'; 900]);
    bencher.bench_local(|| nonces.request_hash(black_box(&message)));
}

#[divan::bench(args = [Algorithm::Md5, Algorithm::Sha256])]
fn verify(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let nonces = nonces();
    let nonce = nonces.mint(SHARD, NOW, &flow());
    let ha1 = Ha1::new("200-acme", "example.test", "Pw!200x");
    let digits = match algorithm {
        Algorithm::Md5 => 32,
        Algorithm::Sha256 => 64,
    };
    let text = format!(
        "Digest username=\"200-acme\", realm=\"example.test\", nonce={nonce:?}, uri=\"sip:example.test\", \
         response={}, algorithm={}, cnonce=\"0a4f113b0a4f113b\", qop=auth, nc=00000001",
        "0".repeat(digits),
        algorithm.token()
    );
    let Ok(credentials) = Credentials::parse(text.as_bytes()) else { return };
    bencher.bench_local(|| ha1.verify(black_box(&credentials), b"REGISTER"));
}

#[divan::bench(sample_size = 100)]
fn write_challenge(bencher: Bencher<'_, '_>) {
    let nonce = nonces().mint(SHARD, NOW, &flow());
    let mut out = BytesMut::with_capacity(1 << 16);
    bencher.bench_local(|| {
        let mut writer = Writer::response(&mut out, 401, None);
        let algorithms = [Algorithm::Md5];
        challenge::write(
            &mut writer,
            Role::Server,
            "example.test",
            black_box(&nonce),
            &algorithms,
            Stale::Yes,
        );
        writer.finish()
    });
}

/// A password as it is set.
#[divan::bench(sample_size = 100)]
fn ha1(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| Ha1::new(black_box("200-acme"), "example.test", "Pw!200x"));
}
