//! The phone menu over a network that loses, doubles and reorders, in virtual time: a phone presses the keys
//! of a new PIN by RTP or by INFO, and hangs up or is hung up on. Whatever happens, no key counts twice,
//! every line that was opened is closed, and nothing is left.

use super::bench::{Bench, DOMAIN, PASSWORD};
use super::digest::Challenge;
use super::phone::Phone;
use super::sip::Text;
use stationmaster::base::limit;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use stationmaster::call::End;
use stationmaster::core::boundary::Inbound;
use stationmaster::core::voice::{Enquiry, Heard, Line, Order, Reply};
use stationmaster::menu::{Request, Service, Told};
use stationmaster::rtp::{Endpoint, Out, Packet};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Its digits are all different, so that one that counted twice would show.
const PIN: &str = "482913";

const PHONE_RTP: &str = "203.0.113.1:4000";
const SERVER_RTP: &str = "192.0.2.1:20000";

/// How keys are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Rtp,
    Info,
    Both,
}

/// What is on its way, or waits for its time.
enum Thing {
    ToServer(Text),
    ToPhone(Text),
    RtpToServer(Vec<u8>),
    RtpToPhone,
    /// The phone sends this again, unless it has been answered.
    Again(Text, Duration),
    /// The phone presses this key of its program.
    Press(usize),
    HangUp,
    Vanish,
    Opened,
    Told(Box<Reply>),
}

struct Sim {
    bench: Bench,
    rng: Rng,
    phone: Phone,
    way: Way,
    /// Percent of datagrams.
    lost: u64,
    doubled: u64,
    things: BTreeMap<(Mono, u64), Thing>,
    count: u64,
    line: Option<(Line, Endpoint)>,
    opened: usize,
    closed: usize,
    asking: usize,
    /// What was asked to be set.
    set: Vec<String>,
    /// The 2xx of the server and its dialog, as the phone has it.
    answer: Option<Text>,
    /// Transactions of the phone that were answered, by branch.
    done: Vec<String>,
    heard: usize,
    ended: bool,
    /// Whether the phone has vanished: it hears and says nothing any more.
    gone: bool,
    cseq: u32,
}

impl Sim {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::from_number(seed);
        let mut bench = Bench::with_menu(&["201"]);
        let mut phone = Phone::new("201", 1);
        assert_eq!(phone.registers(&mut bench, 3600), 200);
        let way = [Way::Rtp, Way::Info, Way::Both][rng.below(3) as usize];
        let bad = rng.below(4) > 0;
        let (lost, doubled) = if bad { (rng.below(25), rng.below(25)) } else { (0, 0) };
        Self {
            bench,
            rng,
            phone,
            way,
            lost,
            doubled,
            things: BTreeMap::new(),
            count: 0,
            line: None,
            opened: 0,
            closed: 0,
            asking: 0,
            set: Vec::new(),
            answer: None,
            done: Vec::new(),
            heard: 0,
            ended: false,
            gone: false,
            cseq: 50,
        }
    }

    fn enter(&mut self, after: Duration, thing: Thing) {
        self.count += 1;
        self.things.insert((self.bench.now.mono + after, self.count), thing);
    }

    /// Puts something on the network.
    fn send(&mut self, thing: impl Fn() -> Thing) {
        if self.rng.below(100) < self.lost {
            return;
        }
        let copies = 1 + u64::from(self.rng.below(100) < self.doubled);
        for _ in 0..copies {
            let transit = self.rng.between(Duration::from_millis(2), Duration::from_millis(60));
            self.enter(transit, thing());
        }
    }

    /// The INVITE with credentials. The challenge was had in fair weather.
    fn invite(&mut self, call_id: &str) -> Text {
        self.phone.call_id = call_id.to_owned();
        let uri = format!("sip:*55@{DOMAIN}");
        let sdp = "v=0\r\no=- 1 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
        let contact = format!("<{}>", self.phone.contact);
        let bare = self.phone.request("INVITE", &uri).with("Contact", contact).with_sdp(sdp);
        self.phone.says(&mut self.bench, &bare);
        let refusal = self.phone.hears(&mut self.bench).unwrap_or_else(|| panic!("no answer to {call_id}"));
        let challenge = Challenge::of(&refusal, false).unwrap();
        let answer = challenge.answer(&self.phone.login, PASSWORD, "INVITE", &uri, 1, "c");
        let invite = self.phone.request("INVITE", &uri).with("Contact", format!("<{}>", self.phone.contact));
        invite.with("Proxy-Authorization", answer).with_sdp(sdp)
    }

    /// A request in the dialog of the call, with a body of this type.
    fn in_dialog(&mut self, method: &str, cseq: u32, body: [&str; 2]) -> Option<Text> {
        self.count += 1;
        let answer = self.answer.as_ref()?;
        let uri = answer.text("contact").split(['<', '>']).nth(1).unwrap_or_default();
        let via = format!("SIP/2.0/UDP {};rport;branch=z9hG4bKm{}", self.phone.address, self.count);
        let mut request = Text::request(method, uri).with("Via", via).with("Max-Forwards", "70");
        for name in ["From", "To", "Call-ID"] {
            request = request.with(name, answer.text(&name.to_ascii_lowercase()));
        }
        Some(request.with("CSeq", format!("{cseq} {method}")).with_body(body[0], body[1]))
    }

    /// The phone sends a request until it is answered.
    fn asks(&mut self, request: Text) {
        self.enter(Duration::ZERO, Thing::Again(request, Duration::from_millis(500)));
    }

    fn run(&mut self, keys: &str, hang_up_ms: Option<u64>) {
        let invite = self.invite("menu");
        self.asks(invite);
        for at in 0..keys.len() {
            self.enter(Duration::from_millis(2_000 + 250 * at as u64), Thing::Press(at));
        }
        if let Some(ms) = hang_up_ms {
            self.enter(Duration::from_millis(ms), Thing::HangUp);
        }
        let end = self.bench.now.mono + Duration::from_secs(600);
        loop {
            let next = self.things.keys().next().map(|(at, _)| *at);
            let core = self.bench.core.next_deadline();
            let sound = self.line.as_ref().and_then(|(_, endpoint)| endpoint.next_deadline());
            let Some(at) = next.into_iter().chain(core).chain(sound).min().filter(|at| *at <= end) else {
                break;
            };
            self.bench.set(at);
            if sound.is_some_and(|due| due <= at)
                && let Some((_, endpoint)) = &mut self.line
            {
                endpoint.fire(at);
            } else if core.is_some_and(|due| due <= at) {
                let now = self.bench.now;
                self.bench.core.handle_timeout(now);
                self.bench.drain();
            } else if let Some((_, thing)) = self.things.pop_first() {
                self.happens(thing, keys);
            }
            self.drain();
        }
    }

    fn happens(&mut self, thing: Thing, keys: &str) {
        match thing {
            Thing::ToServer(text) => self.phone.says(&mut self.bench, &text),
            Thing::ToPhone(text) => self.phone_hears(text),
            Thing::RtpToServer(bytes) => {
                let from: SocketAddr = PHONE_RTP.parse().unwrap();
                let heard = self.line.as_mut().and_then(|(line, endpoint)| {
                    endpoint.receive(from, &bytes).map(|digit| (*line, Heard::Key(digit)))
                });
                if let Some((line, heard)) = heard {
                    self.bench.input(Inbound::Heard { line, heard });
                }
            }
            Thing::RtpToPhone => self.heard += 1,
            Thing::Again(text, gap) => {
                if !self.done.contains(&text.branch().to_owned()) && gap < Duration::from_secs(17) {
                    self.send(|| Thing::ToServer(text.clone()));
                    let next = if text.method() == "INVITE" {
                        gap * 2
                    } else {
                        (gap * 2).min(Duration::from_secs(4))
                    };
                    // 64 × T1 at most.
                    let next =
                        if gap >= Duration::from_secs(4) { gap + Duration::from_secs(4) } else { next };
                    self.enter(gap.min(Duration::from_secs(4)), Thing::Again(text, next));
                }
            }
            Thing::Press(at) => self.press(&keys[at..=at], at),
            Thing::HangUp => {
                if !self.ended
                    && let Some(bye) = self.in_dialog("BYE", 900, [""; 2])
                {
                    self.ended = true;
                    self.asks(bye);
                }
            }
            Thing::Vanish => self.gone = true,
            Thing::Opened => {
                if let Some((line, _)) = &self.line {
                    let heard = Heard::Opened(SERVER_RTP.parse().unwrap());
                    let line = *line;
                    self.bench.input(Inbound::Heard { line, heard });
                }
            }
            Thing::Told(reply) => {
                self.asking -= 1;
                self.bench.input(Inbound::Replied(reply));
            }
        }
    }

    fn press(&mut self, key: &str, at: usize) {
        if self.ended || self.answer.is_none() {
            return;
        }
        if self.way != Way::Info {
            let event = match key {
                "*" => 10,
                "#" => 11,
                digit => digit.parse().unwrap(),
            };
            for part in 0..5_u16 {
                let payload = [event, if part > 1 { 0x8a } else { 10 }, 0, 160];
                let timestamp = 1_000 + 2_000 * at as u32;
                let packet = Packet {
                    marker: part == 0,
                    kind: 101,
                    sequence: part,
                    timestamp,
                    source: 5,
                    payload: &payload,
                };
                let bytes = packet.written();
                self.send(|| Thing::RtpToServer(bytes.clone()));
            }
        }
        if self.way != Way::Rtp {
            self.cseq += 1;
            let body = format!("Signal={key}\r\nDuration=160\r\n");
            let info = self.in_dialog("INFO", self.cseq, ["application/dtmf-relay", &body]);
            info.into_iter().for_each(|info| self.asks(info));
        }
    }

    fn phone_hears(&mut self, text: Text) {
        if self.gone {
            return;
        }
        if text.is_response() {
            let method = text.cseq().1.to_owned();
            if text.code() >= 200 || method == "INVITE" {
                self.done.push(text.branch().to_owned());
            }
            if method == "INVITE" && text.code() == 200 {
                self.answer = Some(text.clone());
                if let Some(ack) = self.in_dialog("ACK", text.cseq().0, [""; 2]) {
                    self.send(|| Thing::ToServer(ack.clone()));
                }
            }
            return;
        }
        if text.method() == "BYE" {
            self.ended = true;
            let mut answer = Text::read(b"SIP/2.0 200 OK\r\n\r\n").unwrap();
            for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
                let key = name.to_ascii_lowercase();
                answer = answer.with(name, text.text(&key).to_owned());
            }
            self.send(|| Thing::ToServer(answer.clone()));
        }
    }

    /// Does what shard and line want.
    fn drain(&mut self) {
        while let Some((_, text)) = self.bench.sent.pop_front() {
            self.send(|| Thing::ToPhone(text.clone()));
        }
        while let Some((line, order)) = self.bench.orders.pop_front() {
            self.order(line, order);
        }
        while let Some(enquiry) = self.bench.asked.pop_front() {
            self.asking += 1;
            assert_eq!(self.asking, 1, "it asks one thing at a time");
            let reply = self.answers(enquiry);
            let wait = self.rng.between(Duration::from_millis(1), Duration::from_millis(400));
            self.enter(wait, Thing::Told(Box::new(reply)));
        }
        let outs: Vec<_> =
            self.line.as_mut().into_iter().flat_map(|(_, end)| std::iter::from_fn(|| end.poll())).collect();
        for out in outs {
            match out {
                Out::Send { to, .. } => {
                    assert_eq!(to, PHONE_RTP.parse().unwrap());
                    self.send(|| Thing::RtpToPhone);
                }
                Out::Played(number) => {
                    let Some((line, _)) = &self.line else { return };
                    let (line, heard) = (*line, Heard::Played(number));
                    self.bench.input(Inbound::Heard { line, heard });
                    self.drain();
                }
            }
        }
    }

    fn order(&mut self, line: Line, order: Order) {
        match order {
            Order::Open { peer, .. } => {
                self.opened += 1;
                self.line = Some((line, Endpoint::new(peer, &mut self.rng)));
                let wait = self.rng.between(Duration::from_millis(1), Duration::from_millis(50));
                self.enter(wait, Thing::Opened);
            }
            Order::Close => {
                self.closed += 1;
                self.line = None;
            }
            order => {
                let now = self.bench.now.mono;
                let (_, endpoint) = self.line.as_mut().expect("a line that is open");
                match order {
                    Order::Agree(audio) => endpoint.agree(audio),
                    Order::Play { number, says, .. } => {
                        endpoint.play(now, number, says.iter().map(|_| vec![500; 1_600].into()));
                    }
                    _ => endpoint.hush(),
                }
            }
        }
    }

    fn answers(&mut self, enquiry: Enquiry) -> Reply {
        let Enquiry { line, number, visitor, request } = enquiry;
        assert_eq!(visitor.person.as_ref().map(|login| login.as_str()), Some("201-acme"));
        let told = match request {
            Request::Standing => Told::HasNoPin,
            Request::SetPin(pin) => {
                self.set.push(pin.expose().clone());
                Told::Done
            }
            // A key was lost, and the next was another choice.
            Request::LogIn(_) => Told::StationUnknown,
            Request::LogOut => Told::NobodyThere,
            other @ Request::CheckPin { .. } => panic!("{other:?}"),
        };
        Reply { line, number, told, person: None }
    }

    fn is_over(&mut self, seed: u64) {
        let what = format!("seed {seed}, {:?}, {} % lost", self.way, self.lost);
        assert_eq!(self.opened, self.closed, "{what}: lines");
        assert!(self.line.is_none() && self.bench.core.calls() == 0, "{what}: calls");
        assert_eq!(self.bench.core.transactions(), 0, "{what}: transactions");
        assert!(self.bench.records.len() <= self.opened, "{what}: {:?}", self.bench.records);
        for record in &self.bench.records {
            assert_eq!(record.service, Some(Service::Menu), "{what}");
            assert!(!format!("{record:?}").contains(PIN), "{record:?}");
        }
        for set in &self.set {
            let mut rest = PIN.chars();
            let in_order = set.chars().all(|digit| rest.any(|next| next == digit));
            assert!(in_order, "{what}: a key counted twice or out of turn: {set}");
        }
    }
}

#[test]
fn a_pin_is_set_over_a_bad_network_and_nothing_is_left() {
    let seeds = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let one = std::env::var("SEED").ok().and_then(|text| text.parse::<u64>().ok());
    let (mut set, mut fair, mut ways) = (0, 0, Vec::new());
    for seed in one.map_or(0..seeds, |seed| seed..seed + 1) {
        let mut sim = Sim::new(seed);
        let hang_up = [None, None, Some(9_000), Some(sim.rng.below(9_000))][sim.rng.below(4) as usize];
        sim.run(&format!("1{PIN}#{PIN}#*"), hang_up);
        sim.is_over(seed);
        let was_set = sim.set == [PIN];
        set += usize::from(was_set);
        ways.push((sim.way, was_set));
        if sim.lost == 0 && hang_up.is_none_or(|ms| ms > 8_000) {
            fair += 1;
            let records = &sim.bench.records;
            assert!(was_set, "seed {seed}, {:?}, in fair weather: {:?} {records:?}", sim.way, sim.set);
            let end = if hang_up.is_none() { End::CalledHungUp } else { sim.bench.records[0].end };
            assert_eq!(sim.bench.records[0].end, end, "seed {seed}");
            assert!(sim.heard > 10, "seed {seed}: {} packets of sound", sim.heard);
        }
    }
    if one.is_none() {
        assert!(fair > 10 && set > seeds as usize / 3, "{fair} fair, {set} set");
        for way in [Way::Rtp, Way::Info, Way::Both] {
            assert!(ways.contains(&(way, true)), "{way:?} never worked");
        }
    }
}

/// One more than there may be is turned down, and once one has ended there is room again.
#[test]
fn so_many_calls_to_the_menu_at_a_time_and_no_more() {
    let mut sim = Sim::new(0);
    let begin = |sim: &mut Sim, number: usize| {
        sim.bench.sent.clear();
        let invite = sim.invite(&format!("menu{number}"));
        sim.phone.says(&mut sim.bench, &invite);
        std::iter::from_fn(|| sim.phone.hears(&mut sim.bench)).map(|text| text.code()).max()
    };
    for number in 0..limit::MENU_CALLS_MAX {
        assert_eq!(begin(&mut sim, number), None, "{number}");
    }
    assert_eq!(begin(&mut sim, 1_000), Some(503));
    // Nobody picks the others up.
    sim.bench.pass(Duration::from_secs(40));
    assert_eq!(sim.bench.core.calls(), 0);
    assert_eq!(begin(&mut sim, 1_001), None);
}

/// Who says nothing is asked three times; who has vanished is waited for no longer than others.
#[test]
fn a_caller_who_says_nothing_is_said_goodbye() {
    for vanishes in [false, true] {
        let mut sim = Sim::new(0);
        (sim.lost, sim.doubled) = (0, 0);
        if vanishes {
            // Once the call stands.
            sim.enter(Duration::from_secs(1), Thing::Vanish);
        }
        sim.run("", None);
        sim.is_over(0);
        let record = &sim.bench.records[0];
        assert_eq!((record.end, sim.set.len()), (End::CalledHungUp, 0));
        let asked = limit::MENU_FIRST_KEY_MAX * u32::from(limit::MENU_TRIES_MAX);
        let talked = Duration::from_millis(record.talked_ms);
        assert!(talked > asked && talked < asked * 2, "{talked:?}");
    }
}
