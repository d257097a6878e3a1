//! The calls, a clock, and a mailbox for each address; what the core would do is done in the
//! simplest way: whoever calls may, and the user part of the Request-URI says whom.

use super::wire::{Dialog, Msg};
use crate::base::flow::{Flow, FlowId, ShardId, Transport};
use crate::base::rng::Rng;
use crate::base::time::{Mono, Now, Wall};
use crate::call::{
    CallRecord, CallRef, Calls, Device, End, Hosted, Inside, InviteAccepted, Outcome, Output, Party,
    Received, Refused, Settings, Target, same_peer,
};
use crate::licence::DeviceId;
use crate::sip::{Message, Method};
use bytes::Bytes;
use compact_str::format_compact;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) const OFFER: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub(super) const ANSWER: &str =
    "v=0\r\no=- 2 2 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";
pub(super) const SDP: &str = "application/sdp";

/// The address by which phones know the server.
pub(super) const SERVER: &str = "sm.test:5060";

/// The address of phone `number`.
pub(super) fn addr(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 5060))
}

pub(super) fn host(number: u8) -> String {
    addr(number).to_string()
}

pub(super) struct World {
    pub(super) calls: Calls,
    pub(super) mono: Mono,
    /// Whom a user part rings, by phone number; a user that is not here rings the phone of its
    /// own name, `p2` phone 2.
    pub(super) rings: BTreeMap<String, Vec<u8>>,
    /// Other flows of a phone, each a phone of its own here.
    pub(super) spares: BTreeMap<u8, Vec<u8>>,
    /// Phones of which it is in doubt that they are there.
    pub(super) suspects: Vec<u8>,
    /// The Path of each, as lines of Route.
    pub(super) routes: &'static str,
    /// Phones that have a connection.
    pub(super) streams: BTreeMap<u8, FlowId>,
    pub(super) records: Vec<CallRecord>,
    pub(super) unreachable: Vec<u32>,
    pub(super) reached: Vec<u32>,
    pub(super) refused: Vec<Refused>,
    /// What happened in calls that end here.
    pub(super) inside: Vec<Inside>,
    pub(super) begun: Vec<CallRef>,
    pub(super) ring_max: Option<Duration>,
    /// By which way each message went.
    pub(super) ways: Vec<Flow>,
    boxes: BTreeMap<SocketAddr, VecDeque<Msg>>,
    branches: u32,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Settings::default(), 1)
    }

    pub(super) fn with(settings: Settings, seed: u64) -> Self {
        Self {
            calls: Calls::new(ShardId(3), settings, Rng::from_number(seed)),
            mono: Mono::from_secs(1),
            rings: BTreeMap::new(),
            spares: BTreeMap::new(),
            suspects: Vec::new(),
            routes: "",
            streams: BTreeMap::new(),
            records: Vec::new(),
            unreachable: Vec::new(),
            reached: Vec::new(),
            refused: Vec::new(),
            inside: Vec::new(),
            begun: Vec::new(),
            ring_max: None,
            ways: Vec::new(),
            boxes: BTreeMap::new(),
            branches: 0,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: self.mono, wall: Wall::from_secs(1_800_000_000) + self.mono.since(Mono::default()) }
    }

    pub(super) fn flow(&self, phone: u8) -> Flow {
        match self.streams.get(&phone) {
            Some(stream) => {
                Flow { transport: Transport::Tcp, stream: Some(*stream), ..Flow::udp(0, addr(phone)) }
            }
            None => Flow::udp(0, addr(phone)),
        }
    }

    /// A branch that no one used.
    pub(super) fn branch(&mut self) -> String {
        self.branches += 1;
        format!("{:08}", self.branches)
    }

    /// An INVITE of a phone.
    pub(super) fn invite(&mut self, phone: u8, user: &str, offer: &str) -> Msg {
        let (branch, host) = (self.branch(), host(phone));
        Msg::new(
            format!("INVITE sip:{user}@sm.test SIP/2.0"),
            &[
                ("Via", &format!("SIP/2.0/UDP {host};rport;branch=z9hG4bK{branch}")),
                ("Max-Forwards", "70"),
                ("From", &format!("\"Phone {phone}\" <sip:p{phone}@sm.test>;tag=from{branch}")),
                ("To", &format!("<sip:{user}@sm.test>")),
                ("Call-ID", &format!("call{branch}@{host}")),
                ("CSeq", "7 INVITE"),
                ("Contact", &format!("<sip:line1@{host}>")),
            ],
            "",
        )
        .carrying(SDP, offer)
    }

    /// A request of a phone within a dialog, sent.
    pub(super) fn request(&mut self, phone: u8, dialog: &mut Dialog, method: &str, body: &str) -> Msg {
        let branch = self.branch();
        let mut msg = dialog.request(method, &host(phone), &branch).carrying(SDP, body);
        if method == "INVITE" {
            msg = msg.with("Contact", &format!("<sip:line1@{}>", host(phone)));
        }
        self.send(phone, &msg);
        msg
    }

    /// The ACK to a 2xx, sent.
    pub(super) fn ack(&mut self, phone: u8, dialog: &Dialog, cseq: u32, body: &str) -> Msg {
        let branch = self.branch();
        let ack = dialog.numbered("ACK", cseq, &host(phone), &branch).carrying(SDP, body);
        self.send(phone, &ack);
        ack
    }

    /// The CANCEL of an INVITE, sent.
    pub(super) fn cancel(&mut self, phone: u8, invite: &Msg) -> Msg {
        let mut cancel = Msg::new(invite.first.replacen("INVITE", "CANCEL", 1), &[], "");
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            cancel = cancel.with(name, invite.field(name));
        }
        let cancel = cancel.with("CSeq", &format!("{} CANCEL", invite.cseq()));
        self.send(phone, &cancel);
        cancel
    }

    /// The ACK to a refusal, sent.
    pub(super) fn ack_refusal(&mut self, phone: u8, invite: &Msg, refusal: &Msg) {
        let mut ack = Msg::new(invite.first.replacen("INVITE", "ACK", 1), &[], "");
        for name in ["Via", "Max-Forwards", "From", "Call-ID"] {
            ack = ack.with(name, invite.field(name));
        }
        let ack = ack.with("To", refusal.field("To")).with("CSeq", &format!("{} ACK", invite.cseq()));
        self.send(phone, &ack);
    }

    /// An answer of a phone to a request it got, sent.
    pub(super) fn answer(&mut self, phone: u8, request: &Msg, status: u16, body: &str) -> Msg {
        let mut answer = request.answer(status, &format!("tag{phone}")).carrying(SDP, body);
        if request.method() == "INVITE" && status > 100 && status < 300 {
            answer = answer.with("Contact", &format!("<sip:line2@{}>", host(phone)));
        }
        self.send(phone, &answer);
        answer
    }

    /// Gives the server a message from a phone.
    pub(super) fn send(&mut self, phone: u8, msg: &Msg) {
        self.deliver(self.flow(phone), &msg.bytes());
    }

    pub(super) fn deliver(&mut self, flow: Flow, bytes: &[u8]) {
        let now = self.now();
        let message = Message::parse(Bytes::copy_from_slice(bytes)).expect("a message");
        assert_eq!(message.fault(), None, "{}", String::from_utf8_lossy(bytes));
        if !message.is_request() {
            self.calls.response(now, &message);
            return self.drain();
        }
        match self.calls.receive_request(now, &message, flow) {
            Received::Done => {}
            Received::InDialog(leg) => {
                let peer = self.calls.leg(leg).expect("a leg that stands").flow;
                if same_peer(&peer, &flow) {
                    self.calls.in_dialog(now, leg, &message, flow);
                } else {
                    self.calls.refuse(now, &message, flow, 481, None, |_| {});
                }
            }
            Received::Merged => self.calls.refuse(now, &message, flow, 482, None, |_| {}),
            Received::NoDialog => self.calls.refuse(now, &message, flow, 481, None, |_| {}),
            Received::New if message.method() == Method::Invite => self.begin(&message, flow),
            Received::New => self.calls.refuse(now, &message, flow, 405, None, |_| {}),
        }
        self.drain();
    }

    /// Phones are known by their numbers.
    fn device(&self, phone: u8) -> Option<Arc<Device>> {
        let id = DeviceId(phone.into());
        let device = Device { login: Bytes::from_static(b"x-acme"), id };
        self.streams.contains_key(&phone).then(|| Arc::new(device))
    }

    /// What the core does with a new INVITE, without asking who calls.
    fn begin(&mut self, message: &Message, flow: Flow) {
        let uri = String::from_utf8_lossy(message.request_uri()).into_owned();
        let user = uri.trim_start_matches("sip:").split('@').next().unwrap_or_default().to_owned();
        if user == "*55" {
            return self.host(message, flow);
        }
        let own = user.strip_prefix('p').and_then(|number| number.parse().ok());
        let phones = self.rings.get(&user).cloned().unwrap_or_else(|| own.into_iter().collect());
        let caller = (1..=u8::MAX).find(|phone| addr(*phone).ip() == flow.remote.ip());
        let party = |display: &'static str, user| Party {
            aor: format_compact!("{user}-acme"),
            display: display.as_bytes(),
            user: str::as_bytes(user),
            host: b"sm.test",
        };
        let target = |phone: &u8, spares| Target {
            contact: Bytes::from(format!("sip:line2@{}", host(*phone))),
            routes: Bytes::from(self.routes),
            spares,
            flow: self.flow(*phone),
            sent_by: Bytes::from_static(SERVER.as_bytes()),
            aor: format_compact!("{user}-acme"),
            device: self.device(*phone),
            binding: u32::from(*phone),
            suspect: self.suspects.contains(phone),
        };
        let targets = phones.iter().map(|phone| {
            let spares = self.spares.get(phone).into_iter().flatten();
            target(phone, spares.map(|spare| target(spare, Vec::new())).collect())
        });
        let accepted = InviteAccepted {
            caller: party("Ann", "201"),
            called: party("", &user),
            sent_by: Bytes::from_static(SERVER.as_bytes()),
            device: caller.and_then(|phone| self.device(phone)),
            targets: targets.collect(),
            ring_max: self.ring_max,
        };
        let now = self.now();
        match self.calls.invite(now, message, flow, accepted) {
            Ok(call) => self.begun.push(call),
            Err(refused) => {
                self.refused.push(refused);
                if refused == Refused::Full {
                    self.calls.refuse(now, message, flow, 503, None, |_| {});
                }
            }
        }
    }

    /// What the core does with an INVITE to the phone menu.
    fn host(&mut self, message: &Message, flow: Flow) {
        let hosted = Hosted {
            device: None,
            caller: "201-acme".into(),
            called: "*55".into(),
            sent_by: Bytes::from_static(SERVER.as_bytes()),
            family: [203, 0, 113, 7].into(),
            service: crate::menu::Service::Menu,
        };
        match self.calls.host(self.now(), message, flow, hosted) {
            Ok(call) => self.begun.push(call),
            Err(refused) => self.refused.push(refused),
        }
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.calls.poll_output() {
            match output {
                Output::Send { flow, bytes } => {
                    self.ways.push(flow);
                    self.boxes.entry(flow.remote).or_default().push_back(Msg::read(&bytes));
                }
                Output::Ended(record) => self.records.push(record),
                Output::Inside { what, .. } => self.inside.push(what),
                Output::Unreachable { binding, .. } => self.unreachable.push(binding),
                Output::Reached { binding, .. } => self.reached.push(binding),
            }
        }
    }

    /// Lets time pass, timer by timer.
    pub(super) fn run(&mut self, length: Duration) {
        let end = self.mono + length;
        while let Some(next) = self.calls.next_deadline().filter(|next| *next <= end) {
            self.mono = next.max(self.mono);
            self.calls.handle_timeout(self.now());
            self.drain();
        }
        self.mono = end;
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    /// The next message that a phone got, which must be this: `INVITE`, `180 INVITE`.
    #[track_caller]
    pub(super) fn got(&mut self, phone: u8, what: &str) -> Msg {
        let msg = self.boxes.entry(addr(phone)).or_default().pop_front();
        let msg = msg.unwrap_or_else(|| panic!("phone {phone} got nothing, not {what}"));
        assert_eq!(msg.what(), what, "phone {phone}: {}", String::from_utf8_lossy(&msg.bytes()));
        msg
    }

    /// A phone got nothing more.
    #[track_caller]
    pub(super) fn quiet(&mut self, phone: u8) {
        let rest: Vec<String> = self.boxes.entry(addr(phone)).or_default().iter().map(Msg::what).collect();
        assert_eq!(rest, [""; 0], "phone {phone}");
    }

    /// The caller got 100 and nothing more.
    #[track_caller]
    pub(super) fn quiet_after_100(&mut self) {
        assert_eq!(self.flush(1), ["100 INVITE"]);
    }

    /// What an address got.
    pub(super) fn take(&mut self, addr: SocketAddr) -> Vec<Msg> {
        self.boxes.get_mut(&addr).map(|all| all.drain(..).collect()).unwrap_or_default()
    }

    /// Forgets what a phone got, and says what it was.
    pub(super) fn flush(&mut self, phone: u8) -> Vec<String> {
        self.boxes.entry(addr(phone)).or_default().drain(..).map(|msg| msg.what()).collect()
    }

    /// Phone 1 calls phone 2, which answers: both dialogs, and the INVITEs.
    #[track_caller]
    pub(super) fn talking(&mut self) -> Talk {
        let invite = self.invite(1, "p2", OFFER);
        self.send(1, &invite);
        let far_invite = self.got(2, "INVITE");
        let far_ok = self.answer(2, &far_invite, 200, ANSWER);
        self.got(2, "ACK");
        let ok = self.got(1, "200 INVITE");
        let near = invite.dialog_by(&ok);
        self.ack(1, &near, 7, "");
        self.quiet(1);
        self.quiet(2);
        Talk { near, far: far_invite.dialog_of(&far_ok), far_invite }
    }

    /// After all lingering nothing is left, and the one call ended so.
    #[track_caller]
    pub(super) fn ends(&mut self, end: End, outcomes: &[Outcome]) {
        self.run(Duration::from_secs(400));
        let records: Vec<(End, Vec<Outcome>)> = self
            .records
            .iter()
            .map(|record| (record.end, record.candidates.iter().map(|one| one.outcome).collect()))
            .collect();
        assert_eq!(records, [(end, outcomes.to_vec())]);
        self.is_empty();
    }

    #[track_caller]
    pub(super) fn is_empty(&self) {
        assert_eq!((self.calls.len(), self.calls.transactions(), self.calls.desk.tags.len()), (0, 0, 0));
        assert_eq!(self.calls.next_deadline(), None);
        assert!(self.calls.desk.txns.leaves_nothing());
    }
}

/// A call that stands, as its two phones see it.
pub(super) struct Talk {
    pub(super) near: Dialog,
    pub(super) far: Dialog,
    pub(super) far_invite: Msg,
}
