//! Keep-alives: phones that were heard in datagrams from behind a NAT are asked (OPTIONS) now and then.
//! That keeps the NAT's mapping, proves that the phone can be reached, and shows when it cannot.
//!
//! Kept is an address, not a binding: the lines of one phone are asked once. All of it lives here, so
//! that a phone that needs none of it costs nothing.
//!
//! | an address            | what happens             | next     | what is done                         |
//! |-----------------------|--------------------------|----------|--------------------------------------|
//! | quiet                 | its turn; silent for half the interval or more | asked | OPTIONS         |
//! | quiet                 | its turn; heard lately   | quiet    | proven at that time                  |
//! | asked 1, 2 times      | no answer within 4, 8 × T1 | asked  | the same OPTIONS again               |
//! | asked 3 times         | no answer within 8 × T1  | suspect  | its bindings are suspect             |
//! | suspect               | its turn                 | suspect  | OPTIONS, once                        |
//! | any                   | an answer, any request   | quiet    | its bindings are proven              |
//! | any                   | 408, 430, 481            | same     | nothing: somebody else says it       |
//! | any                   | none of its bindings lives there any more | gone |                 |
//!
//! Turns come every [`Settings::keep_alive`](super::Settings::keep_alive), less up to a fifth by chance,
//! and never more than [`limit::KEEP_ALIVES_PER_SECOND`]: past it turns come later. Past
//! [`limit::KEPT_MAX`] addresses no further one is kept; that is counted.
//!
//! A binding that a call could not reach is kept too, until something is heard of it: so a phone that
//! was only slow is not suspect for the rest of its hour.

use super::Core;
use super::boundary::Output;
use super::meters::{CoreShed, KeepAlive};
use super::probe::{proves_life, question};
use crate::account::LoginName;
use crate::base::flow::{Flow, Transport};
use crate::base::limit;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Now, Wall};
use crate::base::token::Token;
use crate::directory::{Kept, Way};
use crate::registrar::Proof;
use crate::sip::Message;
use ahash::RandomState;
use slab::Slab;
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

/// How long the answer to each of the questions before a phone is suspect is waited for, in T1.
const WAITS: [u32; 3] = [4, 8, 8];

/// How often a share of what one second allows is given out.
const ROUND: Duration = Duration::from_millis(100);

/// The share.
const PER_ROUND: usize = limit::KEEP_ALIVES_PER_SECOND / 10;

/// A binding at an address.
type Line = (LoginName, u32);

/// One address.
#[derive(Debug)]
struct Place {
    listener: u8,
    remote: SocketAddr,
    lines: SmallVec<[Line; 1]>,
    /// When it is its turn; a deadline with another time is stale.
    due: Mono,
    /// What names the question under way.
    asked: Option<Token>,
    /// How often that was asked.
    times: u8,
    suspect: bool,
    /// When something was heard since the last turn.
    heard: Option<Mono>,
}

impl Place {
    const fn flow(&self) -> Flow {
        Flow::udp(self.listener, self.remote)
    }
}

/// The addresses that one shard keeps.
#[derive(Debug)]
pub(super) struct Keeper {
    places: Slab<Place>,
    by_address: HashMap<(u8, SocketAddr), u32, RandomState>,
    due: BinaryHeap<Reverse<(Mono, u32)>>,
    /// When the next share of turns is given out, and how many are left of this one.
    round: (Mono, usize),
    room: usize,
}

impl Keeper {
    /// None yet; at most `room`.
    pub(super) fn new(room: usize, rng: &mut Rng) -> Self {
        let hash = RandomState::with_seeds(rng.bits(), rng.bits(), rng.bits(), rng.bits());
        Self {
            places: Slab::new(),
            by_address: HashMap::with_hasher(hash),
            due: BinaryHeap::new(),
            round: (Mono::default(), PER_ROUND),
            room,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let Reverse((due, _)) = self.due.peek()?;
        let (again, left) = self.round;
        Some(if left == 0 { again.max(*due) } else { *due })
    }

    /// Keeps an address for a binding; false if there is no room for it.
    fn keep(&mut self, line: Line, listener: u8, remote: SocketAddr, due: Mono) -> bool {
        if let Some(place) = self.by_address.get(&(listener, remote)) {
            if let Some(place) = self.places.get_mut(*place as usize)
                && !place.lines.contains(&line)
            {
                if place.lines.len() >= limit::STREAM_LOGINS_MAX {
                    return false;
                }
                place.lines.push(line);
            }
            return true;
        }
        let number = u32::try_from(self.places.vacant_key()).unwrap_or(u32::MAX);
        if self.places.len() >= self.room || number == u32::MAX {
            return false;
        }
        let lines = SmallVec::from_iter([line]);
        let (asked, times, suspect, heard) = (None, 0, false, None);
        self.places.insert(Place { listener, remote, lines, due, asked, times, suspect, heard });
        self.by_address.insert((listener, remote), number);
        self.due.push(Reverse((due, number)));
        true
    }

    fn forget(&mut self, number: u32) {
        if let Some(place) = self.places.try_remove(number as usize) {
            self.by_address.remove(&(place.listener, place.remote));
        }
    }

    /// Its next turn.
    fn schedule(&mut self, number: u32, due: Mono) {
        if let Some(place) = self.places.get_mut(number as usize) {
            place.due = due;
            self.due.push(Reverse((due, number)));
        }
    }

    /// Whose turn it is, if it is anybody's and the share of this round allows.
    fn turn(&mut self, now: Mono) -> Option<u32> {
        if self.round.0 <= now {
            self.round = (now + ROUND, PER_ROUND);
        }
        while let Some(Reverse((due, number))) = self.due.peek().copied() {
            if due > now || self.round.1 == 0 {
                return None;
            }
            self.due.pop();
            if self.places.get(number as usize).is_some_and(|place| place.due == due) {
                self.round.1 -= 1;
                return Some(number);
            }
        }
        None
    }
}

impl Core {
    /// How many addresses this shard keeps.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.keeper.len()
    }

    /// After a start: keeps those of `kept` that are this shard's share.
    pub fn keep_all(&mut self, now: Mono, kept: &[Kept]) {
        let interval = self.settings.keep_alive;
        if interval.is_zero() {
            return;
        }
        for kept in kept.iter().skip(self.shard.index()).step_by(usize::from(self.shards.max(1))) {
            let due = now + self.rng.between(Duration::ZERO, interval);
            let line = (kept.login.clone(), kept.number);
            if !self.keeper.keep(line, kept.listener, kept.remote, due) {
                self.meters.shed(CoreShed::KeepAlives);
            }
        }
    }

    /// A REGISTER of this extension came over this flow, and began a binding or moved one.
    pub(super) fn keep(&mut self, now: Now, flow: Flow, login: &str) {
        if self.settings.keep_alive.is_zero() || flow.transport != Transport::Udp {
            return;
        }
        let numbers = self.directory.kept_over(login, flow, now.wall);
        let Some(login) = LoginName::of_account(login).ok().filter(|_| !numbers.is_empty()) else { return };
        let due = now.mono + self.pause();
        for number in numbers {
            if !self.keeper.keep((login.clone(), number), flow.listener, flow.remote, due) {
                self.meters.shed(CoreShed::KeepAlives);
            }
        }
        self.heard_from(now, flow); // the very REGISTER
    }

    /// Something that is no answer was heard over this flow: its phone is there.
    pub(super) fn heard_from(&mut self, now: Now, flow: Flow) {
        if self.keeper.places.is_empty() || flow.transport != Transport::Udp {
            return;
        }
        let Some(number) = self.keeper.by_address.get(&(flow.listener, flow.remote)).copied() else { return };
        let Some(place) = self.keeper.places.get_mut(number as usize) else { return };
        if place.suspect || place.asked.is_some() {
            return self.proven(number, now);
        }
        place.heard = Some(now.mono);
    }

    /// A call could not reach a binding: it is in doubt, and asked until something is heard of it.
    pub(super) fn unreachable(&mut self, now: Now, login: &str, number: u32, flow: Flow) {
        self.meters.unreachable();
        let Ok(login) = LoginName::of_account(login) else { return };
        let new = self.directory.doubt_reach(login.as_str(), number, flow);
        if !new || flow.transport != Transport::Udp || self.settings.keep_alive.is_zero() {
            return;
        }
        let due = now.mono + self.settings.intervals.t1;
        if !self.keeper.keep((login, number), flow.listener, flow.remote, due) {
            return self.meters.shed(CoreShed::KeepAlives);
        }
        if let Some(place) = self.keeper.by_address.get(&(flow.listener, flow.remote)).copied()
            && let Some(place) = self.keeper.places.get_mut(place as usize)
        {
            place.suspect = true;
        }
    }

    /// A call reached a binding that was in doubt.
    pub(super) fn reached(&mut self, now: Now, login: &str, number: u32, flow: Flow) {
        self.directory.prove(login, number, flow, now.wall);
        self.heard_from(now, flow);
    }

    /// Gives everybody their turn whose turn it is.
    pub(super) fn keep_further(&mut self, now: Now) {
        while let Some(number) = self.keeper.turn(now.mono) {
            self.take_turn(now, number);
        }
    }

    fn take_turn(&mut self, now: Now, number: u32) {
        let Some(place) = self.keeper.places.get_mut(number as usize) else { return };
        let (flow, directory) = (place.flow(), &self.directory);
        let mut first: Option<(LoginName, Way, Proof)> = None;
        place.lines.retain(|(login, binding)| {
            let found = directory.way_to_kept(login.as_str(), *binding, flow, now.wall);
            let lives = found.is_some();
            first = first.take().or_else(|| found.map(|(way, proof)| (login.clone(), way, proof)));
            lives
        });
        let Some((login, way, proof)) = first else { return self.keeper.forget(number) };
        // A REGISTER is told to nobody here: it is seen by what it left in the binding.
        let registered = proof.last().filter(|_| !proof.is_suspect()).map(|at| now.wall.since(at));
        let silent =
            place.heard.take().map(|heard| now.mono.since(heard)).into_iter().chain(registered).min();
        if let Some(silent) = silent.filter(|silent| *silent < self.settings.keep_alive / 2) {
            self.rest(number);
            self.prove_lines(number, now.wall - silent);
            let due = now.mono + (self.pause() - silent);
            return self.keeper.schedule(number, due);
        }
        if place.suspect && !proof.is_suspect() {
            (place.suspect, place.asked, place.times) = (false, None, 0);
        }
        if place.suspect {
            (place.asked, place.times) = (None, 0);
            let due = now.mono + self.pause();
            self.ask_to_stay(number, &login, &way);
            return self.keeper.schedule(number, due);
        }
        let Some(wait) = WAITS.get(usize::from(place.times)) else { return self.doubt(now, number) };
        self.ask_to_stay(number, &login, &way);
        self.keeper.schedule(number, now.mono + self.settings.intervals.t1 * *wait);
    }

    /// Nothing was heard of the phone at an address, however often it was asked.
    fn doubt(&mut self, now: Now, number: u32) {
        let due = now.mono + self.pause();
        let Some(place) = self.keeper.places.get_mut(number as usize) else { return };
        place.suspect = true;
        for (login, binding) in &place.lines {
            self.directory.doubt_reach(login.as_str(), *binding, place.flow());
        }
        self.meters.keep_alive(KeepAlive::Silent);
        self.keeper.schedule(number, due);
    }

    /// No question is under way.
    fn rest(&mut self, number: u32) {
        if let Some(place) = self.keeper.places.get_mut(number as usize) {
            (place.asked, place.times, place.suspect, place.heard) = (None, 0, false, None);
        }
    }

    fn ask_to_stay(&mut self, number: u32, login: &LoginName, way: &Way) {
        let minted = Token::mint(&mut self.rng, self.shard);
        let Some(place) = self.keeper.places.get_mut(number as usize) else { return };
        let token = *place.asked.get_or_insert(minted);
        place.times += 1;
        let (host, sent_by) = (self.settings.host(), self.sent_by(way.flow));
        // The number of the place comes back in CSeq; the branch tells whether it is still that question.
        let bytes = question(login, &host, way, sent_by, [token; 3], number.wrapping_add(1));
        self.out.push_back(Output::Send { flow: way.flow, bytes });
        self.meters.keep_alive(KeepAlive::Asked);
    }

    /// Takes a response; `false` if it is to no keep-alive.
    pub(super) fn keep_alive_response(&mut self, now: Now, response: &Message) -> bool {
        if self.keeper.places.is_empty() {
            return false;
        }
        let number = response.cseq().number.wrapping_sub(1);
        let Some(place) = self.keeper.places.get(number as usize) else { return false };
        let branch = response.via().and_then(|via| Token::of_branch(via.branch()?));
        if branch.is_none() || branch != place.asked {
            return false;
        }
        if proves_life(response.status()) {
            self.meters.keep_alive(KeepAlive::Answered);
            self.proven(number, now);
        }
        true
    }

    /// The phone at an address is there.
    fn proven(&mut self, number: u32, now: Now) {
        self.prove_lines(number, now.wall);
        self.rest(number);
        let due = now.mono + self.pause();
        self.keeper.schedule(number, due);
    }

    fn prove_lines(&self, number: u32, at: Wall) {
        let Some(place) = self.keeper.places.get(number as usize) else { return };
        for (login, binding) in &place.lines {
            self.directory.prove(login.as_str(), *binding, place.flow(), at);
        }
    }

    /// From one turn to the next.
    fn pause(&mut self) -> Duration {
        let interval = self.settings.keep_alive;
        self.rng.between(interval / 5 * 4, interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u32) -> Line {
        (LoginName::parse("201-acme").unwrap(), number)
    }

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn full_and_one_past_it() {
        let mut keeper = Keeper::new(2, &mut Rng::from_number(1));
        assert!(keeper.keep(line(1), 0, address(1), Mono::from_secs(1)));
        assert!(keeper.keep(line(2), 0, address(2), Mono::from_secs(1)));
        assert!(!keeper.keep(line(3), 0, address(3), Mono::from_secs(1)));
        assert!(keeper.keep(line(3), 0, address(2), Mono::from_secs(1)), "one more line of a place");
        assert!(keeper.keep(line(3), 0, address(2), Mono::from_secs(1)), "the same again");
        assert_eq!((keeper.len(), keeper.places[1].lines.len()), (2, 2));
        keeper.forget(0);
        assert!(keeper.keep(line(3), 0, address(3), Mono::from_secs(1)));
    }

    #[test]
    fn so_many_turns_in_a_second_and_no_more() {
        let mut keeper = Keeper::new(usize::MAX, &mut Rng::from_number(1));
        let number = u16::try_from(limit::KEEP_ALIVES_PER_SECOND).unwrap() + 1;
        for port in 1..=number {
            assert!(keeper.keep(line(1), 0, address(port), Mono::from_secs(1)));
        }
        let mut took = Vec::new();
        while let Some(now) = keeper.next_deadline() {
            let turns = std::iter::from_fn(|| keeper.turn(now)).count();
            assert!(keeper.next_deadline().is_none_or(|due| due > now));
            took.push((now.as_micros(), turns));
        }
        let rounds: Vec<_> = (0..10).map(|n| (1_000_000 + n * 100_000, PER_ROUND)).collect();
        assert_eq!((&took[..10], &took[10..]), (&rounds[..], &[(2_000_000, 1)][..]));
    }
}
