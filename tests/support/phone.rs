//! A scripted phone: knows its account, counts its requests, answers challenges, keeps no state of
//! its own beyond that. Everything it sends can be changed before it goes out.

use super::PATIENCE;
use super::chance::Chance;
use super::server::{DOMAIN, Server, password};
use super::sip::{Message, Peer, parameter};
use md5::{Digest, Md5};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How long the answer of a server that may be gone is waited for.
const BRIEFLY: Duration = Duration::from_millis(500);

/// A session description that says nothing.
pub(crate) const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A phone with one account.
#[derive(Debug)]
pub(crate) struct Phone {
    pub(crate) peer: Peer,
    /// Login name.
    pub(crate) user: String,
    pub(crate) password: String,
    /// The UUID in `+sip.instance`, if it sends one.
    pub(crate) instance: Option<String>,
    pub(crate) agent: String,
    pub(crate) call_id: String,
    pub(crate) tag: String,
    pub(crate) cseq: u32,
    server: SocketAddr,
    chance: Chance,
    /// Method and branch of the requests that [`awaits`](Self::awaits) gave out.
    given: BTreeSet<(String, String)>,
}

impl Phone {
    /// A phone of extension `number` of tenant `acme` with its right password and an instance of its
    /// own, over UDP from 127.0.0.1.
    pub(crate) fn new(server: &Server, number: &str) -> Self {
        Self::at(server, number, Ipv4Addr::LOCALHOST)
    }

    /// The same from another address.
    pub(crate) fn at(server: &Server, number: &str, from: impl Into<IpAddr>) -> Self {
        Self::of(Peer::udp(from.into(), server.sip()), server.sip(), number)
    }

    /// The same over TCP.
    pub(crate) fn over_tcp(server: &Server, number: &str) -> Self {
        Self::of(Peer::tcp(Ipv4Addr::LOCALHOST.into(), server.sip()), server.sip(), number)
    }

    /// The same over any socket.
    pub(crate) fn of(peer: Peer, server: SocketAddr, number: &str) -> Self {
        let mut chance = Chance::new();
        Self {
            peer,
            user: format!("{number}-acme"),
            password: password(number),
            instance: Some(chance.uuid()),
            agent: "Signalbox/1.0".to_owned(),
            call_id: chance.token(),
            tag: chance.token(),
            cseq: 0,
            server,
            chance,
            given: BTreeSet::new(),
        }
    }

    /// With another password.
    pub(crate) fn with_password(mut self, password: &str) -> Self {
        self.password = password.to_owned();
        self
    }

    /// Without `+sip.instance`.
    pub(crate) fn without_instance(mut self) -> Self {
        self.instance = None;
        self
    }

    /// The same phone on another socket, as after a change of address or transport.
    pub(crate) fn move_to(&mut self, peer: Peer) {
        self.peer = peer;
    }

    /// The same phone after a reboot: it has forgotten its Call-ID and its count.
    pub(crate) fn reboot(&mut self) {
        (self.call_id, self.tag, self.cseq) = (self.chance.token(), self.chance.token(), 0);
    }

    /// The user's address-of-record.
    pub(crate) fn aor(&self) -> String {
        format!("sip:{}@{DOMAIN}", self.user)
    }

    /// The URI by which it wants to be reached.
    pub(crate) fn contact_uri(&self) -> String {
        let transport = match self.peer.transport() {
            "UDP" => "",
            "TCP" => ";transport=tcp",
            "TLS" => ";transport=tls",
            _ => ";transport=ws",
        };
        format!("sip:{}@{}{transport}", self.user, self.peer.local())
    }

    /// Its Contact, with its instance if it has one.
    pub(crate) fn contact(&self) -> String {
        let instance = self.instance.as_ref().map(|uuid| format!(";+sip.instance=\"<urn:uuid:{uuid}>\""));
        format!("<{}>{}", self.contact_uri(), instance.unwrap_or_default())
    }

    /// A Via for a new transaction.
    pub(crate) fn via(&mut self) -> String {
        let (transport, local) = (self.peer.transport(), self.peer.local());
        format!("SIP/2.0/{transport} {local};rport;branch=z9hG4bK{}", self.chance.token())
    }

    /// A request outside any dialog, to a Call-ID of its own.
    pub(crate) fn request(&mut self, method: &str, to: &str) -> Message {
        let uri = if method == "REGISTER" { format!("sip:{DOMAIN}") } else { to.to_owned() };
        let mut request = Message::request(method, &uri);
        self.cseq += 1;
        let call_id = if method == "REGISTER" { self.call_id.clone() } else { self.chance.token() };
        request.add("Via", self.via());
        request.add("Max-Forwards", 70);
        request.add("From", format!("<{}>;tag={}", self.aor(), self.tag));
        request.add("To", format!("<{to}>"));
        request.add("Call-ID", call_id);
        request.add("CSeq", format!("{} {method}", self.cseq));
        request.add("User-Agent", &self.agent);
        request
    }

    /// A REGISTER of its Contact for an hour.
    pub(crate) fn register_request(&mut self) -> Message {
        let aor = self.aor();
        let mut request = self.request("REGISTER", &aor);
        request.add("Contact", self.contact()).add("Expires", 3600);
        request
    }

    /// The same request again with credentials that answer a challenge: a new transaction with the
    /// next CSeq.
    pub(crate) fn signed(&mut self, request: &Message, challenge: &Message) -> Message {
        self.signed_with(request, &Challenge::of(challenge), 1)
    }

    /// As [`signed`](Self::signed), with this nonce and count.
    pub(crate) fn signed_with(&mut self, request: &Message, challenge: &Challenge, count: u32) -> Message {
        let mut request = request.clone();
        let method = request.method().to_owned();
        self.cseq += 1;
        request.set("Via", self.via()).set("CSeq", format!("{} {method}", self.cseq));
        let cnonce = self.chance.token();
        let Challenge { field, realm, nonce } = challenge;
        let (user, uri) = (&self.user, request.uri().to_owned());
        let secret = hex(&format!("{user}:{realm}:{}", self.password));
        let response =
            hex(&format!("{secret}:{nonce}:{count:08x}:{cnonce}:auth:{}", hex(&format!("{method}:{uri}"))));
        request.set(
            field,
            format!(
                "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
                 response=\"{response}\", algorithm=MD5, cnonce=\"{cnonce}\", qop=auth, nc={count:08x}"
            ),
        );
        request
    }

    /// Sends a request; its final answer.
    ///
    /// # Panics
    /// If none comes in time.
    pub(crate) fn ask(&mut self, request: &Message) -> Message {
        self.send(request);
        self.answer_to(request)
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &Message) {
        self.peer.send(message.to_string().as_bytes());
    }

    /// The final answer to a request that was sent.
    ///
    /// # Panics
    /// If none comes in time.
    pub(crate) fn answer_to(&mut self, request: &Message) -> Message {
        self.answer_within(request, PATIENCE).unwrap_or_else(|| panic!("no answer to\n{request}"))
    }

    fn answer_within(&mut self, request: &Message, wait: Duration) -> Option<Message> {
        loop {
            let message = self.peer.hear_within(wait)?;
            let same = ["Call-ID", "CSeq"].iter().all(|name| message.field(name) == request.field(name));
            if same && message.status() >= 200 {
                return Some(message);
            }
        }
    }

    /// Sends a request and, if it is challenged, the same with credentials; the last answer. An
    /// INVITE that is refused is acknowledged.
    ///
    /// # Panics
    /// If an answer does not come in time.
    pub(crate) fn sign_in(&mut self, request: &Message) -> Message {
        let challenge = self.ask(request);
        self.acknowledge_refusal(request, &challenge);
        if !matches!(challenge.status(), 401 | 407) {
            return challenge;
        }
        let signed = self.signed(request, &challenge);
        let answer = self.ask(&signed);
        self.acknowledge_refusal(&signed, &answer);
        answer
    }

    /// As [`sign_in`](Self::sign_in), from a server that may be gone meanwhile: `None` if so.
    pub(crate) fn try_sign_in(&mut self, request: &Message) -> Option<Message> {
        self.send(request);
        let challenge = self.answer_within(request, BRIEFLY)?;
        if challenge.status() != 401 {
            return Some(challenge);
        }
        let signed = self.signed(request, &challenge);
        self.send(&signed);
        self.answer_within(&signed, BRIEFLY)
    }

    /// Registers its Contact for an hour.
    pub(crate) fn register(&mut self) -> Message {
        let request = self.register_request();
        self.sign_in(&request)
    }

    /// Registers.
    ///
    /// # Panics
    /// If it is refused.
    pub(crate) fn registered(mut self) -> Self {
        let answer = self.register();
        assert_eq!(answer.status(), 200, "{answer}");
        self
    }

    /// Ends its binding.
    pub(crate) fn unregister(&mut self) -> Message {
        let mut request = self.register_request();
        request.set("Expires", 0);
        self.sign_in(&request)
    }

    /// An INVITE with an offer, to whoever is dialled.
    pub(crate) fn invite_request(&mut self, dialled: &str) -> Message {
        let mut request = self.request("INVITE", &format!("sip:{dialled}@{DOMAIN}"));
        request.add("Contact", self.contact()).carry(SDP);
        request
    }

    /// Dials; the final answer. A refusal is acknowledged, a 2xx is not.
    pub(crate) fn dial(&mut self, dialled: &str) -> Message {
        let request = self.invite_request(dialled);
        self.sign_in(&request)
    }

    /// Begins a call whose answer is waited for later: the INVITE with credentials, as it was sent.
    pub(crate) fn begin_call(&mut self, dialled: &str) -> Message {
        let request = self.invite_request(dialled);
        self.begin_with(&request)
    }

    /// The same with this INVITE.
    pub(crate) fn begin_with(&mut self, request: &Message) -> Message {
        let signed = self.challenged(request);
        self.send(&signed);
        signed
    }

    /// Sends an INVITE that is challenged: the same with credentials, not yet sent.
    pub(crate) fn challenged(&mut self, request: &Message) -> Message {
        let challenge = self.ask(request);
        assert_eq!(challenge.status(), 407, "{challenge}");
        self.acknowledge_refusal(request, &challenge);
        self.signed(request, &challenge)
    }

    /// The next request of this method that it is sent; others, and those that it was given before,
    /// are left out.
    ///
    /// # Panics
    /// If none comes in time.
    pub(crate) fn awaits(&mut self, method: &str) -> Message {
        loop {
            let message = self.peer.hear();
            let transaction = (method.to_owned(), parameter(message.field("Via"), "branch").to_owned());
            if message.method() == method && self.given.insert(transaction) {
                return message;
            }
        }
    }

    /// Answers a request it was sent; a 2xx to an INVITE carries a session description.
    pub(crate) fn answers(&mut self, request: &Message, status: u16, reason: &str) {
        let mut answer = request.answer(status, reason, &self.tag);
        answer.add("Contact", self.contact());
        if request.method() == "INVITE" && (200..300).contains(&status) {
            answer.carry(SDP);
        }
        self.send(&answer);
    }

    /// A request in the dialog that `answer` to `invite` made, as the caller; an ACK to a 2xx among
    /// them.
    pub(crate) fn in_dialog(&mut self, method: &str, invite: &Message, answer: &Message) -> Message {
        let contact = answer.field("Contact");
        let uri = contact.split(['<', '>']).nth(1).unwrap_or_else(|| panic!("no Contact in\n{answer}"));
        let mut request = Message::request(method, uri);
        let number = if method == "ACK" {
            invite.field("CSeq").split(' ').next().unwrap().to_owned()
        } else {
            self.cseq += 1;
            self.cseq.to_string()
        };
        request.add("Via", self.via()).add("Max-Forwards", 70);
        for name in ["From", "To", "Call-ID"] {
            request.add(name, answer.field(name));
        }
        request.add("CSeq", format!("{number} {method}"));
        request
    }

    /// Gives up a call that was begun and not answered (RFC 3261 §9.1); the answer to the INVITE.
    pub(crate) fn gives_up(&mut self, invite: &Message) -> Message {
        let mut cancel = self.same_transaction("CANCEL", invite);
        cancel.add("To", invite.field("To"));
        self.send(&cancel);
        let answer = self.answer_to(invite);
        self.acknowledge_refusal(invite, &answer);
        answer
    }

    /// A BYE for a call that it was sent and answered.
    pub(crate) fn bye_to(&mut self, invite: &Message) -> Message {
        let contact = invite.field("Contact");
        let mut bye = Message::request("BYE", contact.split(['<', '>']).nth(1).unwrap());
        bye.add("Via", self.via()).add("Max-Forwards", 70);
        bye.add("From", format!("{};tag={}", invite.field("To"), self.tag)).add("To", invite.field("From"));
        bye.add("Call-ID", invite.field("Call-ID")).add("CSeq", "1 BYE");
        bye
    }

    /// The ACK that belongs to the transaction of a refused INVITE (RFC 3261 §17.1.1.3).
    fn acknowledge_refusal(&mut self, request: &Message, answer: &Message) {
        if request.method() != "INVITE" || answer.status() < 300 {
            return;
        }
        let mut ack = self.same_transaction("ACK", request);
        ack.add("To", answer.field("To"));
        self.send(&ack);
    }

    /// A request that belongs to the transaction of an INVITE, still without To.
    fn same_transaction(&self, method: &str, invite: &Message) -> Message {
        let mut request = Message::request(method, invite.uri());
        request.add("Via", invite.field("Via")).add("Max-Forwards", 70);
        request.add("From", invite.field("From")).add("Call-ID", invite.field("Call-ID"));
        request.add("CSeq", invite.field("CSeq").replace("INVITE", method));
        request
    }
}

/// What a challenge asks to be answered.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    /// The name of the field that answers it.
    pub(crate) field: &'static str,
    pub(crate) realm: String,
    pub(crate) nonce: String,
}

impl Challenge {
    /// The first challenge of a 401 or 407.
    ///
    /// # Panics
    /// If it is none.
    pub(crate) fn of(answer: &Message) -> Self {
        let (field, name) = match answer.status() {
            401 => ("Authorization", "WWW-Authenticate"),
            407 => ("Proxy-Authorization", "Proxy-Authenticate"),
            _ => panic!("no challenge:\n{answer}"),
        };
        let asked = answer.field(name);
        let part = |name| parameter(asked, name).to_owned();
        Self { field, realm: part("realm"), nonce: part("nonce") }
    }
}

fn hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 2617 §3.5 for the arithmetic; RFC 1321 §A.5 for the digest.
#[test]
fn the_digest_is_md5() {
    assert_eq!(hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
}
