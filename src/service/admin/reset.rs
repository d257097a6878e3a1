//! An administrator's reset: a link by mail, or a random password where a tenant insists on that.

use super::app::{generate, owe, set_password};
use super::view::Response;
use super::{Admin, By, Carries, Changed, Links, NewPassword, Refusal, tenant_of};
use crate::account::life::Event;
use crate::account::{AskedBy, Life, LoginName, MailKind, Reset, reset};
use crate::base::time::Wall;
use crate::directory::ExtensionRecord;
use crate::service::Services;
use crate::service::mailing::seal_id;
use crate::service::tables::TOKENS;
use crate::store::{self, Txn};
use std::sync::PoisonError;

impl Admin {
    /// Owes the extension's person a mail with a link to set another password, or if the tenant has
    /// `random_password_by_mail`, with a random password: then the old one is gone at once, and the new
    /// one opens nothing but the portal, where it must be changed first.
    pub(super) async fn password_reset(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        let mailing = self.defaults.mailing;
        if mailing.carrier == Carries::Nothing {
            let reason = "the store is in memory and mail.spool is not set, so mails have nowhere to go";
            return Err(Refusal::NoMail(reason.into()));
        }
        let services = self.services.clone();
        self.change(by, login, move |record, txn| {
            let email = record.email.clone().ok_or_else(|| Refusal::NoEmail(record.login.to_string()))?;
            match record.life {
                Life::Active => {}
                Life::Disabled => {
                    let reason = "the extension is disabled; enable it first".to_owned();
                    return Err(super::check::bad(record.login.as_str(), reason));
                }
                Life::Invite | Life::Pending => return Err(Refusal::NoPassword(record.login.to_string())),
            }
            if !tenant_of(txn, &record.login)?.policies.random_password_by_mail {
                if mailing.links == Links::Nowhere {
                    let reason =
                        "neither http.public_url nor http.listen is set, so a link would lead nowhere";
                    return Err(Refusal::NoMail(reason.into()));
                }
                let until = services.owe_reset(record, txn, email.clone(), AskedBy::Administrator)?;
                return Ok(Response::Reset { email, until: Some(until.rfc3339()) }.into());
            }
            let password = generate(&services);
            let new = NewPassword::Given(password.clone());
            let (credentials, _) = set_password(&services, record, txn, &new, Event::SetPassword)?;
            record.portal.get_or_insert_default().must_change = true;
            let id = seal_id(&record.login, record.mails.next());
            let sealed = {
                let mut rng = services.rng.lock().unwrap_or_else(PoisonError::into_inner);
                services.sealer.seal(&mut rng, &id, password.expose().as_bytes())
            };
            owe(record, txn, MailKind::NewPassword { password: sealed });
            let told = Response::Reset { email, until: None };
            Ok(Changed { told, credentials: Some(credentials), unlocked: false })
        })
        .await
    }
}

impl Services {
    /// Owes a mail with a new link; one that was sent before is dead. Says when the link ends.
    pub(in crate::service) fn owe_reset(
        &self,
        record: &mut ExtensionRecord,
        txn: &mut Txn<'_>,
        email: String,
        asked_by: AskedBy,
    ) -> Result<Wall, Refusal> {
        let epoch = record.credentials.as_ref().map(|credentials| credentials.epoch);
        let epoch = epoch.ok_or_else(|| Refusal::NoPassword(record.login.to_string()))?;
        let (since, until) = (txn.now(), txn.now() + reset::WORKS_FOR);
        let token = self.seal_token(record);
        // The claim first: it counts only once the record names it back.
        TOKENS.put(txn, &[&token.hash.hex()], &record.login, Some(until), store::Expect::Any)?;
        let reset = Reset { hash: token.hash, since, until, epoch, asked_by, wrong: 0 };
        record.portal.get_or_insert_default().reset = Some(reset);
        record.mails.owe(since, email, MailKind::Reset { token: token.sealed, until });
        Ok(until)
    }
}
