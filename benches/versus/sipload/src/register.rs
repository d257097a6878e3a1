//! The REGISTER workload: challenge, credentials, 200.

use crate::digest::{Algorithm, Answer, Challenge};
use crate::drive::{Branch, Core, Lane, Workload};
use crate::net::Net;
use crate::put;
use crate::sip::{self, Headers, Name};
use crate::text::{Hex, find};
use std::net::SocketAddrV4;

/// Who the devices are and how they authenticate.
#[derive(Clone, Debug)]
pub struct Identity {
    pub domain: String,
    /// The password, `{user}` standing for the number.
    pub password_pattern: String,
    pub first_user: u64,
    /// What follows the number in a user name.
    pub user_suffix: String,
    pub users: u64,
    /// Devices (Contacts) of every user.
    pub devices: u64,
    pub algorithm: Algorithm,
    pub sockets: usize,
}

impl Identity {
    pub fn device_count(&self) -> usize {
        (self.users * self.devices) as usize
    }

    /// All first devices come before all second ones.
    pub fn user(&self, device: usize) -> u64 {
        self.first_user + device as u64 % self.users
    }

    /// Where the device sits; a user's devices are on neighbouring sockets where there are enough.
    pub fn socket(&self, device: usize) -> usize {
        let (user, number) = (device as u64 % self.users, device as u64 / self.users);
        ((user + number) % self.sockets as u64) as usize
    }

    pub fn put_password(&self, out: &mut Vec<u8>, user: u64) {
        match self.password_pattern.split_once("{user}") {
            Some((before, after)) => put!(out, before, user, after),
            None => put!(out, self.password_pattern),
        }
    }
}

/// A challenge that is kept for the next request.
#[derive(Clone, Debug)]
pub struct KeptChallenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    algorithm: Algorithm,
    qop_auth: bool,
}

impl KeptChallenge {
    fn of(challenge: &Challenge) -> Box<KeptChallenge> {
        Box::new(KeptChallenge {
            realm: challenge.realm.to_vec(),
            nonce: challenge.nonce.to_vec(),
            opaque: challenge.opaque.map(<[u8]>::to_vec),
            algorithm: challenge.algorithm,
            qop_auth: challenge.qop_auth,
        })
    }

    fn borrowed(&self) -> Challenge<'_> {
        Challenge {
            realm: &self.realm,
            nonce: &self.nonce,
            opaque: self.opaque.as_deref(),
            algorithm: self.algorithm,
            qop_auth: self.qop_auth,
            stale: false,
        }
    }
}

#[derive(Clone, Default)]
struct Device {
    cseq: u32,
    nonce_count: u32,
    busy: bool,
    kept: Option<Box<KeptChallenge>>,
}

#[derive(Clone, Copy, Default)]
struct Cycle {
    device: usize,
    due: u64,
    /// The request on its way carries credentials.
    authorized: bool,
    /// The challenges that this cycle has had.
    challenges: u32,
}

/// A server that keeps calling fresh nonces stale is not asked a fourth time.
const MOST_CHALLENGES: u32 = 3;

pub struct Register {
    pub identity: Identity,
    expires: u32,
    instance_ids: bool,
    reuse_nonce: bool,
    run: u64,
    devices: Vec<Device>,
    cycles: Vec<Cycle>,
    next_device: usize,
}

impl Register {
    pub fn new(
        identity: Identity,
        expires: u32,
        instance_ids: bool,
        reuse_nonce: bool,
        core: &mut Core,
    ) -> Register {
        let devices = vec![Device::default(); identity.device_count()];
        let run = core.new_seq();
        Register {
            identity,
            expires,
            instance_ids,
            reuse_nonce,
            run,
            devices,
            cycles: Vec::new(),
            next_device: 0,
        }
    }

    /// Devices go round, those with a cycle under way left out. The window is never larger than
    /// the number of devices, so that there is always one.
    fn pick_device(&mut self) -> usize {
        loop {
            let device = self.next_device;
            self.next_device = (device + 1) % self.devices.len();
            if !self.devices[device].busy {
                return device;
            }
        }
    }

    fn send(&mut self, core: &mut Core, lane: Lane, challenge: Option<&Challenge>) {
        let cycle = &mut self.cycles[lane as usize];
        cycle.authorized = challenge.is_some();
        let device = &mut self.devices[cycle.device];
        device.cseq += 1;
        device.nonce_count += 1;
        let register = RegisterRequest {
            identity: &self.identity,
            device: cycle.device,
            run: self.run,
            cseq: device.cseq,
            expires: self.expires,
            instance_ids: self.instance_ids,
            credentials: challenge.map(|challenge| (challenge, device.nonce_count)),
        };
        let (socket, target) = (self.identity.socket(cycle.device), core.net.target);
        core.request(lane, socket, target, false, |out, net, branch| register.put(out, net, branch));
    }

    fn fail(&mut self, core: &mut Core, lane: Lane, why: String) {
        let device = &mut self.devices[self.cycles[lane as usize].device];
        device.busy = false;
        device.kept = None;
        core.fail(lane, why);
    }

    fn challenged(&mut self, core: &mut Core, lane: Lane, message: &[u8]) {
        let cycle = self.cycles[lane as usize];
        let challenges = Headers::of(message).filter(|(name, _)| *name == Name::WwwAuthenticate);
        let mut usable = challenges.filter_map(|(_, value)| Challenge::parse(value));
        let Some(challenge) = usable.find(|challenge| challenge.algorithm == self.identity.algorithm) else {
            return self.fail(
                core,
                lane,
                format!("401 without a {} challenge", self.identity.algorithm.name()),
            );
        };
        let fresh = cycle.challenges > 0;
        if fresh && !challenge.stale {
            return self.fail(core, lane, "401 to fresh credentials".to_owned());
        }
        if cycle.challenges == MOST_CHALLENGES {
            return self.fail(core, lane, "fresh nonces called stale again and again".to_owned());
        }
        if cycle.authorized {
            core.stats.note(match (challenge.stale, fresh) {
                (true, false) => "kept nonces found stale",
                (true, true) => "fresh nonces found stale",
                (false, _) => "kept nonces challenged anew (not stale)",
            });
        }
        let cycle = &mut self.cycles[lane as usize];
        cycle.challenges += 1;
        let device = &mut self.devices[cycle.device];
        device.nonce_count = 0;
        if self.reuse_nonce {
            device.kept = Some(KeptChallenge::of(&challenge));
        }
        self.send(core, lane, Some(&challenge));
    }

    fn accepted(&mut self, core: &mut Core, lane: Lane, message: &[u8]) {
        let cycle = self.cycles[lane as usize];
        if !cycle.authorized {
            return self.fail(core, lane, "200 without a challenge".to_owned());
        }
        if self.expires > 0 {
            let mut contact = Vec::with_capacity(64);
            put_contact_uri(&mut contact, &core.net, &self.identity, cycle.device);
            let mut contacts = Headers::of(message).filter(|(name, _)| *name == Name::Contact);
            if !contacts.any(|(_, value)| find(value, &contact).is_some()) {
                return self.fail(core, lane, "200 without this device's Contact".to_owned());
            }
        }
        self.devices[cycle.device].busy = false;
        core.stats.record("cycle", core.now - cycle.due);
        core.complete(lane);
    }
}

impl Workload for Register {
    fn begin(&mut self, core: &mut Core, lane: Lane, due: u64) {
        if self.cycles.len() <= lane as usize {
            self.cycles.resize(lane as usize + 1, Cycle::default());
        }
        let device = self.pick_device();
        self.devices[device].busy = true;
        self.cycles[lane as usize] = Cycle { device, due, ..Cycle::default() };
        match self.devices[device].kept.take() {
            Some(kept) => {
                self.send(core, lane, Some(&kept.borrowed()));
                self.devices[device].kept = Some(kept);
            }
            None => self.send(core, lane, None),
        }
    }

    fn message(&mut self, core: &mut Core, socket: usize, from: SocketAddrV4, message: &[u8]) {
        let Some(status) = sip::status(message) else {
            answer_stray_request(core, socket, from, message);
            return;
        };
        let Some(branch) =
            Branch::of_response(message).filter(|branch| core.is_current(branch.lane, branch.seq))
        else {
            core.stats.note("responses to no open transaction");
            return;
        };
        let lane = branch.lane;
        if status < 200 {
            return core.provisional(lane);
        }
        core.close(lane);
        match status {
            200 => self.accepted(core, lane, message),
            401 => self.challenged(core, lane, message),
            other => self.fail(core, lane, format!("REGISTER {other}")),
        }
    }

    fn timeout(&mut self, core: &mut Core, lane: Lane) {
        self.fail(core, lane, "REGISTER timeout".to_owned());
    }
}

/// A server may ask after a device (OPTIONS) or tell it something (NOTIFY): it gets its 200.
pub fn answer_stray_request(core: &mut Core, socket: usize, from: SocketAddrV4, message: &[u8]) {
    if sip::request_line(message).is_none_or(|(method, _)| method == b"ACK") {
        core.stats.note("messages not understood");
        return;
    }
    core.stats.note("requests answered in passing");
    let mut response = Vec::new();
    put!(&mut response, "SIP/2.0 200 OK\r\n");
    for (name, value) in Headers::of(message) {
        let label = match name {
            Name::Via => "Via: ",
            Name::From => "From: ",
            Name::To => "To: ",
            Name::CallId => "Call-ID: ",
            Name::CSeq => "CSeq: ",
            _ => continue,
        };
        put!(&mut response, label, value);
        if name == Name::To && sip::param(value, "tag").is_none() {
            put!(&mut response, ";tag=stray");
        }
        put!(&mut response, "\r\n");
    }
    put!(&mut response, "Content-Length: 0\r\n\r\n");
    let via = sip::header(message, Name::Via).map(sip::first_value);
    let to = via.map_or(from, |via| sip::response_address(via, from));
    core.net.send(socket, to, &response);
}

/// The URI under which a device is to be reached.
pub fn put_contact_uri(out: &mut Vec<u8>, net: &Net, identity: &Identity, device: usize) {
    put!(out, "sip:", identity.user(device), "@", net.local(identity.socket(device)));
}

/// The text of a REGISTER.
pub struct RegisterRequest<'a> {
    pub identity: &'a Identity,
    pub device: usize,
    pub run: u64,
    pub cseq: u32,
    pub expires: u32,
    pub instance_ids: bool,
    pub credentials: Option<(&'a Challenge<'a>, u32)>,
}

impl RegisterRequest<'_> {
    pub fn put(&self, out: &mut Vec<u8>, net: &Net, branch: Branch) {
        let domain = &self.identity.domain;
        let (user, suffix) = (self.identity.user(self.device), &self.identity.user_suffix);
        let local = net.local(self.identity.socket(self.device));
        put!(out, "REGISTER sip:", domain, " SIP/2.0\r\nVia: SIP/2.0/UDP ", local, ";rport;branch=");
        branch.put(out);
        put!(out, "\r\nMax-Forwards: 70\r\nFrom: <sip:", user, suffix, "@", domain, ">;tag=r");
        put!(out, Hex(branch.seq, 1), "\r\nTo: <sip:", user, suffix, "@", domain, ">\r\nCall-ID: ");
        put!(
            out,
            Hex(self.run, 1),
            ".",
            self.device,
            "@",
            local,
            "\r\nCSeq: ",
            self.cseq,
            " REGISTER\r\nContact: <"
        );
        put_contact_uri(out, net, self.identity, self.device);
        put!(out, ">");
        if self.instance_ids {
            let number = self.device as u64 / self.identity.users;
            put!(
                out,
                ";+sip.instance=\"<urn:uuid:",
                Hex(user & 0xffff_ffff, 8),
                "-0000-4000-8000-",
                Hex(number, 12),
                ">\""
            );
        }
        put!(out, ";expires=", self.expires, "\r\n");
        if let Some((challenge, nonce_count)) = self.credentials {
            let mut texts = [const { Vec::new() }; 4];
            let [name, password, uri, cnonce] = &mut texts;
            put!(name, user, suffix);
            self.identity.put_password(password, user);
            put!(uri, "sip:", domain);
            put!(cnonce, Hex(branch.seq, 16));
            Answer { user: name, password, method: b"REGISTER", uri, cnonce, nonce_count }.put_header(
                out,
                "Authorization",
                challenge,
            );
        }
        put!(
            out,
            "Expires: ",
            self.expires,
            "\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, UPDATE\r\nUser-Agent: sipload\r\nContent-Length: 0\r\n\r\n",
        );
    }
}
