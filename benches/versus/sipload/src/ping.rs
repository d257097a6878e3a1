//! The ping workload: packets of the sizes of a REGISTER cycle, to a server that echoes them.

use crate::digest::{Algorithm, Challenge};
use crate::drive::{Branch, Core, Lane, Workload};
use crate::register::{Identity, RegisterRequest};
use std::net::SocketAddrV4;

pub struct Ping {
    identity: Identity,
    next: usize,
    due: Vec<u64>,
}

impl Ping {
    pub fn new(identity: Identity) -> Ping {
        Ping { identity, next: 0, due: Vec::new() }
    }
}

impl Workload for Ping {
    /// By turns a REGISTER without and with credentials.
    fn begin(&mut self, core: &mut Core, lane: Lane, due: u64) {
        if self.due.len() <= lane as usize {
            self.due.resize(lane as usize + 1, 0);
        }
        self.due[lane as usize] = due;
        let sample = Challenge {
            realm: self.identity.domain.as_bytes(),
            nonce: b"ZyH0LmchMwJPf0Yd5dYbm1pR6UZ8q1cE",
            opaque: None,
            algorithm: Algorithm::Md5,
            qop_auth: true,
            stale: false,
        };
        let number = self.next;
        self.next += 1;
        let register = RegisterRequest {
            identity: &self.identity,
            device: (number / 2) % self.identity.device_count(),
            run: 1,
            cseq: 1,
            expires: 3600,
            instance_ids: false,
            credentials: (number % 2 == 1).then_some((&sample, 1)),
        };
        let (socket, target) = (self.identity.socket(register.device), core.net.target);
        core.request(lane, socket, target, false, |out, net, branch| register.put(out, net, branch));
    }

    fn message(&mut self, core: &mut Core, _socket: usize, _from: SocketAddrV4, message: &[u8]) {
        let Some(branch) =
            Branch::of_response(message).filter(|branch| core.is_current(branch.lane, branch.seq))
        else {
            core.stats.note("packets that belong to nothing");
            return;
        };
        core.close(branch.lane);
        core.stats.responses += 1;
        if message != core.sent_message(branch.lane) {
            return core.fail(branch.lane, "packet came back changed");
        }
        core.stats.record("round trip", core.now - self.due[branch.lane as usize]);
        core.complete(branch.lane);
    }

    fn timeout(&mut self, core: &mut Core, lane: Lane) {
        core.fail(lane, "no reply");
    }
}
