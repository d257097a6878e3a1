//! The call workload: callers and callees, both played by this tool, through the server.
//!
//! The caller's side keeps its call in the lane; the callee's side keeps a dialog of its own,
//! since a B2BUA may give the second leg other dialog identifiers. Tags and Call-IDs carry the
//! numbers of the lane and of the callee's dialog, so that requests find them without a table.

mod callee;
mod text;

use crate::digest::Challenge;
use crate::drive::{Branch, Core, Lane, Workload};
use crate::put;
use crate::register::{Identity, put_contact_uri};
use crate::sip::{self, Headers, Name, Values};
use crate::text::split_once;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddrV4;
use text::{put_credentials, put_request_head, put_sdp};

const MILLISECOND: u64 = 1_000_000;
/// Own timers: the end of a call's hold time, and the callee's retransmission of its 200.
const HOLD_OVER: u32 = 0;
const REPEAT_ANSWER: u32 = 1;
/// The pauses of RFC 3261 section 13.3.1.4; the callee gives up after the last.
const ANSWER_PAUSES: [u64; 4] =
    [500 * MILLISECOND, 1000 * MILLISECOND, 2000 * MILLISECOND, 4000 * MILLISECOND];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// INVITE sent, no final response yet.
    Calling,
    /// 2xx received and acknowledged.
    Holding,
    /// BYE sent.
    Ending,
}

/// The caller's side of a call.
#[derive(Default)]
struct Call {
    state: State,
    number: u64,
    caller: usize,
    callee: usize,
    due: u64,
    cseq: u32,
    challenged: bool,
    /// The branch of the INVITE that was accepted, to know its retransmitted 200.
    invite_seq: u64,
    /// The To header with the remote tag.
    to: Vec<u8>,
    /// Route header lines, and the URI that ACK and BYE are addressed to.
    routes: Vec<u8>,
    remote_target: Vec<u8>,
    next_hop: Option<SocketAddrV4>,
    ack: Vec<u8>,
}

/// The callee's side of a call.
#[derive(Default)]
struct Answered {
    number: u64,
    socket: usize,
    to: Option<SocketAddrV4>,
    response: Vec<u8>,
    /// Which of `ANSWER_PAUSES` is running.
    repeats: usize,
    acknowledged: bool,
    key: u64,
}

/// The keys are hashes already.
#[derive(Default)]
struct Identical(u64);

impl Hasher for Identical {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed");
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

pub struct Calls {
    identity: Identity,
    /// Callers are the devices 0 to pairs-1, callees those after them.
    pairs: usize,
    hold: u64,
    /// An INVITE that is not challenged counts as a failure.
    auth: bool,
    run: u64,
    calls: Vec<Call>,
    answered: Vec<Answered>,
    free_answered: Vec<u32>,
    by_invite: HashMap<u64, u32, BuildHasherDefault<Identical>>,
    next_pair: usize,
    scratch: Vec<u8>,
}

impl Calls {
    pub fn new(identity: Identity, hold_ms: u64, auth: bool, core: &mut Core) -> Calls {
        let pairs = identity.device_count() / 2;
        Calls {
            identity,
            pairs,
            hold: hold_ms * MILLISECOND,
            auth,
            run: core.new_seq(),
            calls: Vec::new(),
            answered: Vec::new(),
            free_answered: Vec::new(),
            by_invite: HashMap::default(),
            next_pair: 0,
            scratch: Vec::new(),
        }
    }

    /// Calls that the callees still believe to be up.
    pub fn callees_left(&self) -> usize {
        self.by_invite.len()
    }

    fn fail(&mut self, core: &mut Core, lane: Lane, why: String) {
        self.calls[lane as usize].state = State::Idle;
        core.fail(lane, why);
    }

    // The caller's side.

    fn invite(&mut self, core: &mut Core, lane: Lane, credentials: Option<(&Challenge, &str)>) {
        let call = &mut self.calls[lane as usize];
        call.cseq += 1;
        let (identity, run) = (&self.identity, self.run);
        let (socket, target) = (identity.socket(call.caller), core.net.target);
        core.request(lane, socket, target, true, |out, net, branch| {
            let mut uri = Vec::with_capacity(64);
            put!(&mut uri, "sip:", identity.user(call.callee), identity.user_suffix, "@", identity.domain);
            put_request_head(out, net, identity, run, call, lane, b"INVITE", &uri, branch);
            put!(out, "To: <", uri, ">\r\nContact: <");
            put_contact_uri(out, net, identity, call.caller);
            put!(out, ">\r\n");
            put_credentials(out, identity, call.caller, b"INVITE", &uri, branch, credentials);
            put!(out, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, UPDATE\r\n");
            put!(out, "Supported: replaces\r\nUser-Agent: sipload\r\n");
            put_sdp(out, net, socket);
        });
    }

    fn bye(&mut self, core: &mut Core, lane: Lane, credentials: Option<(&Challenge, &str)>) {
        let call = &mut self.calls[lane as usize];
        call.state = State::Ending;
        call.cseq += 1;
        let (identity, run) = (&self.identity, self.run);
        let socket = identity.socket(call.caller);
        let to = call.next_hop.unwrap_or(core.net.target);
        core.request(lane, socket, to, false, |out, net, branch| {
            put_request_head(out, net, identity, run, call, lane, b"BYE", &call.remote_target, branch);
            put!(out, "To: ", call.to, "\r\n", call.routes);
            put_credentials(out, identity, call.caller, b"BYE", &call.remote_target, branch, credentials);
            put!(out, "User-Agent: sipload\r\nContent-Length: 0\r\n\r\n");
        });
    }

    /// The 2xx to the INVITE: takes the dialog from it and acknowledges it.
    fn answered_by_callee(&mut self, core: &mut Core, lane: Lane, branch: Branch, message: &[u8]) {
        if !sip::has_body(message) {
            return self.fail(core, lane, "INVITE 200 without a body".to_owned());
        }
        let call = &mut self.calls[lane as usize];
        let Some(()) = call.take_dialog(message) else {
            return self.fail(
                core,
                lane,
                "INVITE 200 without To tag or Contact, or with a strict route".to_owned(),
            );
        };
        call.invite_seq = branch.seq;
        call.state = State::Holding;
        core.stats.record("setup", core.now - call.due);

        let ack_branch = Branch { lane, seq: core.new_seq() };
        let mut ack = std::mem::take(&mut call.ack);
        ack.clear();
        put_request_head(
            &mut ack,
            &core.net,
            &self.identity,
            self.run,
            call,
            lane,
            b"ACK",
            &call.remote_target,
            ack_branch,
        );
        put!(
            &mut ack,
            "To: ",
            call.to,
            "\r\n",
            call.routes,
            "User-Agent: sipload\r\nContent-Length: 0\r\n\r\n"
        );
        call.ack = ack;
        self.send_ack(core, lane);
        if self.hold == 0 {
            self.bye(core, lane, None);
        } else {
            let number = self.calls[lane as usize].number;
            core.set_timer(self.hold, HOLD_OVER, number << 20 | u64::from(lane));
        }
    }

    fn send_ack(&self, core: &mut Core, lane: Lane) {
        let call = &self.calls[lane as usize];
        core.net.send(self.identity.socket(call.caller), call.next_hop.unwrap_or(core.net.target), &call.ack);
    }

    /// The ACK to a refused INVITE belongs to the INVITE's transaction; all that it takes stands
    /// in the response.
    fn ack_refusal(&mut self, core: &mut Core, lane: Lane, message: &[u8]) {
        let call = &self.calls[lane as usize];
        let socket = self.identity.socket(call.caller);
        let ack = &mut self.scratch;
        ack.clear();
        put!(ack, "ACK sip:", self.identity.user(call.callee), self.identity.user_suffix, "@");
        put!(ack, self.identity.domain, " SIP/2.0\r\nVia: SIP/2.0/");
        put!(ack, "UDP ", core.net.local(socket), ";rport;branch=");
        if let Some(branch) = Branch::of_response(message) {
            branch.put(ack);
        }
        put!(ack, "\r\nMax-Forwards: 70\r\n");
        for (name, value) in Headers::of(message) {
            match name {
                Name::From => put!(ack, "From: ", value, "\r\n"),
                Name::To => put!(ack, "To: ", value, "\r\n"),
                Name::CallId => put!(ack, "Call-ID: ", value, "\r\n"),
                Name::CSeq => {
                    let number = split_once(value, b' ').map_or(value, |(number, _)| number);
                    put!(ack, "CSeq: ", number, " ACK\r\n");
                }
                _ => {}
            }
        }
        put!(ack, "Content-Length: 0\r\n\r\n");
        core.net.send(socket, core.net.target, ack);
    }

    fn challenged(&mut self, core: &mut Core, lane: Lane, status: u16, message: &[u8]) {
        let (wanted, header) = match status {
            401 => (Name::WwwAuthenticate, "Authorization"),
            _ => (Name::ProxyAuthenticate, "Proxy-Authorization"),
        };
        let algorithm = self.identity.algorithm;
        let challenges = Headers::of(message).filter(|(name, _)| *name == wanted);
        let mut usable = challenges.filter_map(|(_, value)| Challenge::parse(value));
        let Some(challenge) = usable.find(|challenge| challenge.algorithm == algorithm) else {
            return self.fail(core, lane, format!("{status} without a {} challenge", algorithm.name()));
        };
        let has_credentials =
            Headers::of(core.sent_message(lane)).any(|(_, value)| value.starts_with(b"Digest "));
        if has_credentials && !challenge.stale {
            return self.fail(core, lane, format!("{status} to fresh credentials"));
        }
        let call = &mut self.calls[lane as usize];
        call.challenged = true;
        match call.state {
            State::Calling => self.invite(core, lane, Some((&challenge, header))),
            _ => self.bye(core, lane, Some((&challenge, header))),
        }
    }

    fn response(&mut self, core: &mut Core, status: u16, message: &[u8]) {
        let branch = Branch::of_response(message).filter(|branch| (branch.lane as usize) < self.calls.len());
        let Some(branch) = branch else {
            core.stats.note("responses to no open transaction");
            return;
        };
        let lane = branch.lane;
        if !core.is_current(lane, branch.seq) {
            self.late_response(core, branch, status, message);
            return;
        }
        if status < 200 {
            return core.provisional(lane);
        }
        let elapsed = core.close(lane);
        match (self.calls[lane as usize].state, status) {
            (State::Calling, 200..=299) => self.answered_by_callee(core, lane, branch, message),
            (State::Calling, _) => {
                self.ack_refusal(core, lane, message);
                match status {
                    401 | 407 => self.challenged(core, lane, status, message),
                    other => self.fail(core, lane, format!("INVITE {other}")),
                }
            }
            (_, 200) => {
                core.stats.record("teardown", elapsed);
                let call = &mut self.calls[lane as usize];
                call.state = State::Idle;
                // Such a call is carried to its end, so that nothing is left behind.
                if self.auth && !call.challenged {
                    return core.fail(lane, "INVITE not challenged");
                }
                core.complete(lane);
            }
            (_, 401 | 407) => self.challenged(core, lane, status, message),
            (_, other) => self.fail(core, lane, format!("BYE {other}")),
        }
    }

    /// A response whose transaction is over: mostly one that was sent twice.
    fn late_response(&mut self, core: &mut Core, branch: Branch, status: u16, message: &[u8]) {
        let call = &self.calls[branch.lane as usize];
        let to_invite =
            sip::header(message, Name::CSeq).is_some_and(|cseq| sip::cseq_method(cseq) == b"INVITE");
        match status {
            200..=299 if to_invite && call.invite_seq == branch.seq => {
                core.stats.note("repeated 200s acknowledged again");
                self.send_ack(core, branch.lane);
            }
            300.. if to_invite => {
                core.stats.note("repeated refusals acknowledged again");
                self.ack_refusal(core, branch.lane, message);
            }
            // Of two children of one server, one may pass the 200 on before the other its 180.
            100..=199 => core.stats.note("provisional responses after the final one"),
            _ => core.stats.note("responses to no open transaction"),
        }
    }
}

/// What of a call's number fits into a timer beside the 20 bits of its lane or slot.
const NUMBER_MASK: u64 = (1 << 44) - 1;

impl Workload for Calls {
    fn begin(&mut self, core: &mut Core, lane: Lane, due: u64) {
        if self.calls.len() <= lane as usize {
            self.calls.resize_with(lane as usize + 1, Call::default);
        }
        let pair = self.next_pair;
        self.next_pair = (pair + 1) % self.pairs;
        let number = core.new_seq();
        let call = &mut self.calls[lane as usize];
        call.state = State::Calling;
        call.number = number;
        call.caller = pair;
        call.callee = self.pairs + pair;
        call.due = due;
        call.cseq = 0;
        call.challenged = false;
        self.invite(core, lane, None);
    }

    fn message(&mut self, core: &mut Core, socket: usize, from: SocketAddrV4, message: &[u8]) {
        match sip::status(message) {
            Some(status) => self.response(core, status, message),
            None => self.request(core, socket, from, message),
        }
    }

    fn timeout(&mut self, core: &mut Core, lane: Lane) {
        let method = if self.calls[lane as usize].state == State::Calling { "INVITE" } else { "BYE" };
        self.fail(core, lane, format!("{method} timeout"));
    }

    fn timer(&mut self, core: &mut Core, what: u32, seq: u64) {
        let (index, number) = ((seq & 0xf_ffff) as u32, seq >> 20);
        match what {
            HOLD_OVER => {
                let call = &self.calls[index as usize];
                if call.state == State::Holding && call.number & NUMBER_MASK == number {
                    self.bye(core, index, None);
                }
            }
            _ => self.repeat_answer(core, index, number),
        }
    }
}

impl Call {
    /// Remote tag, remote target and route set of a 2xx (RFC 3261 section 12.1.2); `None` when
    /// there is no dialog to be had from it.
    fn take_dialog(&mut self, message: &[u8]) -> Option<()> {
        let to = sip::header(message, Name::To)?;
        sip::param(to, "tag")?;
        let contact = sip::uri(sip::first_value(sip::header(message, Name::Contact)?));
        self.to.clear();
        self.to.extend_from_slice(to);
        self.remote_target.clear();
        self.remote_target.extend_from_slice(contact);
        self.routes.clear();
        let mut hop = None;
        let lines = Headers::of(message).filter(|(name, _)| *name == Name::RecordRoute);
        let routes: Vec<&[u8]> = lines.flat_map(|(_, value)| Values { rest: value }).collect();
        for route in routes.iter().rev() {
            if hop.is_none() {
                hop = Some(sip::uri(route));
            }
            put!(&mut self.routes, "Route: ", route, "\r\n");
        }
        if hop.is_some_and(|hop| sip::param(hop, "lr").is_none()) {
            return None;
        }
        self.next_hop = sip::uri_address(hop.unwrap_or(contact));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:1;branch=z\r\n\
        Record-Route: <sip:10.0.0.1:5061;lr>, <sip:10.0.0.2;lr;x=y>\r\nRecord-Route: <sip:10.0.0.3:5063;lr>\r\n\
        To: <sip:b@x>;tag=abc\r\nContact: \"B\" <sip:b@10.9.9.9:7;transport=udp>;q=1\r\n\r\n";

    #[test]
    fn a_dialog_goes_along_its_route() {
        let mut call = Call::default();
        call.take_dialog(OK).unwrap();
        assert_eq!(call.to, b"<sip:b@x>;tag=abc");
        assert_eq!(call.remote_target, b"sip:b@10.9.9.9:7;transport=udp");
        assert_eq!(
            String::from_utf8(call.routes).unwrap(),
            "Route: <sip:10.0.0.3:5063;lr>\r\nRoute: <sip:10.0.0.2;lr;x=y>\r\nRoute: <sip:10.0.0.1:5061;lr>\r\n"
        );
        assert_eq!(call.next_hop, Some("10.0.0.3:5063".parse().unwrap()));
    }

    #[test]
    fn without_a_route_the_contact_is_next() {
        let mut call = Call::default();
        call.take_dialog(b"SIP/2.0 200 OK\r\nTo: <sip:b@x>;tag=abc\r\nContact: <sip:b@10.9.9.9:7>\r\n\r\n")
            .unwrap();
        assert_eq!(call.next_hop, Some("10.9.9.9:7".parse().unwrap()));
        assert!(call.routes.is_empty());
    }

    #[test]
    fn no_dialog_without_a_tag_or_with_a_strict_route() {
        let mut call = Call::default();
        assert!(
            call.take_dialog(b"SIP/2.0 200 OK\r\nTo: <sip:b@x>\r\nContact: <sip:b@1.1.1.1>\r\n\r\n")
                .is_none()
        );
        let strict =
            b"SIP/2.0 200 OK\r\nTo: <sip:b@x>;tag=a\r\nContact: <sip:b@1.1.1.1>\r\nRecord-Route: <sip:1.1.1.2>\r\n\r\n";
        assert!(call.take_dialog(strict).is_none());
    }
}
