//! What is remembered of one identity's failures: its count, its lock, and how far its devices have
//! strained their trust. Nothing for almost all of them, so it is one pointer wide.

use super::counter::Counter;
use super::{Attempt, FAILURES_MAX, Policy, Trust};
use crate::account::portal::BrowserId;
use crate::base::limit::DEVICES_MAX;
use crate::base::time::{Mono, Now, Wall};
use crate::licence::DeviceId;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// Phones with the previous password that are told apart per identity; further ones count each time.
const PREVIOUS_MAX: usize = 16;
/// What is kept of a User-Agent in a lock, in characters.
const AGENT_CHARS_MAX: usize = 64;

/// What a sign-in is for; counted apart, shown and unlocked together.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Scope {
    /// A phone's digest response.
    Sip,
    /// The portal's password.
    Portal,
    /// The PIN of phone access.
    Pin,
}

impl Scope {
    /// The value of a metric's label, and what scripts see.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Portal => "portal",
            Self::Pin => "pin",
        }
    }
}

/// The lock of an identity, as it is kept and shown.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// When it began.
    pub since: Wall,
    /// When it ends.
    pub until: Wall,
    /// Where the failure came from that began it (IPv6: its /64).
    pub source: IpAddr,
    /// What was tried.
    pub scope: Scope,
    /// The User-Agent of that failure, cut.
    pub device: Box<str>,
}

/// What an identity's failures have led to, in memory.
#[derive(Clone, Debug, Default)]
pub struct Watch(Option<Box<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    counter: Counter,
    lock: Option<(Lock, Mono)>,
    devices: Vec<Doubts>,
    previous_epoch: u32,
    previous: Vec<u64>,
}

/// What is kept of a User-Agent, wherever failures are told: its beginning, without control characters.
#[must_use]
pub fn cut_agent(agent: &[u8]) -> Box<str> {
    let agent = String::from_utf8_lossy(agent);
    agent.chars().filter(|char| !char.is_control()).take(AGENT_CHARS_MAX).collect::<String>().into()
}

/// Whose trust has sides. Phones and browsers are never in one watch: each scope has its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trusted {
    Device(DeviceId),
    Browser(BrowserId),
}

/// A device's failures, side by side; a browser has only the second.
#[derive(Clone, Debug)]
struct Doubts {
    device: Trusted,
    known_flow: Side,
    elsewhere: Side,
}

#[derive(Clone, Debug, Default)]
struct Side {
    counter: Counter,
    ended_until: Mono,
}

/// Whether a phone's previous password is news.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Previous {
    /// First time for this password epoch and phone: count it as a failure, and tell the portal.
    First,
    /// Known already: no failure.
    Again,
}

impl Watch {
    /// The watch of an identity whose record holds a lock. What remains is never more than the lock's
    /// whole duration, wherever the civil clock has gone meanwhile.
    #[must_use]
    pub fn restored(lock: Option<Lock>, now: Now) -> Self {
        let mut watch = Self::default();
        if let Some(lock) = lock {
            let until = now.mono + remaining(lock.since, lock.until, now.wall);
            if until > now.mono {
                watch.state().lock = Some((lock, until));
            }
        }
        watch
    }

    /// What remains of the lock.
    #[must_use]
    pub fn locked(&self, now: Mono) -> Option<Duration> {
        let (_, until) = self.0.as_ref()?.lock.as_ref()?;
        Some(until.since(now)).filter(|remaining| !remaining.is_zero())
    }

    /// The lock, while it lasts.
    #[must_use]
    pub fn lock(&self, now: Mono) -> Option<&Lock> {
        self.locked(now)?;
        self.0.as_ref()?.lock.as_ref().map(|(lock, _)| lock)
    }

    /// The trust that is left of what an attempt claims.
    #[must_use]
    pub fn holds(&self, claimed: Trust, now: Mono) -> Trust {
        let side = self.0.as_ref().and_then(|state| {
            let (device, known_flow) = sided(claimed)?;
            let doubts = state.devices.iter().find(|doubts| doubts.device == device)?;
            Some(if known_flow { &doubts.known_flow } else { &doubts.elsewhere })
        });
        if side.is_some_and(|side| side.ended_until > now) { Trust::None } else { claimed }
    }

    /// Ends the lock and forgets every failure: an administrator's unlock.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Whether anything is remembered.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.0.is_none()
    }

    /// Judges a response that the *previous* password makes right: news once per password epoch and
    /// phone. The phone is its device, or where it is no device, its source.
    pub fn previous_password_seen(
        &mut self,
        epoch: u32,
        device: Option<DeviceId>,
        source: IpAddr,
    ) -> Previous {
        let phone = device.map_or(1 << 32 | u64::from(tag(source)), |device| device.0.into());
        let state = self.state();
        if state.previous_epoch != epoch {
            state.previous_epoch = epoch;
            state.previous.clear();
        }
        if state.previous.contains(&phone) {
            return Previous::Again;
        }
        if state.previous.len() < PREVIOUS_MAX {
            state.previous.push(phone);
        }
        Previous::First
    }

    /// Counts a failure of the identity; the lock, if that begins one.
    pub(super) fn fail(&mut self, attempt: &Attempt<'_>, policy: &Policy, now: Now) -> Option<Lock> {
        let state = self.state();
        if !reaches(&mut state.counter, tag(attempt.source), policy, now.mono) {
            return None;
        }
        let lock = Lock {
            since: now.wall,
            until: now.wall + policy.duration,
            source: attempt.source,
            scope: attempt.scope,
            device: cut_agent(attempt.agent),
        };
        state.lock = Some((lock.clone(), now.mono + policy.duration));
        Some(lock)
    }

    /// Counts a failure of a trusted side; says whether that ends its trust.
    pub(super) fn fail_side(&mut self, trust: Trust, policy: &Policy, now: Mono) -> bool {
        let Some((device, known_flow)) = sided(trust) else { return false };
        let doubts = self.state().doubts(device, policy, now);
        let side = if known_flow { &mut doubts.known_flow } else { &mut doubts.elsewhere };
        let ends = reaches(&mut side.counter, 0, policy, now);
        if ends {
            side.ended_until = now + policy.duration;
        }
        ends
    }

    /// Forgets the failures of a source.
    pub(super) fn excuse(&mut self, source: IpAddr, now: Mono) {
        if let Some(state) = &mut self.0 {
            state.counter.forget(tag(source));
        }
        self.let_go(now);
    }

    /// Forgets the failures of a trusted side. An ended trust stays ended.
    pub(super) fn excuse_side(&mut self, trust: Trust, now: Mono) {
        let Some((state, (device, known_flow))) = self.0.as_mut().zip(sided(trust)) else { return };
        for doubts in state.devices.iter_mut().filter(|doubts| doubts.device == device) {
            let side = if known_flow { &mut doubts.known_flow } else { &mut doubts.elsewhere };
            side.counter.clear();
        }
        self.let_go(now);
    }

    /// Gives the memory back once there is nothing to remember.
    fn let_go(&mut self, now: Mono) {
        if self.0.as_ref().is_some_and(|state| state.is_idle(now)) {
            self.0 = None;
        }
    }

    fn state(&mut self) -> &mut State {
        self.0.get_or_insert_default()
    }
}

impl State {
    fn is_idle(&self, now: Mono) -> bool {
        self.counter.is_empty()
            && self.lock.as_ref().is_none_or(|(_, until)| *until <= now)
            && self.previous.is_empty()
            && !self
                .devices
                .iter()
                .any(|doubts| doubts.known_flow.matters(now) || doubts.elsewhere.matters(now))
    }

    /// The doubts about a device. Those that have passed make room first, then the oldest.
    fn doubts(&mut self, device: Trusted, policy: &Policy, now: Mono) -> &mut Doubts {
        let at = self.devices.iter().position(|doubts| doubts.device == device).unwrap_or_else(|| {
            for doubts in &mut self.devices {
                doubts.known_flow.counter.forget_older_than(policy.window, now);
                doubts.elsewhere.counter.forget_older_than(policy.window, now);
            }
            self.devices.retain(|doubts| doubts.known_flow.matters(now) || doubts.elsewhere.matters(now));
            if self.devices.len() >= DEVICES_MAX {
                self.devices.remove(0);
            }
            self.devices.push(Doubts { device, known_flow: Side::default(), elsewhere: Side::default() });
            self.devices.len() - 1
        });
        &mut self.devices[at]
    }
}

impl Side {
    fn matters(&self, now: Mono) -> bool {
        !self.counter.is_empty() || self.ended_until > now
    }
}

/// Counts a failure; whether that is the one too many, after which counting begins anew.
fn reaches(counter: &mut Counter, tag: u32, policy: &Policy, now: Mono) -> bool {
    let max = usize::from(policy.failures_max.clamp(1, FAILURES_MAX));
    let reached = counter.fail(tag, max, policy.window, now) >= max;
    if reached {
        counter.clear();
    }
    reached
}

const fn sided(trust: Trust) -> Option<(Trusted, bool)> {
    match trust {
        Trust::None => None,
        Trust::KnownFlow(device) => Some((Trusted::Device(device), true)),
        Trust::Elsewhere(device) => Some((Trusted::Device(device), false)),
        Trust::Browser(browser) => Some((Trusted::Browser(browser), false)),
    }
}

/// A short name for a source; that two sources may share one only makes us forget a little more.
fn tag(source: IpAddr) -> u32 {
    match source {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => ip.octets().chunks(4).fold(1, |tag: u32, four| {
            let word = four.iter().fold(0, |word: u32, byte| word << 8 | u32::from(*byte));
            (tag.rotate_left(9) ^ word).wrapping_mul(0x9e37_79b1)
        }),
    }
}

/// What remains at `now` of something that runs from `since` until `until`: no more than all of it,
/// though the clock may have been set back.
pub(super) fn remaining(since: Wall, until: Wall, now: Wall) -> Duration {
    until.since(now).min(until.since(since))
}
