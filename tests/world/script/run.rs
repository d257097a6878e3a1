//! Runs a script: phones and a server in virtual time, line by line.

use super::phone::Phone;
use super::{Message, Script, Step, Way, Word};
use crate::world::network::{Cargo, Network, Packet, Signal, Weather};
use crate::world::server::{Extension, Faults, Server};
use crate::world::sip::Text;
use crate::world::trace::{Fate, Line, Trace};
use crate::world::{Host, at};
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use std::net::SocketAddr;
use std::time::Duration;

/// The longest that a line waits for what it expects: beyond the time that a phone rings.
const PATIENCE: Duration = Duration::from_secs(70);

/// After so long every timer of the server has run out.
const SETTLED: Duration = Duration::from_secs(200);

struct Stage {
    server: Server,
    network: Network,
    phones: Vec<Phone>,
    trace: Trace,
    now: Mono,
    /// What becomes of the next datagram of that way.
    next: Vec<(Fate, Option<(Way, SocketAddr)>)>,
    wrongs: Vec<String>,
    /// Where phones were before they moved: nobody is there.
    left: Vec<SocketAddr>,
}

/// Runs a script.
///
/// # Errors
/// The line that went otherwise, how, and the ladder of everything until then.
pub(crate) fn run(text: &str) -> Result<(), String> {
    let script = Script::read(text)?;
    let mut stage = Stage::new(&script);
    for (number, step) in &script.steps {
        stage.step(step).map_err(|what| {
            let line = text.lines().nth(number - 1).unwrap_or_default().trim();
            format!("line {number}: {line}\n  {what}\n{}", stage.trace.ladder(60))
        })?;
    }
    stage.end().map_err(|what| format!("at the end: {what}\n{}", stage.trace.ladder(60)))
}

impl Stage {
    fn new(script: &Script) -> Self {
        let mut rng = Rng::from_number(1);
        let mut extensions: Vec<Extension> = Vec::new();
        for actor in script.phones.iter().filter(|actor| !actor.stranger) {
            if !extensions.iter().any(|known| known.login == actor.login) {
                extensions.push(Extension { login: actor.login.clone(), password: actor.password.clone() });
            }
        }
        let server = Server::new(script.shards, Faults::default(), &extensions, rng.split());
        let phones: Vec<Phone> = (1..)
            .zip(&script.phones)
            .map(|(number, actor)| Phone::new(actor.clone(), number, rng.split()))
            .collect();
        let mut trace = Trace::default();
        for phone in &phones {
            trace.name(phone.address, &phone.actor.name);
        }
        trace.host(server.address());
        Self {
            server,
            network: Network::new(Weather::FAIR, rng.split()),
            phones,
            trace,
            now: at(1),
            next: Vec::new(),
            wrongs: Vec::new(),
            left: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::At(time) => self.run_to(Mono::default() + *time)?,
            Step::Wait(time) => self.run_to(self.now + *time)?,
            Step::Next { doubled, way } => {
                let fate = if *doubled { Fate::Doubled(0) } else { Fate::Lost };
                let way = way.map(|(way, whose)| (way, self.phones[whose].address));
                self.next.push((fate, way));
            }
            Step::Break(who) => self.line_ends(*who, Signal::Reset),
            Step::Close(who) => self.line_ends(*who, Signal::Close),
            Step::Move(who, to) => {
                self.left.push(std::mem::replace(&mut self.phones[*who].address, *to));
                self.trace.name(*to, &self.phones[*who].actor.name);
            }
            Step::StoreFails(fails) => self.server.store_fails(*fails),
            Step::Devices(login, count) => same(self.server.look(login).1, *count, "devices")?,
            Step::Bound(login, count) => same(self.server.look(login).0.len(), *count, "bindings")?,
            Step::Send(who, message) => self.send(*who, message)?,
            Step::Expect(who, message) => {
                let came = self.wait_for(*who)?;
                self.phones[*who].check(&came, message)?;
            }
            Step::Nothing(who, time) => {
                self.run_to(self.now + *time)?;
                if let Some(came) = self.phones[*who].inbox.front() {
                    return Err(format!("{} came", came.start));
                }
            }
        }
        if self.wrongs.is_empty() { Ok(()) } else { Err(self.wrongs.join("\n  ")) }
    }

    fn send(&mut self, who: usize, message: &Message) -> Result<(), String> {
        let foreign = message.words.iter().find_map(|word| match word {
            Word::Call(whose) => Some(self.phones[*whose].dialog.clone()),
            _ => None,
        });
        let phone = &mut self.phones[who];
        let bytes = phone.send(message, foreign.as_ref())?;
        let (from, to) = (phone.address, self.server.address());
        if !phone.actor.tcp {
            self.datagram(from, to, &bytes);
            return Ok(());
        }
        if !std::mem::replace(&mut phone.connected, true) {
            self.trace.name(from, &phone.actor.name);
            self.network.signal(self.now, from, to, Signal::Open);
        }
        self.trace.stream(self.now, (from, to), &bytes);
        self.network.signal(self.now, from, to, Signal::Bytes(bytes));
        self.network.cut(self.now);
        Ok(())
    }

    fn line_ends(&mut self, who: usize, signal: Signal) {
        let from = self.phones[who].address;
        self.network.signal(self.now, from, self.server.address(), signal);
        self.phones[who].hang_up();
    }

    fn datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let fits = |(_, way): &(Fate, Option<(Way, SocketAddr)>)| match way {
            None => true,
            Some((Way::From, address)) => *address == from,
            Some((Way::To, address)) => *address == to,
        };
        if let Some(at) = self.next.iter().position(fits) {
            self.network.next_is = Some(self.next.remove(at).0);
        }
        self.network.send(self.now, from, to, bytes, &mut self.trace);
    }

    fn wait_for(&mut self, who: usize) -> Result<Text, String> {
        let end = self.now + PATIENCE;
        loop {
            if let Some(came) = self.phones[who].inbox.pop_front() {
                return Ok(came);
            }
            if !self.turn(end)? {
                return Err(format!("nothing came in {} s", PATIENCE.as_secs()));
            }
        }
    }

    fn run_to(&mut self, end: Mono) -> Result<(), String> {
        while self.turn(end)? {}
        self.now = self.now.max(end);
        Ok(())
    }

    /// The next thing to happen until `end`, if there is one.
    fn turn(&mut self, end: Mono) -> Result<bool, String> {
        let (packet, host) = (self.network.next(), self.server.next());
        let Some(at) = packet.into_iter().chain(host).min().filter(|at| *at <= end) else { return Ok(false) };
        self.now = self.now.max(at);
        if host.is_some_and(|due| due <= at) {
            self.server.fire(self.now);
        } else if let Some(packet) = self.network.take(self.now) {
            self.deliver(packet)?;
        }
        for note in self.server.notes() {
            self.trace.add(self.now, Line::Note(note));
        }
        let here = self.server.address();
        for datagram in self.server.drain() {
            self.datagram(here, datagram.to, &datagram.bytes);
        }
        for (own, to, signal) in self.server.signals() {
            if let Signal::Bytes(bytes) = &signal {
                self.trace.stream(self.now, (here, to), bytes);
            }
            self.network.signal(self.now, own, to, signal);
        }
        self.network.cut(self.now);
        self.wrongs.append(&mut self.server.wrongs);
        Ok(true)
    }

    fn deliver(&mut self, packet: Packet) -> Result<(), String> {
        let Packet { from, to, cargo } = packet;
        let here = to == self.server.address();
        let phone = self.phones.iter_mut().find(|phone| phone.address == to);
        match cargo {
            Cargo::Datagram(bytes, fate) => {
                self.trace.add(self.now, Line::Heard { path: (from, to), bytes: bytes.clone(), fate });
                match phone {
                    _ if here => self.server.receive(self.now, from, &bytes),
                    Some(phone) => phone.hear(&bytes)?,
                    None if self.left.contains(&to) => {}
                    None => return Err(format!("a datagram for {to}")),
                }
            }
            Cargo::Signal(signal) => {
                if !matches!(signal, Signal::Bytes(_)) {
                    self.trace.add(self.now, Line::Signal { path: (from, to), signal: signal.clone() });
                }
                match phone {
                    _ if self.server.owns(to) => self.server.signal(self.now, to, from, signal),
                    // Nobody takes connections here.
                    _ if signal == Signal::Open => self.network.signal(self.now, to, from, Signal::Reset),
                    Some(phone) => phone.signal(signal)?,
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        self.server.heal();
        self.run_to(self.now + SETTLED)?;
        let mut wrong = std::mem::take(&mut self.wrongs);
        for phone in &self.phones {
            wrong.extend(
                phone.inbox.iter().map(|came| format!("{} also got {}", phone.actor.name, came.start)),
            );
        }
        wrong.extend(self.server.leaks(0));
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n  ")) }
    }
}

fn same(found: usize, wanted: usize, what: &str) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{found} {what}")) }
}
