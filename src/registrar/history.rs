//! What became of a device's registrations: bounded per device and per extension, and whether the
//! device comes and goes.
//!
//! | event          | told when |
//! |----------------|-----------|
//! | `registered`   | a binding began, or one that had expired was refreshed |
//! | `moved`        | a binding was refreshed from another address |
//! | `expired`      | when its device came back, at the time at which it had ended |
//! | `unregistered` | its device ended it |
//! | `removed`      | somebody else did: by whom, by which command |
//! | `refused`      | a right password was refused: why; the same again is counted and not added |
//! | `refused`      | a lock or a ban refused it without a look at the password: all of an hour are one event, whoever caused them |
//! | `previous_password` | it tried the password before the present one: nobody has told it; counted as above |
//!
//! A refresh from the same address is no event. What is refused for another wrong password is none either:
//! anybody can cause it, and the audit has the lock that follows.
//!
//! A device that came [`FLAP_TIMES`] times within [`FLAP_WINDOW`] *flaps*, until it has not come for that
//! long: an episode.

use crate::base::limit::{HISTORY_DEVICES_MAX, HISTORY_EVENTS_MAX};
use crate::base::time::Wall;
use crate::licence::DeviceId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// How often a device comes within [`FLAP_WINDOW`] until it counts as flapping.
pub const FLAP_TIMES: usize = 6;

/// Within what time.
pub const FLAP_WINDOW: Duration = Duration::from_secs(600);

/// What happened to a device of somebody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Happened {
    /// When.
    pub at: Wall,
    /// Which device; `None` for a phone that is none.
    pub device: Option<DeviceId>,
    /// From where.
    pub address: Option<SocketAddr>,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happening {
    /// A binding began.
    Registered,
    /// A binding that had ended at this time was refreshed.
    Returned(Wall),
    /// A binding was refreshed from another address than this.
    Moved(SocketAddr),
    /// A binding had ended.
    Expired,
    /// Its device ended a binding.
    Unregistered,
    /// Somebody else ended a binding: who, by which command.
    Removed(Box<str>),
    /// It was refused, in these words.
    Refused(Box<str>),
    /// A lock or a ban refused it so often since then, in these words.
    Barred {
        /// Since when.
        since: Wall,
        /// How often.
        times: u32,
        /// In which words.
        why: &'static str,
    },
    /// It tried the password before the present one; what it calls itself.
    PreviousPassword(Box<str>),
}

/// Refusals by a lock or a ban within this time of each other are one event.
pub const BARRED_WINDOW: Duration = Duration::from_secs(3600);

/// One event as it is kept.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When; the first time, if it was often.
    pub at: Wall,
    /// The last time.
    pub last: Wall,
    /// How often in a row.
    pub times: u32,
    /// From where.
    pub address: Option<SocketAddr>,
    /// What.
    pub what: Kept,
}

/// What is kept of what happened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // as in [`Happening`]
pub enum Kept {
    Registered,
    Moved { from: SocketAddr },
    Expired,
    Unregistered,
    Removed { by: Box<str> },
    Refused { why: Box<str> },
    PreviousPassword { agent: Box<str> },
}

impl Kept {
    /// The word for it.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Moved { .. } => "moved",
            Self::Expired => "expired",
            Self::Unregistered => "unregistered",
            Self::Removed { .. } => "removed",
            Self::Refused { .. } => "refused",
            Self::PreviousPassword { .. } => "previous_password",
        }
    }

    /// From where, by whom, why, or what it calls itself.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Registered | Self::Expired | Self::Unregistered => String::new(),
            Self::Moved { from } => format!("from {from}"),
            Self::Removed { by } => format!("by {by}"),
            Self::Refused { why } => why.to_string(),
            Self::PreviousPassword { agent } => agent.to_string(),
        }
    }

    const fn is_coming(&self) -> bool {
        matches!(self, Self::Registered | Self::Moved { .. })
    }

    /// Whether the same again is counted and not added.
    const fn is_counted(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::PreviousPassword { .. })
    }
}

/// The events of one device.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct DeviceHistory {
    /// Which; `None` for phones that are none.
    pub device: Option<DeviceId>,
    /// At most [`HISTORY_EVENTS_MAX`], the newest last.
    pub events: Vec<Event>,
    /// Since when it flaps, and until when it does unless it comes again.
    pub flaps: Option<(Wall, Wall)>,
}

/// The history of an extension, or of a station.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// At most [`HISTORY_DEVICES_MAX`], the one that something happened to last at the end.
    pub devices: Vec<DeviceHistory>,
}

impl History {
    /// Adds what happened; `is_device` tells which devices there are. Says how often the device came, if that
    /// began an episode of flapping.
    pub fn add(&mut self, happened: Happened, is_device: impl Fn(DeviceId) -> bool) -> Option<usize> {
        let Happened { at, device, address, what } = happened;
        let known = self.devices.iter().position(|history| history.device == device);
        let mut history = match known {
            Some(place) => self.devices.remove(place),
            None => DeviceHistory { device, ..DeviceHistory::default() },
        };
        match what {
            Happening::Barred { since, times, why } => history.bar((since, at), times, address, why),
            Happening::Returned(ended) => {
                history.push(ended, address, Kept::Expired);
                history.push(at, address, Kept::Registered);
            }
            what => history.push(at, address, what.kept()),
        }
        let begun = history.flap(at);
        if self.devices.len() >= HISTORY_DEVICES_MAX {
            let gone = |one: &DeviceHistory| one.device.is_some_and(|device| !is_device(device));
            self.devices.remove(self.devices.iter().position(gone).unwrap_or(0));
        }
        self.devices.push(history);
        begun
    }

    /// Since when a device flaps.
    #[must_use]
    pub fn flapping(&self, device: DeviceId, now: Wall) -> Option<Wall> {
        let history = self.devices.iter().find(|history| history.device == Some(device))?;
        history.flaps.filter(|(_, until)| *until > now).map(|(since, _)| since)
    }

    /// When a device last tried the password before the present one, unless it has come since.
    #[must_use]
    pub fn previous_password(&self, device: DeviceId) -> Option<Wall> {
        let history = self.devices.iter().find(|history| history.device == Some(device))?;
        let tried = |event: &&Event| matches!(event.what, Kept::PreviousPassword { .. });
        let mut events = history.events.iter().rev();
        events.find(|event| event.what.is_coming() || tried(event)).filter(tried).map(|event| event.last)
    }
}

impl Happening {
    fn kept(self) -> Kept {
        match self {
            Self::Registered | Self::Returned(_) => Kept::Registered,
            Self::Moved(from) => Kept::Moved { from },
            Self::Expired => Kept::Expired,
            Self::Unregistered => Kept::Unregistered,
            Self::Removed(by) => Kept::Removed { by },
            Self::Refused(why) => Kept::Refused { why },
            Self::Barred { why, .. } => Kept::Refused { why: why.into() },
            Self::PreviousPassword(agent) => Kept::PreviousPassword { agent },
        }
    }
}

impl DeviceHistory {
    fn push(&mut self, at: Wall, address: Option<SocketAddr>, what: Kept) {
        if let Some(last) = self.events.last_mut()
            && what.is_counted()
            && last.what == what
            && last.address.map(|address| address.ip()) == address.map(|address| address.ip())
        {
            last.times = last.times.saturating_add(1);
            (last.last, last.address) = (at, address);
            return;
        }
        if self.events.len() >= HISTORY_EVENTS_MAX {
            self.events.remove(0);
        }
        self.events.push(Event { at, last: at, times: 1, address, what });
    }

    /// Adds refusals that anybody can cause: at most one event an hour in the same words, so that they push
    /// out little of what phones did.
    fn bar(&mut self, (since, last): (Wall, Wall), times: u32, address: Option<SocketAddr>, why: &str) {
        let alike = |event: &&mut Event| match &event.what {
            Kept::Refused { why: known } => **known == *why && event.at + BARRED_WINDOW > since,
            _ => false,
        };
        if let Some(event) = self.events.iter_mut().rev().find(alike) {
            event.times = event.times.saturating_add(times);
            (event.last, event.address) = (last, address);
            return;
        }
        self.push(since, address, Kept::Refused { why: why.into() });
        if let Some(event) = self.events.last_mut() {
            (event.last, event.times) = (last, times);
        }
    }

    /// Whether it flaps now; how often it came, if that is news.
    fn flap(&mut self, now: Wall) -> Option<usize> {
        self.device?;
        let came = |event: &&Event| event.what.is_coming() && event.at + FLAP_WINDOW > now;
        let times = self.events.iter().filter(came).count();
        if times < FLAP_TIMES || !self.events.last().is_some_and(|event| event.what.is_coming()) {
            return None;
        }
        let going_on = self.flaps.filter(|(_, until)| *until > now);
        self.flaps = Some((going_on.map_or(now, |(since, _)| since), now + FLAP_WINDOW));
        going_on.is_none().then_some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limit::BINDINGS_MAX;

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn at(secs: u64, device: u32, what: Happening) -> Happened {
        let device = (device > 0).then_some(DeviceId(device));
        Happened { at: Wall::from_secs(secs), device, address: Some(address(5060)), what }
    }

    fn labels(history: &History, device: u32) -> Vec<&'static str> {
        let device = (device > 0).then_some(DeviceId(device));
        let found = history.devices.iter().find(|history| history.device == device).unwrap();
        found.events.iter().map(|event| event.what.label()).collect()
    }

    fn add(history: &mut History, happened: Happened) -> Option<usize> {
        history.add(happened, |_| true)
    }

    /// Many phones that come and go in turns: each is seen to, and what is known of each stays.
    #[test]
    fn as_many_devices_as_may_be_flap_in_turns_beside_phones_that_are_none() {
        let mut history = History::default();
        let devices = 1..=BINDINGS_MAX as u32;
        for device in devices.clone() {
            let what = Happening::PreviousPassword("phone".into());
            add(&mut history, at(1, device, what));
        }
        let mut begun = 0;
        for turn in 0..8 {
            for device in devices.clone() {
                assert!(turn > 0 || history.previous_password(DeviceId(device)).is_some(), "{device}");
                let second = 10 + 20 * turn + u64::from(device);
                begun += usize::from(add(&mut history, at(second, device, Happening::Registered)).is_some());
                add(&mut history, at(second, device, Happening::Unregistered));
                add(&mut history, at(second, 0, Happening::Refused("x".into())));
            }
        }
        assert_eq!(begun, BINDINGS_MAX);
        assert!(devices.clone().all(|one| history.flapping(DeviceId(one), Wall::from_secs(200)).is_some()));
        // However many are revoked and come anew meanwhile, they push out none of those that there are.
        for device in 100..200 {
            let is_device = |id: DeviceId| devices.contains(&id.0) || id.0 == device;
            history.add(at(300, device, Happening::Registered), is_device);
        }
        assert_eq!(history.devices.len(), HISTORY_DEVICES_MAX);
        assert!(devices.clone().all(|one| history.flapping(DeviceId(one), Wall::from_secs(301)).is_some()));
    }

    /// Longer than any refusal, agent or name of whoever removes it may be.
    #[test]
    fn a_history_at_its_bounds_fits_into_a_record() {
        let mut history = History::default();
        for device in 1..=HISTORY_DEVICES_MAX as u32 {
            for number in 0..HISTORY_EVENTS_MAX as u64 {
                let why = format!("{number:0>64}");
                let mut happened = at(1_800_000_000 + number, device, Happening::Refused(why.into()));
                happened.address = Some("[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap());
                add(&mut history, happened);
            }
        }
        let bytes = postcard::to_stdvec(&history).unwrap().len();
        assert!(bytes < crate::store::limit::VALUE_BYTES_MAX, "{bytes}");
    }

    #[test]
    fn what_happened_is_kept_by_device() {
        let mut history = History::default();
        for happened in [
            at(100, 1, Happening::Registered),
            at(110, 2, Happening::Registered),
            at(120, 1, Happening::Moved(address(9))),
            at(900, 1, Happening::Returned(Wall::from_secs(500))),
            at(910, 1, Happening::Unregistered),
            at(920, 2, Happening::Removed("uid 0 (binding remove)".into())),
            at(930, 0, Happening::Refused("Device Activation Limit Reached".into())),
        ] {
            assert_eq!(add(&mut history, happened), None);
        }
        assert_eq!(labels(&history, 1), ["registered", "moved", "expired", "registered", "unregistered"]);
        assert_eq!(labels(&history, 2), ["registered", "removed"]);
        assert_eq!(labels(&history, 0), ["refused"]);
        let first = &history.devices.iter().find(|one| one.device == Some(DeviceId(1))).unwrap().events;
        assert_eq!((first[1].what.detail(), first[2].at), ("from 192.0.2.1:9".into(), Wall::from_secs(500)));
    }

    #[test]
    fn as_many_events_and_devices_as_allowed_and_one_more() {
        let mut history = History::default();
        for number in 0..=HISTORY_EVENTS_MAX as u64 {
            add(&mut history, at(number, 1, Happening::Unregistered));
        }
        assert_eq!(history.devices[0].events.len(), HISTORY_EVENTS_MAX);
        assert_eq!(history.devices[0].events[0].at, Wall::from_secs(1));
        for device in 2..=HISTORY_DEVICES_MAX as u32 + 1 {
            add(&mut history, at(2, device, Happening::Registered));
        }
        assert_eq!(history.devices.len(), HISTORY_DEVICES_MAX);
        assert!(history.devices.iter().all(|one| one.device != Some(DeviceId(1))), "the quiet one went");
    }

    #[test]
    fn the_same_refusal_again_is_counted() {
        let mut history = History::default();
        for (secs, why) in [(1, "A"), (2, "A"), (3, "B"), (4, "A")] {
            add(&mut history, at(secs, 0, Happening::Refused(why.into())));
        }
        let times: Vec<_> = history.devices[0].events.iter().map(|event| event.times).collect();
        assert_eq!(times, [2, 1, 1]);
        assert_eq!(history.devices[0].events[0].last, Wall::from_secs(2));
    }

    #[test]
    fn however_often_a_lock_refuses_it_is_one_event_an_hour() {
        let mut history = History::default();
        let barred = |secs: u64, times, why| {
            let what = Happening::Barred { since: Wall::from_secs(secs), times, why };
            at(secs + 1, 0, what)
        };
        add(&mut history, at(1, 0, Happening::Refused("Device Activation Limit Reached".into())));
        for turn in 0..1_000 {
            add(&mut history, barred(100 + turn, 9, "Account Locked"));
            add(&mut history, at(100 + turn, 0, Happening::Refused("A".into())));
        }
        add(&mut history, barred(150, 1, "Source Banned"));
        add(&mut history, barred(100 + BARRED_WINDOW.as_secs(), 2, "Account Locked"));
        let events = &history.devices[0].events;
        let told: Vec<_> = events.iter().map(|event| (event.what.detail(), event.times)).collect();
        let is = |why: &str, times| (why.to_owned(), times);
        let expected =
            [is("Device Activation Limit Reached", 1), is("Account Locked", 9_000), is("A", 1_000)];
        assert_eq!(told[..3], expected, "{told:?}");
        assert_eq!(told[3..], [is("Source Banned", 1), is("Account Locked", 2)]);
        assert_eq!((events[1].at, events[1].last), (Wall::from_secs(100), Wall::from_secs(1_100)));
    }

    #[test]
    fn a_device_has_the_previous_password_until_it_comes_with_the_present_one() {
        let mut history = History::default();
        let old = |secs| at(secs, 1, Happening::PreviousPassword("Signalbox/1.0".into()));
        add(&mut history, at(1, 1, Happening::Registered));
        assert_eq!(history.previous_password(DeviceId(1)), None);
        add(&mut history, at(2, 1, Happening::Removed("uid 0 (password set)".into())));
        add(&mut history, old(3));
        add(&mut history, old(4));
        assert_eq!(labels(&history, 1), ["registered", "removed", "previous_password"]);
        assert_eq!(history.previous_password(DeviceId(1)), Some(Wall::from_secs(4)));
        assert_eq!(history.previous_password(DeviceId(2)), None);
        add(&mut history, at(5, 1, Happening::Registered));
        assert_eq!(history.previous_password(DeviceId(1)), None);
    }

    /// Comings at these times; at which of them an episode began.
    #[test]
    fn a_device_that_comes_and_goes_flaps_once_an_episode() {
        let window = FLAP_WINDOW.as_secs();
        let steady: Vec<u64> = (0..20).map(|number| number * window / 4).collect();
        let burst: Vec<u64> = (0..12).map(|number| 1000 + number * 10).collect();
        let twice: Vec<u64> = burst.iter().copied().chain(burst.iter().map(|at| at + 2 * window)).collect();
        let edge: Vec<u64> = (0..5).map(|number| 1000 + number).chain([1000 + window]).collect();
        for (name, times, began) in [
            ("steady", steady, vec![]),
            ("a burst", burst, vec![5]),
            ("two bursts", twice, vec![5, 17]),
            ("five and one too late", edge, vec![]),
        ] {
            let mut history = History::default();
            let come = |(at_index, secs): (usize, &u64)| {
                let begun = add(&mut history, at(*secs, 1, Happening::Registered));
                begun.map(|times| {
                    assert_eq!(times, FLAP_TIMES, "{name}");
                    at_index
                })
            };
            let found: Vec<usize> = times.iter().enumerate().filter_map(come).collect();
            assert_eq!(found, began, "{name}");
        }
    }

    #[test]
    fn flapping_shows_until_it_has_been_quiet() {
        let mut history = History::default();
        for secs in 0..FLAP_TIMES as u64 {
            add(&mut history, at(1000 + secs, 1, Happening::Moved(address(1))));
        }
        let since = Wall::from_secs(1005);
        let flapping = |secs| history.flapping(DeviceId(1), Wall::from_secs(secs));
        assert_eq!((flapping(1005), flapping(1604), flapping(1605)), (Some(since), Some(since), None));
        assert_eq!(history.flapping(DeviceId(2), since), None);
        let refused = (0..9).map(|secs| at(secs, 0, Happening::Registered));
        assert!(
            refused.map(|one| add(&mut history, one)).all(|begun| begun.is_none()),
            "no device, no flapping"
        );
    }
}
