//! REGISTER through a whole `Core`: nanoseconds and allocations.
//!
//! `cargo bench --bench register`. A cycle is the challenge and the authenticated refresh; the
//! bindings are there before, so that nothing waits for the store. Users go round, so their entries
//! are as cold as in service.

#![allow(clippy::unwrap_used)] // a bench that cannot set up has nothing to measure

use bytes::Bytes;
use divan::{AllocProfiler, Bencher};
use stationmaster::account::{Life, LoginName, Tenant, TenantCode};
use stationmaster::base::flow::{Flow, ShardId, Transport};
use stationmaster::base::limit;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::{Mono, Now, Wall};
use stationmaster::core::settings::Listener;
use stationmaster::core::{Core, Inbound, Meters, Output, Settings, Shared};
use stationmaster::digest::{Algorithm, Algorithms, Ha1, Nonces};
use stationmaster::directory::sign_in::Guard;
use stationmaster::directory::{Credentials, Directory, ExtensionRecord, SealedCredentials};
use stationmaster::licence::{DeviceId, Evidence, Newcomer};
use stationmaster::lockout::Policy;
use stationmaster::registrar::{Binding, Terms};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const REALM: &str = "example.test";
const USERS: u32 = 10_000;

fn main() {
    divan::main();
}

struct Station {
    core: Core,
    now: Now,
    user: u32,
    cseq: u32,
}

fn login(user: u32) -> String {
    format!("{}-acme", 100_000 + user)
}

fn flow(user: u32) -> Flow {
    let port = 10_000 + u16::try_from(user % 16).unwrap();
    Flow::udp(0, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn ha1(user: u32) -> Ha1 {
    Ha1::new(&login(user), REALM, &format!("Pw!{}x", 100_000 + user))
}

fn call_id(user: u32) -> String {
    format!("1f.{user}@127.0.0.1:10000")
}

fn contact(user: u32) -> String {
    format!("sip:{}@{}", 100_000 + user, flow(user).remote)
}

impl Station {
    fn new() -> Self {
        let mut rng = Rng::from_number(1);
        let directory = Directory::new([1, 2, 3, 4], Guard::new(Ha1::decoy(&mut rng), [5, 6, 7, 8]));
        let now = Now { mono: Mono::from_secs(100), wall: Wall::from_secs(1_000_000) };
        directory.put_tenant(Tenant::new(TenantCode::parse("acme").unwrap(), "Acme"));
        for user in 0..USERS {
            let mut record =
                ExtensionRecord::new(LoginName::parse(&login(user)).unwrap(), String::new(), None);
            record.life = Life::Active;
            record.credentials = Some(SealedCredentials { epoch: 1, sealed: Vec::new(), set_at: now.wall });
            record.licence.enable();
            let (contact, call_id) = (contact(user), call_id(user));
            let evidence = Evidence {
                sip_instance: None,
                labelled_mac: b"",
                by_proxy: false,
                user_agent: b"sipload",
                contact_uri: contact.as_bytes(),
                call_id: call_id.as_bytes(),
                cseq: 1,
                flow: flow(user),
                same_nonce_chain: None,
            };
            let newcomer =
                Newcomer { keys: evidence.keys(), model: evidence.model(), address: String::new() };
            let device = record.licence.activate(newcomer, 4, now.wall).unwrap();
            assert_eq!(device, DeviceId(1));
            record.bindings.push(Binding {
                number: 1,
                turn: 0,
                device,
                contact: contact.into_bytes().into(),
                call_id: call_id.into_bytes().into(),
                cseq: 1,
                expires: now.wall + Duration::from_secs(3600),
                transport: Transport::Udp,
                listener: 0,
                remote: flow(user).remote,
                stream: None,
                q: 1000,
                extra: None,
            });
            record.next_binding = 2;
            directory.put(&record, Some(Credentials { epoch: 1, ha1: ha1(user), previous: None }), now);
        }
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        let settings = Settings {
            realm: REALM.into(),
            domains: vec![REALM.into()],
            addresses: Vec::new(),
            listeners: vec![Listener::new(Transport::Udp, local, local)],
            terms: Terms { expires_min: Duration::from_secs(60), expires_max: Duration::from_secs(3600) },
            algorithms: Algorithms::Auto,
            allow_without_qop: false,
            lockout: Policy::default(),
            devices_max: 4,
            trusted: Vec::new(),
            ring_max: Duration::from_secs(120),
        };
        let shared = Shared {
            settings: Arc::new(settings),
            directory: Arc::new(directory),
            nonces: Arc::new(Nonces::new(1, limit::NONCE_RING, REALM, &mut rng)),
            hash: ahash::RandomState::with_seeds(1, 2, 3, 4),
            shards: 1,
        };
        let core = Core::new(ShardId(0), shared, Meters::noop(), rng);
        Self { core, now, user: 0, cseq: 1 }
    }

    fn register(&self, user: u32, authorization: &str) -> Bytes {
        let (login, remote) = (login(user), flow(user).remote);
        Bytes::from(format!(
            "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP {remote};rport;branch=z9hG4bK0000000100000002\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{login}@example.test>;tag=r2\r\nTo: <sip:{login}@example.test>\r\n\
             Call-ID: {}\r\nCSeq: {} REGISTER\r\nContact: <{}>;expires=3600\r\n{authorization}Expires: 3600\r\n\
             Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, UPDATE\r\nUser-Agent: sipload\r\nContent-Length: 0\r\n\r\n",
            call_id(user),
            self.cseq,
            contact(user)
        ))
    }

    fn next(&mut self) -> u32 {
        self.user = (self.user + 1) % USERS;
        self.cseq += 1;
        self.user
    }

    /// A request that answers a challenge of its own.
    fn authorized(&mut self, user: u32) -> Bytes {
        let first = self.register(user, "");
        let answer = self.send(user, first);
        let nonce = answer.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let qop = stationmaster::digest::credentials::Qop {
            word: b"auth",
            nc_text: b"00000001",
            nc: 1,
            cnonce: b"0123456789abcdef",
        };
        let response = ha1(user).response(
            Algorithm::Md5,
            b"REGISTER",
            b"sip:example.test",
            nonce.as_bytes(),
            Some(&qop),
        );
        self.register(
            user,
            &format!(
                "Authorization: Digest username=\"{}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"sip:example.test\", \
                 response=\"{}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"0123456789abcdef\"\r\n",
                login(user),
                response.hex()
            ),
        )
    }

    fn send(&mut self, user: u32, bytes: Bytes) -> String {
        self.core.handle_inbound(self.now, Inbound::Message { flow: flow(user), bytes });
        let mut answer = String::new();
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Send { bytes, .. } => answer = String::from_utf8(bytes.to_vec()).unwrap(),
                Output::Refresh(_) => {}
                other => panic!("{other:?}"),
            }
        }
        answer
    }

    /// As `send`, without keeping the answer.
    fn feed(&mut self, user: u32, bytes: Bytes) {
        self.core.handle_inbound(self.now, Inbound::Message { flow: flow(user), bytes });
        while self.core.poll_output().is_some() {}
    }
}

#[divan::bench(sample_size = 1000)]
fn challenge(bencher: Bencher<'_, '_>) {
    let station = std::cell::RefCell::new(Station::new());
    bencher
        .with_inputs(|| {
            let mut station = station.borrow_mut();
            let user = station.next();
            (user, station.register(user, ""))
        })
        .bench_local_values(|(user, bytes)| station.borrow_mut().feed(user, bytes));
}

#[divan::bench(sample_size = 1000)]
fn refresh(bencher: Bencher<'_, '_>) {
    let station = std::cell::RefCell::new(Station::new());
    station.borrow_mut().next();
    let first = station.borrow_mut().authorized(1);
    let answer = station.borrow_mut().send(1, first);
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n") && answer.contains("\r\nContact: "), "{answer}");
    bencher
        .with_inputs(|| {
            let mut station = station.borrow_mut();
            let user = station.next();
            (user, station.authorized(user))
        })
        .bench_local_values(|(user, bytes)| station.borrow_mut().feed(user, bytes));
}
