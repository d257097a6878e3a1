//! Codes by SMS: begun for a number, and asked for at sign-in.
//!
//! Whoever asks waits a little to hear what the gateway says, so that nobody looks at a phone that stays
//! silent: a text that the gateway refused, or that it could not be handed yet, is an answer of its own.
//!
//! | bound | what it keeps from |
//! |-------|--------------------|
//! | one in [`MAILED_AGAIN`](crate::account::second::MAILED_AGAIN) for each extension | asking by mistake |
//! | [`TEXTS_PER_HOUR`](crate::base::limit::TEXTS_PER_HOUR) for each extension, in its record | one who has its password |
//! | [`TEXTS_PER_NUMBER`](crate::base::limit::TEXTS_PER_NUMBER) for each number, and `[sms] per_hour_max` in all | several extensions |
//! | `[sms] prefixes` | numbers that cost more |

use super::{Desk, Refused};
use crate::account::portal::{CodeHash, Enrolling};
use crate::account::second::mint_mailed;
use crate::account::{DirectNumber, LoginName, Matter};
use crate::directory::ExtensionRecord;
use crate::service::admin::{Admin, By, Personal, Refusal, Response};
use crate::service::texting::{self, Fate, Meters};
use crate::store::Txn;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// When to ask again if as many were sent in this hour as may be: the next one may be free sooner.
const HOUR_AGAIN: Duration = Duration::from_secs(900);

/// What codes by SMS need of the desk.
#[derive(Clone, Debug)]
pub struct Texting {
    /// To whom they are sent, and who waits for them.
    pub with: texting::Texting,
    /// What is counted.
    pub meters: Meters,
    /// How long whoever asked waits to hear of it.
    pub patience: Duration,
}

/// To which number a code goes.
#[derive(Clone, Debug)]
pub(super) enum To {
    /// The one that was confirmed.
    Own,
    /// One that is to be confirmed by it.
    New(DirectNumber),
}

impl Desk {
    /// Sends a code by SMS to whoever signs in, as second factor.
    ///
    /// # Errors
    /// [`Refused::NotPending`]; [`Refused::TooSoon`]; [`Refusal::NoMobile`] if codes by SMS are not set up;
    /// [`Refusal::TextRefused`] and [`Refusal::TextWaits`] if the gateway has not taken it.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn text_code(&self, pending: &str, from: IpAddr) -> Result<(), Refused> {
        let (_, entry) = self.pending(pending)?;
        let by = By::anybody(from, "second sms");
        self.send_text(self.admin(), by, entry.login, To::Own).await.map(drop)
    }

    /// Reads a number that codes are to go to, as it is written in the country of its extension's tenant.
    ///
    /// # Errors
    /// [`Refusal::BadValue`] for what is no number, or one that codes are not sent to; [`Refusal::NoTexts`].
    pub(super) async fn read_mobile(&self, login: &LoginName, text: &str) -> Result<DirectNumber, Refused> {
        let with = &self.texting()?.with;
        let number = self.admin().read_mobile(login, text).await?;
        if !with.serves(&number) {
            let reason = "codes are not sent to such numbers".into();
            return Err(Refusal::BadValue { what: "mobile".into(), reason }.into());
        }
        Ok(number)
    }

    fn texting(&self) -> Result<&Texting, Refused> {
        self.0.setup.texting.as_ref().ok_or_else(|| Refusal::NoTexts.into())
    }

    /// Whether codes by SMS are offered.
    pub(super) fn sends_texts(&self) -> bool {
        self.0.setup.texting.is_some()
    }

    /// Owes a code by SMS, and hears what comes of it; says to which number. `admin` does it.
    pub(super) async fn send_text(
        &self,
        admin: &Admin,
        by: By,
        login: LoginName,
        to: To,
    ) -> Result<Response, Refused> {
        let texting = self.texting()?;
        let (desk, wait) = (self.clone(), Arc::new(OnceLock::new()));
        let (told, (tell, fate)) = (Arc::clone(&wait), oneshot::channel());
        let changed = admin.change(by, login, move |record, txn| {
            let owed = desk.owe_text(record, txn, to);
            let (number, fate) = owed.map_err(|refused| match refused {
                Refused::By(refusal) => refusal,
                Refused::TooSoon(wait) => {
                    let _ = told.set(wait);
                    Refusal::Denied("a code was sent just before".into())
                }
                other => Refusal::Denied(other.to_string()),
            })?;
            let _ = tell.send(fate);
            Ok(Response::Personal(Personal::Texted(number)).into())
        });
        let number = changed.await.map_err(|refusal| match wait.get() {
            Some(wait) => Refused::TooSoon(*wait),
            None => refusal.into(),
        })?;
        let fate = async { fate.await?.await };
        match tokio::time::timeout(texting.patience, fate).await {
            Ok(Ok(Fate::HandedOver)) => Ok(number),
            Ok(Ok(Fate::Refused)) => Err(Refusal::TextRefused.into()),
            Ok(Ok(Fate::UnderWay) | Err(_)) | Err(_) => Err(Refusal::TextWaits.into()),
        }
    }

    /// Puts a code into a record, if one may be sent; to which number, and where its fate is told.
    fn owe_text(
        &self,
        record: &mut ExtensionRecord,
        txn: &Txn<'_>,
        to: To,
    ) -> Result<(DirectNumber, oneshot::Receiver<Fate>), Refused> {
        let (texting, now, login) = (self.texting()?, txn.now(), record.login.clone());
        let on = record.portal.as_ref().is_some_and(|portal| portal.needs_second());
        let mobile = record.mobile.get_or_insert_default();
        let (number, new) = match to {
            To::New(number) => (number, true),
            To::Own => {
                let own = mobile.number().filter(|number| on && texting.with.serves(number));
                (own.cloned().ok_or_else(|| Refusal::NoMobile(login.to_string()))?, false)
            }
        };
        let wait = mobile.wait(now);
        if !wait.is_zero() {
            return Err(Refused::TooSoon(wait));
        }
        if !record.told.may(Matter::Text, now) {
            texting.meters.withheld();
            return Err(Refused::TooSoon(HOUR_AGAIN));
        }
        if let Err(wait) = texting.with.take(&number, self.now().mono) {
            texting.meters.withheld();
            return Err(Refused::TooSoon(wait));
        }
        let (code, sealed) = {
            let mut rng = self.services().rng.lock().unwrap_or_else(PoisonError::into_inner);
            let code = mint_mailed(&mut rng);
            let id = texting::seal_id(&login, mobile.next());
            let sealed = self.services().sealer.seal(&mut rng, &id, code.expose().as_bytes());
            (code, sealed)
        };
        let hash = CodeHash::of(&self.0.code_key, &login, code.expose());
        let id = mobile.send(number.clone(), hash, sealed, now);
        if new {
            let second = record.portal.get_or_insert_default().second.get_or_insert_default();
            second.enrolling = Some(Enrolling::Sms(number.clone()));
        }
        Ok((number, texting.with.hear(login, id)))
    }
}
