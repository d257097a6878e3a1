//! The phone of a script: derives what a phone derives, and does nothing by itself.

use super::{Actor, Kind, Message, Word};
use crate::world::digest::Challenge;
use crate::world::network::Signal;
use crate::world::server::DOMAIN;
use crate::world::sip::{self, Text, param};
use crate::world::txn::{answer_to, fits};
use stationmaster::base::rng::Rng;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// A dialog, or one that is about to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialog {
    call_id: String,
    local: String,
    remote: String,
    target: String,
    cseq: u32,
}

/// The phone.
#[derive(Debug)]
pub(super) struct Phone {
    pub(super) actor: Actor,
    pub(super) address: SocketAddr,
    /// What it believes its address to be: another one behind a NAT.
    private: SocketAddr,
    /// What came and was not read yet.
    pub(super) inbox: VecDeque<Text>,
    pub(super) connected: bool,
    buffer: Vec<u8>,
    rng: Rng,
    registering: Dialog,
    pub(super) dialog: Dialog,
    challenge: Option<(Challenge, u32)>,
    /// The latest INVITE sent, and its final answer.
    invite: Option<(Text, Option<Text>)>,
    /// Requests sent, and what is to be answered: with our tag, and whether it has its final answer.
    sent: Vec<Text>,
    asked: Vec<(Text, String, bool)>,
    answered: Vec<Text>,
    read: Vec<Text>,
    sessions: u32,
}

impl Phone {
    pub(super) fn new(actor: Actor, number: u8, mut rng: Rng) -> Self {
        let aor = format!("<sip:{}@{DOMAIN}>", actor.login);
        let registering = Dialog {
            call_id: format!("{:016x}", rng.bits()),
            local: format!("{aor};tag={:08x}", rng.below(1 << 32)),
            remote: aor,
            target: format!("sip:{DOMAIN}"),
            cseq: 0,
        };
        let address = SocketAddr::from(([203, 0, 113, number], 5060));
        let private = if actor.nat { ([10, 0, 0, number], 5060).into() } else { address };
        Self {
            actor,
            address,
            private,
            inbox: VecDeque::new(),
            connected: false,
            buffer: Vec::new(),
            rng,
            registering,
            dialog: Dialog::default(),
            challenge: None,
            invite: None,
            sent: Vec::new(),
            asked: Vec::new(),
            answered: Vec::new(),
            read: Vec::new(),
            sessions: 0,
        }
    }

    /// Takes in what a connection brings.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<(), String> {
        match signal {
            Signal::Bytes(bytes) => {
                self.buffer.extend(bytes);
                while let Some(message) = sip::cut(&mut self.buffer) {
                    self.hear(&message)?;
                }
            }
            Signal::Close | Signal::Reset => self.hang_up(),
            Signal::Open | Signal::Accept => {
                return Err(format!("somebody connects to {}", self.actor.name));
            }
        }
        Ok(())
    }

    /// Its connection is gone; the next has another port.
    pub(super) fn hang_up(&mut self) {
        if std::mem::take(&mut self.connected) {
            self.buffer.clear();
            self.address.set_port(self.address.port() + 1);
            self.private.set_port(self.private.port() + 1);
        }
    }

    /// Takes in a message.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Result<(), String> {
        let name = &self.actor.name;
        let text = Text::read(bytes).map_err(|error| format!("{name} cannot read what came: {error}"))?;
        if text.is_response() {
            let request = self
                .sent
                .iter()
                .rev()
                .find(|request| request.branch() == text.branch() && request.method() == text.cseq().1);
            let Some(request) = request else {
                return Err(format!("{name} got {} to what it did not ask", text.start));
            };
            fits(request, &text, self.address).map_err(|what| format!("{name}: {what} in {}", text.start))?;
            self.learn(&text);
        } else if text.method() != "ACK" {
            let known = self
                .asked
                .iter()
                .any(|(asked, ..)| (asked.branch(), asked.method()) == (text.branch(), text.method()));
            if !known {
                self.asked_for(&text);
            }
        }
        self.inbox.push_back(text);
        Ok(())
    }

    /// What a response says of challenge and dialog.
    fn learn(&mut self, response: &Text) {
        if matches!(response.code(), 401 | 407) {
            self.challenge = Challenge::of(response, false).map(|challenge| (challenge, 1));
        }
        if response.cseq().1 != "INVITE" {
            return;
        }
        if let Some((invite, answer)) = &mut self.invite
            && invite.branch() == response.branch()
            && response.code() >= 200
        {
            *answer = Some(response.clone());
        }
        if (101..300).contains(&response.code()) {
            response.text("to").clone_into(&mut self.dialog.remote);
            if let Some(contact) = response.field("contact") {
                sip::uri(contact).clone_into(&mut self.dialog.target);
            }
        }
    }

    fn asked_for(&mut self, request: &Text) {
        let tag = request.tag("to").map_or_else(|| self.token(), str::to_owned);
        if request.method() == "INVITE" {
            if request.tag("to").is_none() {
                self.dialog = Dialog {
                    call_id: request.text("call-id").to_owned(),
                    local: format!("{};tag={tag}", request.text("to")),
                    remote: request.text("from").to_owned(),
                    target: String::new(),
                    cseq: 0,
                };
            }
            sip::uri(request.text("contact")).clone_into(&mut self.dialog.target);
        }
        self.asked.push((request.clone(), tag, false));
    }

    /// What the script says it sends; `foreign` is another phone's dialog.
    pub(super) fn send(&mut self, message: &Message, foreign: Option<&Dialog>) -> Result<Vec<u8>, String> {
        let has = |word: &Word| message.words.contains(word);
        match &message.kind {
            Kind::Request(method) if has(&Word::Again) => {
                let latest = self.sent.iter().rev().find(|request| request.method() == method);
                latest.map(Text::write).ok_or_else(|| format!("it sent no {method} before"))
            }
            Kind::Request(method) => {
                let request = self.request(method, message, foreign)?;
                let bytes = request.write();
                self.sent.push(request);
                Ok(bytes)
            }
            Kind::Response(code, _) if has(&Word::Again) => {
                let latest = self.answered.iter().rev().find(|response| response.code() == *code);
                latest.map(Text::write).ok_or_else(|| format!("it sent no {code} before"))
            }
            Kind::Response(code, method) => {
                let sdp = has(&Word::Sdp).then(|| self.describe());
                let fits = |(asked, _, done): &&mut (Text, String, bool)| {
                    !*done && method.as_ref().is_none_or(|method| asked.method() == method)
                };
                let contact = self.contact();
                let Some((request, tag, done)) = self.asked.iter_mut().rev().find(fits) else {
                    return Err("there is nothing to answer".to_owned());
                };
                *done = *code >= 200;
                let mut more = Text::default();
                if request.method() == "INVITE" && *code < 300 {
                    more = more.with("Contact", format!("<{contact}>"));
                }
                let more = more.with_sdp(&sdp.unwrap_or_default());
                let response = answer_to(request, self.address, *code, tag, more);
                let bytes = response.write();
                self.answered.push(response);
                Ok(bytes)
            }
        }
    }

    fn request(&mut self, method: &str, message: &Message, foreign: Option<&Dialog>) -> Result<Text, String> {
        let to = message.words.iter().find_map(|word| match word {
            Word::To(to) => Some(to.clone()),
            _ => None,
        });
        let auth = message.words.iter().find_map(|word| match word {
            Word::Auth { wrong } => Some(*wrong),
            _ => None,
        });
        let mut request = match (method, to) {
            ("ACK" | "CANCEL", _) if foreign.is_none() => self.of_invite(method)?,
            ("REGISTER", _) => self.register(message),
            (_, Some(to)) => self.new_call(method, &to, auth.is_some()),
            _ => self.in_dialog(method, foreign)?,
        };
        if matches!(method, "INVITE" | "UPDATE") {
            request = request.with("Contact", format!("<{}>", self.contact()));
        }
        if let Some(wrong) = auth {
            request = self.authorized(request, wrong)?;
        }
        if message.words.contains(&Word::Sdp) {
            request = request.with_sdp(&self.describe());
        }
        if method == "INVITE" {
            self.invite = Some((request.clone(), None));
        }
        Ok(request)
    }

    fn blank(&mut self, method: &str, dialog: &Dialog) -> Text {
        let via = if self.actor.tcp { "TCP" } else { "UDP" };
        let branch = self.token();
        Text::request(method, &dialog.target)
            .with("Via", format!("SIP/2.0/{via} {};rport;branch=z9hG4bK{branch}", self.private))
            .with("Max-Forwards", "70")
            .with("From", &*dialog.local)
            .with("To", &*dialog.remote)
            .with("Call-ID", &*dialog.call_id)
            .with("CSeq", format!("{} {method}", dialog.cseq))
    }

    fn register(&mut self, message: &Message) -> Text {
        self.registering.cseq += 1;
        let dialog = self.registering.clone();
        let request = self.blank("REGISTER", &dialog);
        let mut instance = String::new();
        if !self.actor.bare {
            let number =
                self.private.ip().to_string().bytes().fold(7, |hash, byte| hash * 31 + u64::from(byte));
            instance =
                format!(";+sip.instance=\"<urn:uuid:0f4c1a2e-7b3d-4c5e-8f90-{:012x}>\"", number % (1 << 48));
        }
        let contact = format!("<{}>{instance}", self.contact());
        for word in &message.words {
            match word {
                Word::ContactStar => return request.with("Contact", "*").with("Expires", "0"),
                Word::ContactNone => return request,
                Word::Expires(secs) => return request.with("Contact", format!("{contact};expires={secs}")),
                _ => {}
            }
        }
        request.with("Contact", contact)
    }

    /// A request outside of a dialog; an INVITE that was challenged keeps its Call-ID (§22.1).
    fn new_call(&mut self, method: &str, to: &str, authorized: bool) -> Text {
        let challenged = self.invite.as_ref().is_some_and(|(invite, answer)| {
            let code = answer.as_ref().map_or(0, Text::code);
            method == "INVITE" && invite.method() == method && matches!(code, 401 | 407)
        });
        if !(authorized && challenged) {
            let target = format!("sip:{to}@{DOMAIN}");
            let (call_id, tag) = (self.token(), self.token());
            self.dialog = Dialog {
                call_id,
                local: format!("<sip:{}@{DOMAIN}>;tag={tag}", self.actor.login),
                remote: format!("<{target}>"),
                target,
                cseq: 0,
            };
        }
        self.dialog.cseq += 1;
        let dialog = self.dialog.clone();
        self.blank(method, &dialog)
    }

    fn in_dialog(&mut self, method: &str, foreign: Option<&Dialog>) -> Result<Text, String> {
        let own = &mut self.dialog;
        let dialog = match foreign {
            Some(dialog) => Dialog { cseq: dialog.cseq + 1, ..dialog.clone() },
            None if own.call_id.is_empty() => return Err(format!("{method} needs to= or a dialog")),
            None => {
                own.cseq += 1;
                own.clone()
            }
        };
        Ok(self.blank(method, &dialog))
    }

    /// The ACK or CANCEL of the latest INVITE.
    fn of_invite(&mut self, method: &str) -> Result<Text, String> {
        let Some((invite, answer)) = self.invite.clone() else {
            return Err(format!("{method} needs an INVITE before"));
        };
        let cseq = format!("{} {method}", invite.cseq().0);
        let to = match &answer {
            Some(answer) if method == "ACK" && answer.code() < 300 => {
                let mut ack = self.blank("ACK", &self.dialog.clone());
                ack.fields.retain(|(name, _)| name != "CSeq");
                return Ok(ack.with("CSeq", cseq));
            }
            Some(answer) if method == "ACK" => answer.text("to"),
            _ => invite.text("to"),
        };
        let mut request = Text::request(method, invite.uri());
        for name in ["via", "max-forwards", "from", "call-id"] {
            request = request.with(name, invite.text(name));
        }
        Ok(request.with("to", to).with("cseq", cseq))
    }

    fn authorized(&mut self, request: Text, wrong: bool) -> Result<Text, String> {
        let cnonce = self.token();
        let Some((challenge, nc)) = &mut self.challenge else {
            return Err("there was no challenge to answer".to_owned());
        };
        let password = if wrong { "Wrong" } else { &self.actor.password };
        let name = if request.method() == "REGISTER" { "Authorization" } else { "Proxy-Authorization" };
        let answer =
            challenge.answer(&self.actor.login, password, request.method(), request.uri(), *nc, &cnonce);
        *nc += 1;
        Ok(request.with(name, answer))
    }

    fn describe(&mut self) -> String {
        self.sessions += 1;
        let (name, number, ip) = (&self.actor.name, self.sessions, self.private.ip());
        format!(
            "v=0\r\no={name} 1 {number} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio 40000 RTP/AVP 0\r\na=sendrecv\r\n"
        )
    }

    fn contact(&self) -> String {
        let transport = if self.actor.tcp { ";transport=tcp" } else { "" };
        // The port of a connection is nobody's business.
        format!("sip:{}@{}:5060{transport}", self.actor.login, self.private.ip())
    }

    fn token(&mut self) -> String {
        format!("{:016x}", self.rng.bits())
    }

    /// Whether what came is what was expected; what it should have been otherwise.
    pub(super) fn check(&mut self, came: &Text, message: &Message) -> Result<(), String> {
        let right_kind = match &message.kind {
            Kind::Request(method) => came.method() == method,
            Kind::Response(code, method) => {
                let answers = method.as_ref().is_none_or(|method| came.cseq().1 == method);
                came.code() == *code && answers
            }
        };
        if !right_kind {
            return Err(format!("it is {} ({})", came.start, came.cseq().1));
        }
        for word in &message.words {
            self.check_word(came, word)?;
        }
        self.read.push(came.clone());
        Ok(())
    }

    fn check_word(&self, came: &Text, word: &Word) -> Result<(), String> {
        let contacts = || came.fields("contact").flat_map(sip::list);
        let own = || contacts().find(|contact| sip::uri(contact) == self.contact());
        let expires = || own().and_then(|contact| param(contact, "expires")?.parse::<u32>().ok());
        let (right, found) = match word {
            Word::Expires(secs) => (expires() == Some(*secs), format!("expires {:?}", expires())),
            Word::ExpiresAbout(secs) => {
                let range = secs - secs / 20..=*secs;
                (expires().is_some_and(|secs| range.contains(&secs)), format!("expires {:?}", expires()))
            }
            Word::Contacts(count) => {
                (contacts().count() == *count, format!("{} contacts", contacts().count()))
            }
            Word::Has(name) => (came.field(name).is_some(), format!("no {name}")),
            Word::HasNot(name) => (came.field(name).is_none(), format!("{name}: {}", came.text(name))),
            Word::Sdp => (came.body.starts_with("v=0"), "no session description".to_owned()),
            Word::NoSdp => (came.body.is_empty(), "a body".to_owned()),
            Word::Stale => (Challenge::of(came, false).is_some_and(|it| it.stale), "not stale".to_owned()),
            Word::Again => {
                let same = |read: &Text| read.write() == came.write();
                (self.read.iter().any(same), "it is another".to_owned())
            }
            Word::Reason(reason) => {
                let found = came.start.splitn(3, ' ').nth(2).unwrap_or_default();
                (found == reason, format!("{found:?}"))
            }
            other => return Err(format!("{other:?} cannot be expected")),
        };
        if right { Ok(()) } else { Err(format!("{word:?}: {found}")) }
    }
}
