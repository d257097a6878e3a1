//! Codes by SMS leave the records of extensions for the gateway, each until it was handed over.
//!
//! A text is owed with the hash of its code, in one record. Here it is written and handed over, and then
//! leaves the record: a crash between the two sends the same code again, and loses none.
//!
//! | what comes of it | then |
//! |------------------|------|
//! | it was handed over | it leaves the record |
//! | the gateway refused it | it leaves the record with its code: whoever asked is told, and may ask again at once |
//! | the gateway is down, slow or busy | whoever asked is told, and it is tried again with growing pauses |
//! | its code has ended | it is not sent any more |
//!
//! Some go at a time, in lanes: those of one extension one after another, and a slow answer holds up only
//! those of its lane.

use super::Services;
use super::queue::{Aside, Waiting};
use super::tables::{extension, put_extension};
use crate::account::{DirectNumber, LoginName, OwedText, TextRates};
use crate::base::language::Language;
use crate::base::limit::{TEXTS_AT_A_TIME, TEXTS_AWAITED_MAX};
use crate::base::time::{Mono, Wall};
use crate::directory::ExtensionRecord;
use crate::mail::gateway::TextError;
use crate::mail::{Gateway, Texts};
use crate::store::{Expect, StoreError};
use crate::task::Stop;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The first pause after the gateway or the store failed; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause: a code lives for ten minutes.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Longest name of a tenant in a text, in characters: it is to stay one text.
const TENANT_CHARS_MAX: usize = 32;

/// Extensions that owe texts, by lane.
#[derive(Clone, Debug, Default)]
pub struct Lanes([Waiting; TEXTS_AT_A_TIME]);

impl Lanes {
    /// This one owes some.
    pub fn add(&self, login: LoginName) {
        let sum =
            login.as_str().bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        if let Some(lane) = self.0.get(sum % TEXTS_AT_A_TIME) {
            lane.add(login);
        }
    }

    /// Each lane, for a task of its own.
    #[must_use]
    pub fn into_each(self) -> [Waiting; TEXTS_AT_A_TIME] {
        self.0
    }
}

/// What comes of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It was handed over.
    HandedOver,
    /// It was not yet; it is tried again.
    UnderWay,
    /// It never will be.
    Refused,
}

/// Whether and to whom codes may be sent, and who waits to hear what came of one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Texting(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    prefixes: Vec<String>,
    per_hour_max: usize,
    rates: Mutex<TextRates>,
    awaited: Mutex<BTreeMap<(LoginName, u32), oneshot::Sender<Fate>>>,
}

impl Texting {
    /// To numbers that begin with one of these (any if there is none), so many in an hour.
    #[must_use]
    pub fn new(prefixes: Vec<String>, per_hour_max: usize) -> Self {
        Self(Arc::new(Shared { prefixes, per_hour_max, rates: Mutex::default(), awaited: Mutex::default() }))
    }

    /// Whether codes are sent to such numbers.
    #[must_use]
    pub fn serves(&self, number: &DirectNumber) -> bool {
        let prefixes = &self.0.prefixes;
        prefixes.is_empty() || prefixes.iter().any(|prefix| number.as_str().starts_with(prefix))
    }

    /// Counts one more text to a number.
    ///
    /// # Errors
    /// As [`TextRates::take`].
    pub fn take(&self, to: &DirectNumber, now: Mono) -> Result<(), Duration> {
        let mut rates = self.0.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(to, self.0.per_hour_max, now)
    }

    fn awaited(&self) -> MutexGuard<'_, BTreeMap<(LoginName, u32), oneshot::Sender<Fate>>> {
        self.0.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is told what came of a text; of too many nobody is told ([`TEXTS_AWAITED_MAX`]).
    #[must_use]
    pub fn hear(&self, login: LoginName, id: u32) -> oneshot::Receiver<Fate> {
        let (teller, hearer) = oneshot::channel();
        let mut awaited = self.awaited();
        awaited.retain(|_, teller| !teller.is_closed());
        if awaited.len() < TEXTS_AWAITED_MAX {
            awaited.insert((login, id), teller);
        }
        hearer
    }

    fn tell(&self, login: &LoginName, id: u32, fate: Fate) {
        if let Some(teller) = self.awaited().remove(&(login.clone(), id)) {
            let _ = teller.send(fate); // nobody waits any more
        }
    }
}

/// What comes of texts, counted in `stationmaster_texts_total{outcome}`.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    HandedOver,
    /// It is tried again.
    Failed,
    /// Its code ended before it could be sent.
    Expired,
    /// The gateway does not take it.
    Refused,
    /// Its code cannot be read, as after a loss of the key.
    Unreadable,
    /// As many went to its number, by its extension, or in all as may in an hour.
    Withheld,
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::HandedOver, Self::Failed, Self::Expired, Self::Refused, Self::Unreadable, Self::Withheld];

    const fn label(self) -> &'static str {
        match self {
            Self::HandedOver => "handed_over",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::Withheld => "withheld",
        }
    }
}

/// Handles to the metrics, made once.
#[derive(Clone, Debug)]
pub struct Meters([metrics::Counter; Outcome::ALL.len()]);

impl Meters {
    /// Registers them with the present recorder.
    #[must_use]
    pub fn register() -> Self {
        metrics::describe_counter!("stationmaster_texts_total", "Codes by SMS, by what came of them");
        Self(
            Outcome::ALL
                .map(|outcome| metrics::counter!("stationmaster_texts_total", "outcome" => outcome.label())),
        )
    }

    fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.0.get(outcome as usize) {
            counter.increment(1);
        }
    }

    /// A text was not owed: there are too many.
    pub fn withheld(&self) {
        self.count(Outcome::Withheld);
    }
}

/// Writes texts and hands them over.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Where they go.
    pub gateway: Gateway,
    /// What they say, in the order of [`Language::ALL`].
    pub texts: [Texts; Language::ALL.len()],
    /// The language of tenants that have none of their own.
    pub language: Language,
    /// Who waits for them.
    pub texting: Texting,
    /// What is counted.
    pub meters: Meters,
}

/// Whether a text that was owed is done with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tried {
    /// It is, or nothing is owed.
    Done,
    /// It is tried again.
    Again,
}

/// Sends what the extensions of a lane owe, until `stop`.
pub async fn run(services: Services, sender: Sender, waiting: Waiting, stop: Stop) {
    let mut aside = Aside::new(PAUSE_MIN, PAUSE_MAX);
    loop {
        let login = tokio::select! {
            () = stop.stopped() => return,
            login = waiting.take() => login,
            () = aside.due() => {
                aside.bring_back(&waiting);
                continue;
            }
        };
        let tried = tokio::select! {
            () = stop.stopped() => return,
            tried = sender.send(&services, &login) => tried,
        };
        match tried {
            Ok(Tried::Done) => aside.remove(&login),
            Ok(Tried::Again) => aside.put(login),
            Err(error) => {
                tracing::warn!(%error, "a text could not be read; it is tried again");
                aside.put(login);
            }
        }
    }
}

impl Sender {
    /// Hands over what an extension owes.
    pub(super) async fn send(&self, services: &Services, login: &LoginName) -> Result<Tried, StoreError> {
        let whose = login.clone();
        // On the committer: what is read there is durable once it is answered.
        let found = services.store.run(move |txn| {
            let found = extension(txn, &whose)?;
            Ok::<_, StoreError>(found.map(|row| (row.value, txn.now())))
        });
        let Some((record, now)) = found.await? else { return Ok(Tried::Done) };
        let Some(owed) = record.mobile.as_ref().and_then(|mobile| mobile.owed()) else {
            return Ok(Tried::Done);
        };
        let outcome = match self.write(services, &record, owed, now) {
            Err(outcome) => outcome,
            Ok(text) => match self.gateway.send(owed.to.as_str(), &text).await {
                Ok(()) => Outcome::HandedOver,
                Err(error @ TextError::Refused(_)) => {
                    tracing::warn!(%error, "a text will not be sent");
                    Outcome::Refused
                }
                Err(error @ TextError::Down(_)) => {
                    self.meters.count(Outcome::Failed);
                    tracing::warn!(%error, "a text was not handed over; it is tried again");
                    self.texting.tell(login, owed.id, Fate::UnderWay);
                    return Ok(Tried::Again);
                }
            },
        };
        self.meters.count(outcome);
        tracing::info!(outcome = outcome.label(), "a text is done with");
        // Not from the beginning: what was handed over is not sent once more.
        let mut pause = PAUSE_MIN;
        while let Err(error) = settle(services, login, owed.id, outcome).await {
            tracing::warn!(%error, "a text that is done with could not be settled; it is tried again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let handed_over = matches!(outcome, Outcome::HandedOver);
        self.texting.tell(login, owed.id, if handed_over { Fate::HandedOver } else { Fate::Refused });
        Ok(Tried::Done)
    }

    /// The text, or why there is none to be sent.
    fn write(
        &self,
        services: &Services,
        record: &ExtensionRecord,
        owed: &OwedText,
        now: Wall,
    ) -> Result<String, Outcome> {
        if owed.until <= now {
            return Err(Outcome::Expired);
        }
        let opened = services.sealer.open(&seal_id(&record.login, owed.id), &owed.code);
        let opened = opened.map_err(|_| Outcome::Unreadable)?;
        let code = std::str::from_utf8(opened.expose()).map_err(|_| Outcome::Unreadable)?;
        let tenant = services.directory.tenant(record.login.tenant());
        let language = tenant.as_ref().and_then(|tenant| tenant.policies.language).unwrap_or(self.language);
        let name: String = tenant
            .map(|tenant| {
                tenant.name.chars().filter(|char| !char.is_control()).take(TENANT_CHARS_MAX).collect()
            })
            .filter(|name: &String| !name.trim().is_empty())
            .unwrap_or_else(|| record.login.tenant().to_owned());
        let until = owed.until.rfc3339();
        let until = until.get(11..16).map(|time| format!("{time} UTC")).unwrap_or_default();
        let [english, french] = &self.texts;
        let texts = match language {
            Language::English => english,
            Language::French => french,
        };
        let login = record.login.as_str();
        Ok(texts.sms_code(&[("login", login), ("tenant", &name), ("code", code), ("until", &until)]))
    }
}

/// A text leaves the record; one that was refused with its code.
async fn settle(services: &Services, login: &LoginName, id: u32, outcome: Outcome) -> Result<(), StoreError> {
    let login = login.clone();
    let job = services.store.run(move |txn| {
        let Some(row) = extension(txn, &login)? else { return Ok(()) };
        let mut record = row.value;
        let Some(mobile) = &mut record.mobile else { return Ok(()) };
        match outcome {
            Outcome::Refused | Outcome::Unreadable => mobile.give_up(id),
            _ => mobile.settle(id),
        }
        put_extension(txn, &record, Expect::At(row.revision)).map(drop)
    });
    job.await
}

/// What the seal of a text's code is bound to.
#[must_use]
pub fn seal_id(login: &LoginName, id: u32) -> Vec<u8> {
    format!("text/{login}/{id}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(number: usize) -> LoginName {
        LoginName::parse(&format!("{number}-acme")).unwrap()
    }

    #[test]
    fn an_extension_has_one_lane_and_the_lanes_share_the_extensions() {
        let lanes = Lanes::default();
        for _ in 0..2 {
            (200..300).for_each(|number| lanes.add(login(number)));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut all = 0;
        for lane in lanes.into_each() {
            let mut count = 0;
            while let Some(next) = runtime.block_on(async {
                tokio::select! { biased; login = lane.take() => Some(login), () = std::future::ready(()) => None }
            }) {
                assert!(next.as_str().ends_with("-acme"));
                count += 1;
            }
            assert!((5..=60).contains(&count), "{count}");
            all += count;
        }
        assert_eq!(all, 100, "each once");
    }

    #[test]
    fn whoever_waits_is_told_and_as_many_may_wait_as_allowed_and_one_more_is_not_told() {
        let texting = Texting::new(vec!["+1".into()], 10);
        let mut first = texting.hear(login(200), 0);
        let others: Vec<_> = (1..TEXTS_AWAITED_MAX as u32).map(|id| texting.hear(login(200), id)).collect();
        assert!(texting.hear(login(201), 0).try_recv().is_err());
        texting.tell(&login(201), 0, Fate::HandedOver);
        texting.tell(&login(200), 0, Fate::HandedOver);
        assert_eq!(first.try_recv(), Ok(Fate::HandedOver));
        drop(others); // who has gone makes room
        let mut again = texting.hear(login(202), 7);
        texting.tell(&login(202), 7, Fate::Refused);
        assert_eq!(again.try_recv(), Ok(Fate::Refused));
        assert!(texting.awaited().is_empty());
    }

    #[test]
    fn numbers_are_served_by_how_they_begin() {
        let number = |text: &str| DirectNumber::parse(text).unwrap();
        let some = Texting::new(vec!["+1604".into(), "+44".into()], 10);
        assert!(some.serves(&number("+16045550199")) && some.serves(&number("+447700900123")));
        assert!(!some.serves(&number("+16135550199")) && !some.serves(&number("+882161234567")));
        assert!(Texting::new(Vec::new(), 10).serves(&number("+882161234567")));
    }
}
