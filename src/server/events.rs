//! What shards tell, as lines of the log. No person shows at `info` unless `[log] show_private`.
//!
//! A shard only puts its events down; a task of the slow half makes lines of them, so that whoever
//! reads the log cannot hold a call up.

use super::logging;
use crate::base::limit;
use crate::base::private::Private;
use crate::core::boundary::Event;
use crate::net::meters::{NetMeters, Shed};
use crate::task::Stop;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an event may lie before it is logged.
const INTERVAL: Duration = Duration::from_millis(50);

/// For so many events a place keeps its room, once it had it.
const ROOM: usize = 1_024;

/// Where one shard puts its events. Clones share the place.
#[derive(Clone)]
pub struct Events {
    waiting: Arc<Mutex<Vec<Event>>>,
    meters: NetMeters,
}

impl Events {
    /// An empty place.
    #[must_use]
    pub fn new(meters: NetMeters) -> Self {
        Self { waiting: Arc::default(), meters }
    }

    /// Puts one down; past [`limit::EVENTS_MAX`] it is dropped and counted.
    pub fn tell(&self, event: Event) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < limit::EVENTS_MAX {
            waiting.push(event);
        } else {
            self.meters.shed(Shed::EventsFull);
        }
    }

    /// Logs what waits; `room` is empty, before and after.
    fn log_all(&self, room: &mut Vec<Event>) {
        std::mem::swap(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner), room);
        room.iter().for_each(log);
        room.clear();
        room.shrink_to(ROOM);
    }
}

/// Logs what shards put down, until `stop`, and then the rest.
pub async fn run(places: Vec<Events>, stop: Stop) {
    let mut room = Vec::new();
    loop {
        let ending = tokio::select! {
            () = stop.stopped() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        logging::together(|| places.iter().for_each(|place| place.log_all(&mut room)));
        if ending {
            return;
        }
    }
}

fn log(event: &Event) {
    match event {
        Event::RegisterRefused { login, refusal, flow } => tracing::info!(
            aor = %Private(login),
            source = %Private(flow.remote),
            status = refusal.status(),
            reason = refusal.phrase(),
            "register refused"
        ),
        Event::Locked { login, lock } => tracing::warn!(
            aor = %Private(login),
            source = %Private(lock.source),
            until = lock.until.rfc3339(),
            "identity locked after failed sign-ins"
        ),
        Event::Banned(ban) => tracing::warn!(
            source = %Private(ban.source),
            until = ban.until.rfc3339(),
            "source banned after failed sign-ins at many identities"
        ),
        Event::Call { record, reason } => tracing::info!(
            caller = %Private(&record.caller),
            called = %Private(&record.called),
            service = record.service.map(crate::menu::Service::label),
            end = record.end.label(),
            status = record.status,
            reason = reason.map(crate::route::Reason::label),
            setup_ms = record.setup_ms,
            talked_ms = record.talked_ms,
            rung = record.candidates.len(),
            "call"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Wall;
    use crate::lockout::Ban;

    fn banned(number: u32) -> Event {
        let (since, until) = (Wall::from_secs(1), Wall::from_secs(2));
        Event::Banned(Ban { source: std::net::Ipv4Addr::from_bits(number).into(), since, until })
    }

    fn waiting(place: &Events) -> Vec<u32> {
        let number = |event: &Event| match event {
            Event::Banned(Ban { source: std::net::IpAddr::V4(ip), .. }) => ip.to_bits(),
            other => panic!("{other:?}"),
        };
        place.waiting.lock().unwrap().iter().map(number).collect()
    }

    #[test]
    fn as_many_wait_as_there_is_room_for_and_the_rest_is_dropped() {
        let place = Events::new(NetMeters::default());
        for number in 0..=limit::EVENTS_MAX as u32 {
            place.tell(banned(number));
        }
        assert_eq!(waiting(&place), (0..limit::EVENTS_MAX as u32).collect::<Vec<_>>());
    }

    #[test]
    fn room_for_a_few_is_kept_and_room_for_many_is_not() {
        let (place, mut room) = (Events::new(NetMeters::default()), Vec::new());
        for told in [ROOM, 1, ROOM * 2, 0] {
            (0..told as u32).for_each(|number| place.tell(banned(number)));
            place.log_all(&mut room);
            assert_eq!((waiting(&place).len(), room.len()), (0, 0));
            assert!((told.min(ROOM)..=ROOM).contains(&room.capacity()), "{} after {told}", room.capacity());
        }
    }
}
