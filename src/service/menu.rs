//! What the phone menu asks: PINs, and logins of agents to stations.
//!
//! | asked | what is done |
//! |-------|--------------|
//! | whether there is a PIN | the record is read |
//! | whether this is the PIN | [`Desk::verify_pin`]: failures count, known and unknown extensions alike |
//! | set this PIN, log in, log out | what administration does, by the person whose menu it is, who must be active |
//! | anything, by a phone that was revoked or shut out since it called | nothing: it cannot be done |
//!
//! A station is spelled on the keys (`desk1` is `33751`); what spells several is as unknown as what spells
//! none. Only stations and extensions of the phone's own tenant are meant.

use super::admin::{Actor, Caller, Condition, Password, Refusal, Request as Asked, Via, Who};
use super::portal::{Desk, Refused};
use crate::account::{LoginName, StationId};
use crate::base::limit;
use crate::base::private::Secret;
use crate::core::voice::{Enquiry, Reply, Visitor};
use crate::directory::ExtensionRecord;
use crate::menu::{Request, Told};
use crate::task::Stop;
use metrics::Counter;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Where shards put what their calls ask. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Enquiries(mpsc::Sender<Box<Enquiry>>);

impl Enquiries {
    /// Puts one there; never waits.
    ///
    /// # Errors
    /// The reply that it cannot be done now, if there are [`limit::MENU_ENQUIRIES_MAX`].
    pub fn put(&self, enquiry: Box<Enquiry>) -> Result<(), Box<Reply>> {
        self.0.try_send(enquiry).map_err(|error| {
            let (mpsc::error::TrySendError::Full(enquiry) | mpsc::error::TrySendError::Closed(enquiry)) =
                error;
            let Enquiry { line, number, .. } = *enquiry;
            Box::new(Reply { line, number, told: Told::Unavailable, person: None })
        })
    }
}

/// The place, and what is taken from it.
#[must_use]
pub fn enquiries() -> (Enquiries, mpsc::Receiver<Box<Enquiry>>) {
    let (sender, receiver) = mpsc::channel(limit::MENU_ENQUIRIES_MAX);
    (Enquiries(sender), receiver)
}

/// Answers all that is asked, until `stop`.
pub async fn run(
    desk: Desk,
    mut asked: mpsc::Receiver<Box<Enquiry>>,
    reply: Arc<dyn Fn(Box<Reply>) + Send + Sync>,
    stop: Stop,
) {
    let mut under_way = JoinSet::new();
    loop {
        let room = under_way.len() < limit::MENU_ENQUIRIES_MAX;
        tokio::select! {
            () = stop.stopped() => return,
            enquiry = asked.recv(), if room => {
                let Some(enquiry) = enquiry else { return };
                let (desk, reply) = (desk.clone(), Arc::clone(&reply));
                under_way.spawn(async move { reply(Box::new(answer(&desk, *enquiry).await)) });
            }
            Some(_) = under_way.join_next() => {}
        }
    }
}

/// Answers one.
///
/// # Cancel safety
/// What was begun is finished even if the future is dropped.
pub async fn answer(desk: &Desk, enquiry: Enquiry) -> Reply {
    let Enquiry { line, number, visitor, request } = enquiry;
    let what = label(&request);
    let (told, person) = match request {
        _ if !is_good(desk, &visitor) => (Told::Unavailable, None),
        Request::Standing => (standing(desk, &visitor).await, None),
        Request::CheckPin { extension, pin } => check(desk, &visitor, extension, pin).await,
        Request::SetPin(pin) => {
            let pin = Password::new(pin.expose().clone());
            (change(desk, &visitor, |login| Asked::PinSet { login, pin }).await, None)
        }
        Request::LogIn(station) => (log_in(desk, &visitor, station).await, None),
        Request::LogOut => (log_out(desk, &visitor).await, None),
    };
    if let Some(what) = what {
        counter(what, outcome(&told)).increment(1);
    }
    Reply { line, number, told, person }
}

/// `what` in `stationmaster_menu_asked_total{what,outcome}`.
const fn label(request: &Request) -> Option<&'static str> {
    match request {
        Request::Standing => None,
        Request::CheckPin { .. } => Some("pin"),
        Request::SetPin(_) => Some("set_pin"),
        Request::LogIn(_) => Some("log_in"),
        Request::LogOut => Some("log_out"),
    }
}

const fn outcome(told: &Told) -> &'static str {
    match told {
        Told::Done | Told::HasPin | Told::HasNoPin => "done",
        Told::Locked => "locked",
        Told::Unavailable => "unavailable",
        _ => "refused",
    }
}

fn counter(what: &'static str, outcome: &'static str) -> Counter {
    metrics::counter!("stationmaster_menu_asked_total", "what" => what, "outcome" => outcome)
}

/// Describes the metric.
pub fn describe() {
    metrics::describe_counter!(
        "stationmaster_menu_asked_total",
        "What was asked of the phone menu, and what came of it"
    );
    for what in ["pin", "set_pin", "log_in", "log_out"] {
        for outcome in ["done", "refused", "locked", "unavailable"] {
            counter(what, outcome).increment(0);
        }
    }
}

async fn standing(desk: &Desk, visitor: &Visitor) -> Told {
    match person(desk, visitor).await {
        Some(record) if record.portal.as_ref().is_some_and(|portal| portal.pin.is_some()) => Told::HasPin,
        Some(_) => Told::HasNoPin,
        None => Told::Unavailable,
    }
}

async fn check(
    desk: &Desk,
    visitor: &Visitor,
    extension: Option<Secret<String>>,
    pin: Secret<String>,
) -> (Told, Option<LoginName>) {
    let typed = match (extension, &visitor.person) {
        (Some(number), _) => format!("{}-{}", number.expose(), visitor.tenant),
        (None, Some(person)) => person.to_string(),
        (None, None) => return (Told::Unavailable, None),
    };
    let pin = Password::new(pin.expose().clone());
    match desk.verify_pin(&typed, &pin, visitor.from, &visitor.agent).await {
        Ok(login) if login.tenant() == visitor.tenant.as_str() => (Told::Done, Some(login)),
        Ok(_) | Err(Refused::Wrong) => (Told::Wrong, None),
        Err(Refused::Locked(_)) => (Told::Locked, None),
        Err(_) => (Told::Unavailable, None),
    }
}

async fn log_in(desk: &Desk, visitor: &Visitor, spelled: Option<Secret<String>>) -> Told {
    let station = match (spelled, &visitor.station) {
        (Some(keys), _) => match desk.admin().station_spelled(&visitor.tenant, keys.expose()).await {
            Ok(Some(station)) => station,
            Ok(None) => return Told::StationUnknown,
            Err(_) => return Told::Unavailable,
        },
        (None, Some(station)) => match StationId::parse(station.number()) {
            Ok(station) => station,
            Err(_) => return Told::StationUnknown,
        },
        (None, None) => return Told::StationUnknown,
    };
    change(desk, visitor, |login| Asked::StationLogin { login, station }).await
}

async fn log_out(desk: &Desk, visitor: &Visitor) -> Told {
    match person(desk, visitor).await {
        Some(record) if record.station.is_some() => {
            change(desk, visitor, |login| Asked::StationLogout { login }).await
        }
        Some(_) => Told::NobodyThere,
        None if visitor.person.is_none() => Told::NobodyThere,
        None => Told::Unavailable,
    }
}

/// Whether the phone may still call: it is a device of its extension or station, and not revoked.
fn is_good(desk: &Desk, visitor: &Visitor) -> bool {
    let Some(account) = visitor.station.as_ref().or(visitor.person.as_ref()) else { return false };
    let directory = &desk.admin().services().directory;
    let good = directory.with(account.as_str(), |entry| {
        let device = entry.licence.device(visitor.device);
        entry.may_sign_in().is_ok() && entry.licence.enabled && device.is_some_and(|device| !device.revoked)
    });
    good == Some(true)
}

/// The record of whose menu it is, while they may do anything.
async fn person(desk: &Desk, visitor: &Visitor) -> Option<ExtensionRecord> {
    let login = visitor.person.as_ref()?;
    desk.open_record(login).await.ok().flatten()
}

/// A change of whose menu it is.
async fn change(desk: &Desk, visitor: &Visitor, request: impl FnOnce(LoginName) -> Asked) -> Told {
    let Some(record) = person(desk, visitor).await else { return Told::Unavailable };
    let which = match &visitor.station {
        Some(station) => format!("station {}", station.number()),
        None => format!("device {}", visitor.device.0),
    };
    let actor = Actor::User(record.login.clone());
    let caller = Caller { actor, via: Via::Phone(which.into()), from: visitor.from };
    let done = desk.admin().answer(request(record.login), Who::Caller(caller), Condition::default()).await;
    match done {
        Ok(_) => Told::Done,
        Err(Refusal::NoSuchStation(_)) => Told::StationUnknown,
        Err(Refusal::StationNotRegistered(_)) => Told::StationSilent,
        Err(Refusal::StationInUse { by, .. }) => Told::StationTaken(by.into()),
        Err(_) => Told::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::TenantCode;
    use crate::base::flow::ShardId;
    use crate::call::CallRef;
    use crate::core::voice::Line;
    use crate::licence::DeviceId;

    #[test]
    fn past_the_bound_it_cannot_be_done() {
        let (enquiries, _asked) = enquiries();
        let enquiry = |number| {
            let visitor = Visitor {
                tenant: TenantCode::parse("acme").unwrap(),
                person: None,
                station: None,
                device: DeviceId(1),
                from: [192, 0, 2, 1].into(),
                agent: "".into(),
            };
            let line = Line { shard: ShardId(0), call: CallRef::of(1) };
            Box::new(Enquiry { line, number, visitor, request: Request::Standing })
        };
        for number in 0..limit::MENU_ENQUIRIES_MAX as u32 {
            assert!(enquiries.put(enquiry(number)).is_ok(), "{number}");
        }
        let refused = enquiries.put(enquiry(7)).unwrap_err();
        assert_eq!((refused.number, refused.told), (7, Told::Unavailable));
    }
}
