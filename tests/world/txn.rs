//! The phone's transactions over UDP (RFC 3261 §17, RFC 6026), kept apart from the server's.
//!
//! | transaction        | sends again                | until                                  | then |
//! |--------------------|----------------------------|----------------------------------------|------|
//! | client INVITE      | A: T1 doubling             | 1xx; B: 64 T1 is a timeout             | final: ACK (2xx: the phone), absorbs for 64 T1 |
//! | client, cancelled  | –                          | final; 64 T1 after CANCEL: no final    | as above |
//! | client non-INVITE  | E: T1 doubling, at most T2 | final; F: 64 T1 is a timeout           | K: absorbs for T4 |
//! | server INVITE      | final: T1 doubling to T2   | ACK; H: 64 T1 is no ACK                | absorbs for 64 T1 |
//! | server non-INVITE  | when the request comes again | J: 64 T1                             | gone |

use super::Datagram;
use super::sip::{Text, param};
use stationmaster::base::time::Mono;
use std::net::SocketAddr;
use std::time::Duration;

/// Round trip estimate.
pub(crate) const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const T4: Duration = Duration::from_secs(5);
/// 64 T1.
pub(crate) const ALL: Duration = Duration::from_secs(32);

/// What a request was sent for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// REGISTER.
    Register,
    /// The INVITE that begins this call.
    Invite(u32),
    /// An INVITE within this call.
    Reinvite(u32),
    /// The BYE of this call.
    Bye(u32),
    /// The CANCEL of this call.
    Cancel(u32),
    /// An INFO within a call.
    Info,
    /// A request of its own, which must get this code.
    Probe(u16),
}

/// A client transaction.
#[derive(Debug)]
pub(crate) struct Client {
    /// The request.
    pub(crate) request: Text,
    /// What it was sent for.
    pub(crate) purpose: Purpose,
    /// The final answer, or 408 after a timeout.
    pub(crate) answered: Option<u16>,
    /// Whether a 1xx came.
    pub(crate) proceeding: bool,
    to: SocketAddr,
    interval: Duration,
    resend_at: Option<Mono>,
    ends_at: Option<Mono>,
    ack: Option<Vec<u8>>,
    abandoned: bool,
}

/// What a response is to a client transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    /// The first of its kind: look at it.
    News,
    /// A 2xx to INVITE once more: its ACK must be sent again.
    Again,
    /// Nothing to do.
    Old,
    /// A second, different final answer.
    Contradiction(u16),
}

/// What the end of a wait is to a client transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ClientEnd {
    /// No final answer came.
    Timeout,
    /// CANCEL was sent and still no final answer came.
    NoFinal,
    /// The connection broke before the final answer.
    Broken,
}

impl Client {
    /// Sends a request.
    pub(crate) fn new(
        now: Mono,
        request: Text,
        to: SocketAddr,
        purpose: Purpose,
        out: &mut Vec<Datagram>,
    ) -> Self {
        out.push(Datagram { to, bytes: request.write() });
        let reliable = is_reliable(&request);
        Self {
            request,
            purpose,
            answered: None,
            proceeding: false,
            to,
            interval: T1,
            resend_at: (!reliable).then(|| now + T1),
            ends_at: Some(now + ALL),
            ack: None,
            abandoned: false,
        }
    }

    /// Whether it is an INVITE's.
    pub(crate) fn is_invite(&self) -> bool {
        self.request.method() == "INVITE"
    }

    /// Whether this response is to it (§17.1.3).
    pub(crate) fn matches(&self, response: &Text) -> bool {
        self.request.branch() == response.branch() && self.request.method() == response.cseq().1
    }

    /// Takes a response in.
    pub(crate) fn hear(&mut self, now: Mono, response: &Text, out: &mut Vec<Datagram>) -> Heard {
        let code = response.code();
        match self.answered {
            None if code < 200 => {
                self.proceeding = true;
                if self.is_invite() {
                    self.resend_at = None;
                    self.ends_at = self.ends_at.filter(|_| self.abandoned);
                } else {
                    self.interval = T2;
                }
                Heard::News
            }
            None => {
                self.answered = Some(code);
                self.resend_at = None;
                self.ends_at = Some(now + if self.is_invite() { ALL } else { T4 });
                if self.is_invite() && code >= 300 {
                    self.ack = Some(self.ack_of(response).write());
                }
                out.extend(self.ack.clone().map(|bytes| Datagram { to: self.to, bytes }));
                Heard::News
            }
            Some(_) if code < 200 => Heard::Old,
            // A REGISTER is answered without a transaction: a copy of it that arrives after the
            // nonce was used again is stale, which the phone no longer waits to hear.
            Some(_) if self.request.method() == "REGISTER" => Heard::Old,
            Some(first) if first != code && first != 408 => Heard::Contradiction(first),
            Some(_) if self.is_invite() && code < 300 => Heard::Again,
            Some(_) => {
                out.extend(self.ack.clone().map(|bytes| Datagram { to: self.to, bytes }));
                Heard::Old
            }
        }
    }

    /// The ACK of a final answer other than 2xx (§17.1.1.3).
    fn ack_of(&self, response: &Text) -> Text {
        let mut ack = Text::request("ACK", self.request.uri());
        for name in ["via", "from", "call-id", "max-forwards"] {
            ack = ack.with(name, self.request.text(name));
        }
        ack.with("to", response.text("to")).with("cseq", format!("{} ACK", self.request.cseq().0))
    }

    /// Its connection is gone; whether it waited for an answer.
    pub(crate) fn broke(&mut self, now: Mono) -> bool {
        let waited = self.answered.is_none();
        if waited {
            self.answered = Some(408);
            self.ends_at = Some(now + ALL);
        }
        waited
    }

    /// CANCEL was sent: the final answer must come in 64 T1 (§9.1).
    pub(crate) fn cancelled(&mut self, now: Mono) {
        self.abandon(now);
    }

    /// The dialog it belongs to is over.
    pub(crate) fn abandon(&mut self, now: Mono) {
        if self.answered.is_none() {
            self.ends_at = Some(now + ALL);
            self.abandoned = true;
        }
    }

    /// What is due; the second value says that it is over and can be forgotten.
    pub(crate) fn fire(&mut self, now: Mono, out: &mut Vec<Datagram>) -> (Option<ClientEnd>, bool) {
        if self.ends_at.is_some_and(|due| due <= now) {
            if self.answered.is_some() {
                return (None, true);
            }
            let end =
                if self.proceeding && self.is_invite() { ClientEnd::NoFinal } else { ClientEnd::Timeout };
            self.answered = Some(408);
            self.resend_at = None;
            self.ends_at = Some(now + ALL);
            return (Some(end), false);
        }
        if self.resend_at.is_some_and(|due| due <= now) {
            out.push(Datagram { to: self.to, bytes: self.request.write() });
            self.interval = if self.is_invite() { self.interval * 2 } else { (self.interval * 2).min(T2) };
            self.resend_at = Some(now + self.interval);
        }
        (None, false)
    }

    /// When to fire next.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.resend_at.into_iter().chain(self.ends_at).min()
    }
}

/// A server transaction.
#[derive(Debug)]
pub(crate) struct Server {
    /// The request.
    pub(crate) request: Text,
    /// The call it belongs to, if any.
    pub(crate) call: Option<u32>,
    /// The final answer sent.
    pub(crate) answered: Option<u16>,
    /// Whether the ACK came.
    pub(crate) acked: bool,
    from: SocketAddr,
    last: Option<Vec<u8>>,
    interval: Duration,
    resend_at: Option<Mono>,
    ends_at: Option<Mono>,
}

/// What the end of a wait is to a server transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ServerEnd {
    /// Nothing more to do: forget it.
    Gone,
    /// A 2xx was never acknowledged (§13.3.1.4).
    NoAck,
}

impl Server {
    /// A request that was not seen before.
    pub(crate) fn new(request: Text, from: SocketAddr, call: Option<u32>) -> Self {
        Self {
            request,
            call,
            answered: None,
            acked: false,
            from,
            last: None,
            interval: T1,
            resend_at: None,
            ends_at: None,
        }
    }

    /// Whether it is an INVITE's.
    pub(crate) fn is_invite(&self) -> bool {
        self.request.method() == "INVITE"
    }

    /// Whether this request is its request again (§17.2.3), or the ACK or CANCEL of it.
    pub(crate) fn same_branch(&self, request: &Text) -> bool {
        self.request.branch() == request.branch()
            && sent_by(self.request.text("via")) == sent_by(request.text("via"))
    }

    /// Sends an answer; `more` are fields and body beyond those copied from the request.
    pub(crate) fn answer(&mut self, now: Mono, code: u16, to_tag: &str, more: Text, out: &mut Vec<Datagram>) {
        if self.answered.is_some() {
            return;
        }
        let response = answer_to(&self.request, self.from, code, to_tag, more);
        self.last = Some(response.write());
        self.repeat(out);
        if code < 200 {
            return;
        }
        self.answered = Some(code);
        self.ends_at = Some(now + ALL);
        // A 2xx is sent again over connections, too (§13.3.1.4).
        if self.is_invite() && (code < 300 || !is_reliable(&self.request)) {
            self.resend_at = Some(now + T1);
        }
    }

    /// Whether it accepted an INVITE and has heard no ACK.
    pub(crate) fn is_unsure(&self) -> bool {
        self.is_invite() && self.answered.is_some_and(|code| code < 300) && !self.acked
    }

    /// The request came again.
    pub(crate) fn repeat(&self, out: &mut Vec<Datagram>) {
        out.extend(self.last.clone().map(|bytes| Datagram { to: self.from, bytes }));
    }

    /// The ACK of the final answer came.
    pub(crate) fn acked(&mut self) {
        self.acked = true;
        self.resend_at = None;
    }

    /// What is due.
    pub(crate) fn fire(&mut self, now: Mono, out: &mut Vec<Datagram>) -> Option<ServerEnd> {
        if self.ends_at.is_some_and(|due| due <= now) {
            let unheard = self.is_invite() && self.answered.is_some_and(|code| code < 300) && !self.acked;
            return Some(if unheard { ServerEnd::NoAck } else { ServerEnd::Gone });
        }
        if self.resend_at.is_some_and(|due| due <= now) {
            self.repeat(out);
            self.interval = (self.interval * 2).min(T2);
            self.resend_at = Some(now + self.interval);
        }
        None
    }

    /// When to fire next.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.resend_at.into_iter().chain(self.ends_at).min()
    }
}

/// Whether a response repeats what it must of its request (RFC 3261 §8.2.6.2, RFC 3581 §4).
pub(crate) fn fits(request: &Text, response: &Text, public: SocketAddr) -> Result<(), String> {
    for name in ["from", "call-id", "cseq"] {
        if request.field(name) != response.field(name) {
            return Err(format!("{name} is {:?} for {:?}", response.field(name), request.field(name)));
        }
    }
    if response.fields("via").count() != 1 {
        return Err(format!("{} Vias", response.fields("via").count()));
    }
    let via = response.text("via");
    let rport = param(via, "rport").and_then(|port| port.parse().ok());
    if rport != Some(public.port()) {
        return Err(format!("rport {rport:?} for {public}"));
    }
    let received =
        param(via, "received").unwrap_or_else(|| via.split([' ', ':', ';']).nth(1).unwrap_or_default());
    if received != public.ip().to_string() {
        return Err(format!("received {received} for {public}"));
    }
    match (request.tag("to"), response.tag("to")) {
        (None, None) if response.code() > 100 => Err("no To tag".to_owned()),
        (Some(sent), came) if came != Some(sent) => Err(format!("To tag {came:?} for {sent:?}")),
        _ => Ok(()),
    }
}

/// A response as a phone writes it (§8.2.6); `more` are fields and body beyond those copied from the
/// request, which came from `from`.
pub(crate) fn answer_to(request: &Text, from: SocketAddr, code: u16, to_tag: &str, more: Text) -> Text {
    let mut response = Text { start: format!("SIP/2.0 {code} {}", phrase(code)), ..Text::default() };
    for (name, value) in &request.fields {
        if name == "via" {
            response = response.with(name, stamped(value, from));
        } else if ["from", "call-id", "cseq"].contains(&&**name) {
            response = response.with(name, value.as_str());
        }
    }
    let to = request.text("to");
    let to =
        if request.tag("to").is_some() || code == 100 { to.to_owned() } else { format!("{to};tag={to_tag}") };
    response = response.with("to", to);
    response.fields.extend(more.fields);
    response.body = more.body;
    response
}

/// A Via with the source address in it, where it asks for that (RFC 3581 §4).
fn stamped(via: &str, from: SocketAddr) -> String {
    let stamp = format!(";rport={};received={}", from.port(), from.ip());
    if via.contains(";rport;") || via.ends_with(";rport") {
        via.replacen(";rport", &stamp, 1)
    } else {
        via.to_owned()
    }
}

fn is_reliable(request: &Text) -> bool {
    request.text("via").starts_with("SIP/2.0/TCP")
}

/// Host and port, whatever the transport: a request may come by two.
fn sent_by(via: &str) -> &str {
    via.split([' ', ';']).nth(1).unwrap_or_default()
}

fn phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        603 => "Decline",
        _ => "Whatever",
    }
}
