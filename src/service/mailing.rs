//! Mails leave the records of extensions for the carrier, each until it was handed over.
//!
//! A mail is owed with the change it tells of, in one record. Here it is written, handed over, and then
//! leaves the record: a crash between the two hands the same message over again, under the same name,
//! and loses none.
//!
//! | what fails | then |
//! |------------|------|
//! | the carrier, or the store before the mail is handed over | all wait, with growing pauses; after each it is another extension's turn |
//! | the mail server refuses one mail | its extension waits alone, with growing pauses; after three days the mail is given up |
//! | the store, when the mail is to leave the record | nothing else is handed over until it has |

use super::Services;
use super::queue::{Aside, Waiting};
use super::tables::{extension, put_extension};
use crate::account::{LoginName, MailKind, OwedMail};
use crate::base::language::Language;
use crate::base::private::Secret;
use crate::base::time::Wall;
use crate::directory::ExtensionRecord;
use crate::mail::text::{Kind, Value};
use crate::mail::{Carrier, CarryError, Mailbox, Message, Texts};
use crate::store::{Expect, StoreError, key};
use crate::task::Stop;
use std::time::Duration;

/// The path of the page behind the link of an invitation. What follows the `#` is never sent to a
/// server by a browser, so no log of a proxy has the token.
pub const INVITATION_PATH: &str = "/invitation";

/// The path of the page behind the link of a reset.
pub const RESET_PATH: &str = "/reset";

/// The first pause after the carrier or the store failed; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// How long a mail server may refuse a mail that it takes others beside, until it is given up.
const REFUSED_MAX: Duration = Duration::from_secs(3 * 24 * 3600);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Writes mails and hands them over.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Where they go.
    pub carrier: Carrier,
    /// What they say, in the order of [`Language::ALL`].
    pub texts: [Texts; Language::ALL.len()],
    /// The language of tenants that have none of their own.
    pub language: Language,
    /// Who sends them.
    pub from: Mailbox,
    /// What links begin with, without a slash at the end; without it invitations wait.
    pub base: Option<String>,
    /// Where the softphone is had.
    pub downloads: Vec<String>,
}

/// Why there is no message.
enum Unwritten {
    /// It waits for another configuration.
    Waits(&'static str),
    /// It will never be sent.
    Never(Outcome),
}

/// Why mails wait.
#[derive(Debug, thiserror::Error)]
pub(super) enum Hindrance {
    #[error(transparent)]
    Carrier(#[from] CarryError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What comes of mails, counted in `stationmaster_mails_total{outcome}`.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It was handed over.
    HandedOver,
    /// It was not, and is tried again.
    Failed,
    /// Its link ended before it could be sent.
    Expired,
    /// Its token cannot be read, as after a loss of the key.
    Unreadable,
    /// The mail server has refused it for [`REFUSED_MAX`].
    GivenUp,
    /// Its person was told of the like often enough in this hour.
    Withheld,
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::HandedOver, Self::Failed, Self::Expired, Self::Unreadable, Self::GivenUp, Self::Withheld];

    const fn label(self) -> &'static str {
        match self {
            Self::HandedOver => "handed_over",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Unreadable => "unreadable",
            Self::GivenUp => "given_up",
            Self::Withheld => "withheld",
        }
    }
}

/// Handles to the metrics, made once.
#[derive(Clone)]
pub struct Meters([metrics::Counter; Outcome::ALL.len()]);

impl Meters {
    /// Registers them with the present recorder.
    #[must_use]
    pub fn register() -> Self {
        let counter =
            |outcome: Outcome| metrics::counter!("stationmaster_mails_total", "outcome" => outcome.label());
        Self(Outcome::ALL.map(counter))
    }

    fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.0.get(outcome as usize) {
            counter.increment(1);
        }
    }
}

/// Counts a mail that is not owed: its person was told of the like often enough. It is rare, and known
/// where no handle is.
pub(in crate::service) fn withheld() {
    metrics::counter!("stationmaster_mails_total", "outcome" => Outcome::Withheld.label()).increment(1);
}

/// Whether an extension's mails are all sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    /// They are, or wait for another configuration.
    All,
    /// A mail server did not take some.
    Some,
}

/// Sends what extensions owe, until `stop`.
pub async fn run(services: Services, sender: Sender, waiting: Waiting, meters: Meters, stop: Stop) {
    let mut pause = PAUSE_MIN;
    let mut aside = Aside::new(PAUSE_MIN * 2, PAUSE_MAX);
    loop {
        let login = tokio::select! {
            () = stop.stopped() => return,
            login = waiting.take() => login,
            () = aside.due() => {
                aside.bring_back(&waiting);
                continue;
            }
        };
        let sent = tokio::select! {
            () = stop.stopped() => return,
            sent = sender.send_all(&services, &login, &meters) => sent,
        };
        match sent {
            Ok(Sent::All) => {
                aside.remove(&login);
                pause = PAUSE_MIN;
            }
            Ok(Sent::Some) => {
                aside.put(login);
                pause = PAUSE_MIN;
            }
            Err(hindrance) => {
                meters.count(Outcome::Failed);
                // Not the same one next: it may be what the carrier fails at.
                aside.put(login);
                let pause_s = pause.as_secs();
                tracing::warn!(error = %hindrance, pause_s, "a mail was not handed over; it is tried again");
                tokio::select! {
                    () = stop.stopped() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
                }
            }
        }
    }
}

impl Sender {
    /// Hands over all that an extension owes.
    pub(super) async fn send_all(
        &self,
        services: &Services,
        login: &LoginName,
        meters: &Meters,
    ) -> Result<Sent, Hindrance> {
        let whose = login.clone();
        // On the committer: what is read there is durable once it is answered.
        let found = services.store.run(move |txn| {
            let found = extension(txn, &whose)?;
            Ok::<_, StoreError>(found.map(|row| (row.value, txn.now())))
        });
        let Some((record, now)) = found.await? else { return Ok(Sent::All) };
        let mut all = Sent::All;
        for mail in record.mails.waiting() {
            let kind = text_of(&mail.kind).name();
            let message = match self.write(services, &record, mail, now) {
                Ok(message) => message,
                Err(Unwritten::Waits(reason)) => {
                    tracing::warn!(kind, reason, "a mail waits");
                    continue;
                }
                Err(Unwritten::Never(outcome)) => {
                    meters.count(outcome);
                    tracing::warn!(kind, outcome = outcome.label(), "a mail will not be sent");
                    settle(services, login, mail.number).await;
                    continue;
                }
            };
            match self.carrier.hand_over(message).await {
                Ok(()) => {
                    meters.count(Outcome::HandedOver);
                    tracing::info!(kind, "a mail was handed over");
                }
                Err(refused) if refused.is_of_message() && now.since(mail.at) < REFUSED_MAX => {
                    meters.count(Outcome::Failed);
                    tracing::warn!(kind, error = %refused, "a mail was refused; it is tried again");
                    all = Sent::Some;
                    continue;
                }
                Err(refused) if refused.is_of_message() => {
                    meters.count(Outcome::GivenUp);
                    tracing::warn!(kind, error = %refused, "a mail is given up");
                }
                Err(error) => return Err(error.into()),
            }
            settle(services, login, mail.number).await;
        }
        Ok(all)
    }

    /// The message, or why it will never be one.
    fn write(
        &self,
        services: &Services,
        record: &ExtensionRecord,
        mail: &OwedMail,
        now: Wall,
    ) -> Result<Message, Unwritten> {
        let tenant = services.directory.tenant(record.login.tenant());
        let language = tenant.as_ref().and_then(|tenant| tenant.policies.language).unwrap_or(self.language);
        let mails = tenant.as_ref().map(|tenant| tenant.policies.mails.clone()).unwrap_or_default();
        let (prefix, sender) = (mails.prefix, mails.sender.as_deref().and_then(Mailbox::parse));
        let from = sender.unwrap_or_else(|| self.from.clone());
        let tenant = tenant.map(|tenant| tenant.name.to_string()).filter(|name| !name.is_empty());
        let tenant = tenant.unwrap_or_else(|| record.login.tenant().to_owned());
        let mut values = vec![
            ("name", Value::Words(&record.name)),
            ("login", Value::Words(record.login.as_str())),
            ("tenant", Value::Words(&tenant)),
        ];
        let (link, opened);
        let (ends, at) = (mail.kind.until().map(moment).unwrap_or_default(), moment(mail.at));
        values.extend([("until", Value::Words(&ends)), ("at", Value::Words(&at))]);
        match &mail.kind {
            MailKind::Invitation { until, .. }
            | MailKind::Reset { until, .. }
            | MailKind::Code { until, .. }
                if *until <= now =>
            {
                return Err(Unwritten::Never(Outcome::Expired));
            }
            MailKind::Invitation { token, .. } | MailKind::Reset { token, .. } => {
                let waits = Unwritten::Waits("neither http.public_url nor http.listen is set");
                let base = self.base.as_ref().ok_or(waits)?;
                let reset = matches!(mail.kind, MailKind::Reset { .. });
                let path = if reset { RESET_PATH } else { INVITATION_PATH };
                let token = unsealed(services, record, mail, token)?;
                link = format!("{base}{path}#{}", token.expose());
                values.push(("link", Value::Words(&link)));
            }
            MailKind::NewPassword { password } => {
                opened = unsealed(services, record, mail, password)?;
                values.push(("password", Value::Words(opened.expose())));
            }
            MailKind::Code { code, .. } => {
                opened = unsealed(services, record, mail, code)?;
                values.push(("code", Value::Words(opened.expose())));
            }
            MailKind::AppEnabled => values.push(("downloads", Value::Links(&self.downloads))),
            MailKind::NewDevice { model, address } => {
                values.extend([("device", Value::Words(model)), ("source", Value::Words(address))]);
            }
            MailKind::Locked { source, .. } => values.push(("source", Value::Words(source))),
            MailKind::MobileChanged { mobile } => values.push(("mobile", Value::Words(mobile))),
            MailKind::PasswordChanged | MailKind::SecondFactorCleared => {}
        }
        let [english, french] = &self.texts;
        let texts = match language {
            Language::English => english,
            Language::French => french,
        };
        let written = texts.write(text_of(&mail.kind), &values);
        Ok(Message {
            name: format!("{}-{}-{}", key::ordered(mail.at.as_micros()), record.login, mail.number),
            at: mail.at,
            from,
            to: mail.to.clone(),
            subject: if prefix.is_empty() {
                written.subject
            } else {
                format!("{prefix} {}", written.subject)
            },
            text: written.text,
            html: written.html,
        })
    }
}

/// A mail leaves the record. However long that takes: one that was handed over is not sent once more.
async fn settle(services: &Services, login: &LoginName, number: u32) {
    let mut pause = PAUSE_MIN;
    while let Err(error) = try_settle(services, login, number).await {
        tracing::warn!(%error, "a mail that is done with could not be settled; it is tried again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn try_settle(services: &Services, login: &LoginName, number: u32) -> Result<(), StoreError> {
    let login = login.clone();
    let job = services.store.run(move |txn| {
        let Some(row) = extension(txn, &login)? else { return Ok(()) };
        let mut record = row.value;
        record.mails.settle(number);
        put_extension(txn, &record, Expect::At(row.revision)).map(drop)
    });
    job.await
}

/// An instant as people read it.
fn moment(at: Wall) -> String {
    at.rfc3339().replace('T', " ").replace('Z', " UTC")
}

/// The text by which a mail is told.
const fn text_of(kind: &MailKind) -> Kind {
    match kind {
        MailKind::Invitation { .. } => Kind::Invitation,
        MailKind::AppEnabled => Kind::AppEnabled,
        MailKind::PasswordChanged => Kind::PasswordChanged,
        MailKind::Reset { .. } => Kind::Reset,
        MailKind::NewPassword { .. } => Kind::NewPassword,
        MailKind::NewDevice { .. } => Kind::NewDevice,
        MailKind::Locked { .. } => Kind::Locked,
        MailKind::SecondFactorCleared => Kind::SecondFactorCleared,
        MailKind::Code { .. } => Kind::SignInCode,
        MailKind::MobileChanged { .. } => Kind::MobileChanged,
    }
}

/// The secret of a mail.
fn unsealed(
    services: &Services,
    record: &ExtensionRecord,
    mail: &OwedMail,
    sealed: &[u8],
) -> Result<Secret<String>, Unwritten> {
    let never = || Unwritten::Never(Outcome::Unreadable);
    let opened = services.sealer.open(&seal_id(&record.login, mail.number), sealed).map_err(|_| never())?;
    let text = std::str::from_utf8(opened.expose()).map_err(|_| never())?;
    Ok(Secret::new(text.to_owned()))
}

/// What the seal of a mail's secret is bound to.
#[must_use]
pub fn seal_id(login: &LoginName, number: u32) -> Vec<u8> {
    format!("mail/{login}/{number}").into_bytes()
}
