//! Invitations: sent, and accepted.

use super::app::set_password;
use super::extensions::step;
use super::view::{Personal, Response};
use super::{Admin, Answer, Bound, By, Changed, NewPassword, Password, Refusal, Who, tenant_of};
use crate::account::life::Event;
use crate::account::{Invitation, LoginName, MailKind, Token, TokenHash};
use crate::base::language::Language;
use crate::base::time::Wall;
use crate::directory::ExtensionRecord;
use crate::service::Services;
use crate::service::mailing::seal_id;
use crate::service::tables::TOKENS;
use crate::store::{self, Txn};
use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Duration;

/// What the configuration says of mails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mailing {
    /// How long the link of an invitation works.
    pub invitation_for: Duration,
    /// Whether there is a way for mails to go.
    pub carrier: Carries,
    /// Whether it is known what links begin with.
    pub links: Links,
    /// The language of tenants that have none of their own.
    pub language: Language,
}

/// Whether there is a way for mails to go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carries {
    /// There is none.
    Nothing,
    /// There is.
    Mails,
}

/// Whether it is known what links begin with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Links {
    /// It is not.
    Nowhere,
    /// It is.
    Known,
}

impl Admin {
    /// Owes the extension's person a mail with a new link. A link that was sent before is dead.
    pub(super) async fn extension_invite(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        let mailing = self.defaults.mailing;
        if mailing.carrier == Carries::Nothing {
            let reason = "the store is in memory and mail.spool is not set, so mails have nowhere to go";
            return Err(Refusal::NoMail(reason.into()));
        }
        if mailing.links == Links::Nowhere {
            let reason = "neither http.public_url nor http.listen is set, so a link would lead nowhere";
            return Err(Refusal::NoMail(reason.into()));
        }
        let services = self.services.clone();
        self.change(by, login, move |record, txn| {
            step(record, Event::Invite, txn.now())?;
            let email = record.email.clone().ok_or_else(|| Refusal::NoEmail(record.login.to_string()))?;
            let until = txn.now() + mailing.invitation_for;
            let token = services.seal_token(record);
            // The claim first: it counts only once the record names it back.
            let name = token.hash.hex();
            TOKENS.put(txn, &[&name], &record.login, Some(until), store::Expect::Any)?;
            record.invitation = Some(Invitation { hash: token.hash, until });
            let kind = MailKind::Invitation { token: token.sealed, until };
            record.mails.owe(txn.now(), email.clone(), kind);
            Ok(Response::Invited { email, until: until.rfc3339() }.into())
        })
        .await
    }

    /// Uses the link of an invitation: sets the password, which makes the extension active. Says whose
    /// it was. `from` is whoever asks.
    ///
    /// # Errors
    /// [`Refusal::NoInvitation`] for a token that is unknown, ended, used or no longer the latest;
    /// [`Refusal::WeakPassword`], which spends nothing; [`Refusal::OtherRequest`] if the link was used under
    /// this idempotency key with another password; [`Refusal::Store`].
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn accept(
        &self,
        token: &str,
        password: Password,
        from: IpAddr,
        once: Option<String>,
    ) -> Result<Answer, Refusal> {
        let hash = Token::parse(token).ok_or(Refusal::NoInvitation)?.hash();
        let bound = self.bound_to_link(&hash, once, &("invitation accept", &password))?;
        bound.answer(bound.admin().accept_once(&bound, hash, password, from).await)
    }

    async fn accept_once(
        &self,
        bound: &Bound,
        hash: TokenHash,
        password: Password,
        from: IpAddr,
    ) -> Result<Response, Refusal> {
        bound.look().await?;
        let claim = move |view: store::View<'_>| Ok(TOKENS.get(&view, &[&hash.hex()])?);
        let login = self.look(claim).await?.ok_or(Refusal::NoInvitation)?.value;
        let services = self.services.clone();
        let by = By { who: Who::Link(from), command: "invitation accept" };
        let accepted = self.change(by, login, move |record, txn| {
            may_accept(record, txn, &hash)?;
            let new = NewPassword::Given(password);
            let (credentials, _) = set_password(&services, record, txn, &new, Event::Accept)?;
            if record.licence.generation == 0 {
                record.licence.enable();
            }
            let told = Response::Personal(Personal::Whose(record.login.clone()));
            Ok(Changed { told, credentials: Some(credentials), unlocked: false })
        });
        accepted.await.map_err(|refusal| match refusal {
            Refusal::WeakPassword(_) | Refusal::Store(_) | Refusal::Answered | Refusal::OtherRequest => {
                refusal
            }
            _ => Refusal::NoInvitation,
        })
    }
}

/// Whether the record names this token back, and its life lets it be used now.
fn may_accept(record: &ExtensionRecord, txn: &Txn<'_>, hash: &TokenHash) -> Result<(), Refusal> {
    let named = record.invitation.as_ref().is_some_and(|invitation| invitation.hash == *hash);
    let alive = record.life.after(Event::Accept, super::extensions::facts(record), txn.now()).is_ok();
    if named && alive && tenant_of(txn, &record.login)?.active { Ok(()) } else { Err(Refusal::NoInvitation) }
}

/// A new token: what is kept of it, and what its mail needs.
pub(super) struct SealedToken {
    pub(super) hash: TokenHash,
    pub(super) sealed: Vec<u8>,
}

impl Services {
    /// Mints a token, sealed for the next mail of this record.
    pub(super) fn seal_token(&self, record: &ExtensionRecord) -> SealedToken {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let token = Token::mint(&mut rng);
        let id = seal_id(&record.login, record.mails.next());
        let sealed = self.sealer.seal(&mut rng, &id, token.expose().as_bytes());
        SealedToken { hash: token.hash(), sealed }
    }
}

/// Until when the link of a record's invitation works.
pub(super) fn invited_until(record: &ExtensionRecord) -> Option<Wall> {
    record.invitation.as_ref().map(|invitation| invitation.until)
}
