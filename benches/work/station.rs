//! A core with users, and its rehearsal.
//!
//! What phones say depends on what the core said before (a nonce, a tag), and none of that is to be
//! measured. So each unit is played twice: first with the phones, to a core that only rehearses, and
//! what the phones said is written down; then from the script, to a core that was made from the same
//! seeds, that hears the same and so does the same.

use bytes::Bytes;
use stationmaster::account::{Life, LoginName, Tenant, TenantCode};
use stationmaster::base::flow::{Flow, ShardId, Transport};
use stationmaster::base::limit;
use stationmaster::base::private::Secret;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::{Mono, Now, Wall};
use stationmaster::core::owners::Owners;
use stationmaster::core::settings::Listener;
use stationmaster::core::{Core, Inbound, Meters, Output, Settings, Shared};
use stationmaster::digest::credentials::Qop;
use stationmaster::digest::{Algorithm, Algorithms, Ha1, Nonces};
use stationmaster::directory::sign_in::Guard;
use stationmaster::directory::{Credentials, Directory, ExtensionRecord, SealedCredentials};
use stationmaster::licence::{Evidence, Newcomer};
use stationmaster::lockout::Policy;
use stationmaster::registrar::{Binding, Gruus, Terms};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const REALM: &str = "example.test";

/// One thing that happens to a core.
pub(crate) enum Event {
    /// A phone says something.
    Heard(Flow, Bytes),
    /// Time passes.
    Passed(Duration),
}

/// A core that rehearses, and one that plays.
pub(crate) struct Station {
    rehearsal: (Core, Now),
    stage: (Core, Now),
    script: Vec<Event>,
    users: u32,
    turn: u32,
}

pub(crate) fn login(user: u32) -> String {
    format!("{}-acme", 1_000_000 + user)
}

pub(crate) fn flow(user: u32) -> Flow {
    let port = 10_000 + u16::try_from(user % 16).unwrap();
    Flow::udp(0, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

pub(crate) fn call_id(user: u32) -> String {
    format!("1f.{user}@127.0.0.1:10000")
}

pub(crate) fn contact(user: u32) -> String {
    format!("sip:{}@{}", 1_000_000 + user, flow(user).remote)
}

fn ha1(user: u32) -> Ha1 {
    Ha1::new(&login(user), REALM, &format!("Pw!{}x", 1_000_000 + user))
}

impl Station {
    /// With so many users, each with a device and a binding of its own.
    pub(crate) fn new(users: u32) -> Self {
        let now = Now { mono: Mono::from_secs(100), wall: Wall::from_secs(1_000_000) };
        let (rehearsal, stage) = ((core(users, now), now), (core(users, now), now));
        Self { rehearsal, stage, script: Vec::new(), users, turn: 0 }
    }

    /// The number of the next unit, from 1, and the user whose turn it is.
    pub(crate) fn next(&mut self) -> (u32, u32) {
        self.turn += 1;
        (self.turn, self.turn % self.users)
    }

    /// A phone says this to the rehearsing core: what that sends, and to where.
    pub(crate) fn say(&mut self, user: u32, text: String) -> Vec<(Flow, String)> {
        let (flow, bytes) = (flow(user), Bytes::from(text));
        self.script.push(Event::Heard(flow, bytes.clone()));
        let (core, now) = &mut self.rehearsal;
        core.handle_inbound(*now, Inbound::Message { flow, bytes });
        sent(core)
    }

    /// Time passes, and what falls due is done.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<(Flow, String)> {
        self.script.push(Event::Passed(time));
        let (core, now) = &mut self.rehearsal;
        pass(core, now, time);
        sent(core)
    }

    /// What was said since it was last asked.
    pub(crate) fn script(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.script)
    }

    /// Plays a script: the work that is measured.
    pub(crate) fn play(&mut self, script: &mut Vec<Event>) {
        let (core, now) = &mut self.stage;
        for event in script.drain(..) {
            match event {
                Event::Heard(flow, bytes) => {
                    core.handle_inbound(*now, Inbound::Message { flow, bytes });
                }
                Event::Passed(time) => pass(core, now, time),
            }
            while let Some(output) = core.poll_output() {
                black_box(output);
            }
        }
    }
}

/// What a core wants sent; whatever else it wants done is no answer to a phone.
fn sent(core: &mut Core) -> Vec<(Flow, String)> {
    let mut sent = Vec::new();
    while let Some(output) = core.poll_output() {
        match output {
            Output::Send { flow, bytes } => sent.push((flow, String::from_utf8(bytes.to_vec()).unwrap())),
            Output::Refresh(_) | Output::Event(_) | Output::Voice { .. } | Output::Enquire(_) => {}
            other => panic!("{other:?}"),
        }
    }
    sent
}

fn pass(core: &mut Core, now: &mut Now, time: Duration) {
    let after = Now { mono: now.mono + time, wall: now.wall + time };
    *now = after;
    if core.next_deadline().is_some_and(|due| due <= after.mono) {
        core.handle_timeout(after);
    }
}

/// The value of a header field.
pub(crate) fn field<'t>(message: &'t str, name: &str) -> &'t str {
    let of_line = |line: &'t str| line.strip_prefix(name)?.strip_prefix(": ");
    message.lines().find_map(of_line).unwrap_or_else(|| panic!("no {name} in {message}"))
}

/// The line of credentials that answers the challenge in `answer`.
pub(crate) fn credentials(user: u32, answer: &str, header: &str, method: &str, uri: &str, nc: u32) -> String {
    let nonce = answer.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    authorize(user, nonce, header, method, uri, nc)
}

fn authorize(user: u32, nonce: &str, header: &str, method: &str, uri: &str, nc: u32) -> String {
    let nc_text = format!("{nc:08x}");
    let qop = Qop { word: b"auth", nc_text: nc_text.as_bytes(), nc, cnonce: b"0123456789abcdef" };
    let (method, text) = (method.as_bytes(), uri.as_bytes());
    let response = ha1(user).response(Algorithm::Md5, method, text, nonce.as_bytes(), Some(&qop));
    format!(
        "{header}: Digest username=\"{}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{}\", algorithm=MD5, qop=auth, nc={nc_text}, cnonce=\"0123456789abcdef\"\r\n",
        login(user),
        response.hex()
    )
}

fn core(users: u32, now: Now) -> Core {
    let mut rng = Rng::from_number(1);
    let directory = Directory::new([1, 2, 3, 4], Guard::new(Ha1::decoy(&mut rng), [5, 6, 7, 8]));
    directory.put_tenant(Tenant::new(TenantCode::parse("acme").unwrap(), "Acme"));
    for user in 0..users {
        let credentials = Credentials { epoch: 1, ha1: ha1(user), previous: None };
        directory.put(record(user, now.wall), Some(credentials), now);
    }
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let settings = Settings {
        realm: REALM.into(),
        domains: vec![REALM.into()],
        addresses: Vec::new(),
        listeners: vec![Listener::new(Transport::Udp, local, local)],
        terms: Terms { expires_min: Duration::from_secs(60), expires_max: Duration::from_secs(3600) },
        service_route: Vec::new(),
        algorithms: Algorithms::Auto,
        allow_without_qop: false,
        lockout: Policy::default(),
        devices_max: 4,
        trusted: Vec::new(),
        ring_max: Duration::from_secs(120),
        intervals: stationmaster::txn::Intervals::default(),
        keep_alive: std::time::Duration::from_secs(25),
        menu: stationmaster::core::voice::MenuSettings::default(),
    };
    let hash = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let shared = Shared {
        settings: Arc::new(settings),
        directory: Arc::new(directory),
        nonces: Arc::new(Nonces::new(1, limit::NONCE_RING, REALM, &mut rng)),
        owners: Arc::new(Owners::new(hash.clone())),
        hash,
        shards: 1,
        gruus: Arc::new(Gruus::new(&Secret::new([9; 32]))),
    };
    Core::new(ShardId(0), shared, Meters::noop(), rng)
}

/// An extension whose one device is registered.
fn record(user: u32, now: Wall) -> ExtensionRecord {
    let mut record = ExtensionRecord::new(LoginName::parse(&login(user)).unwrap(), String::new(), None);
    record.life = Life::Active;
    record.credentials = Some(SealedCredentials { epoch: 1, sealed: Vec::new(), set_at: now });
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
    let newcomer = Newcomer { keys: evidence.keys(), model: evidence.model(), address: String::new() };
    record.bindings.push(Binding {
        number: 1,
        turn: 0,
        device: record.licence.activate(newcomer, 4, now).unwrap(),
        contact: contact.into_bytes().into(),
        call_id: call_id.into_bytes().into(),
        cseq: 1,
        expires: now + Duration::from_secs(1_000_000),
        transport: Transport::Udp,
        listener: 0,
        remote: flow(user).remote,
        stream: None,
        q: 1000,
        proof: Default::default(),
        extra: None,
    });
    record.next_binding = 2;
    record
}
