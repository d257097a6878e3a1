//! The link of a reset: what is behind it, and its use (PRODUCT §2).
//!
//! | the token | answer |
//! |-----------|--------|
//! | unknown, ended, used, replaced by a newer one, of a password that was changed since, of an extension or tenant that is not active, tried with too many wrong answers | it does not work: one answer for all |
//! | works, but the security question is asked and not answered, or wrongly | that; a wrong answer counts |
//! | works, but the password breaks the policy | every rule that it breaks; the link still works |
//! | else | the password is set, every login with the old one ends, the link is dead |

use super::question;
use crate::account::life::Event;
use crate::account::{AskedBy, Life, LoginName, Reset, Token, TokenHash};
use crate::base::limit;
use crate::directory::ExtensionRecord;
use crate::service::admin::{
    Admin, Answer, Bound, By, Carries, Changed, NewPassword, Password, Personal, Refusal, Response,
    owe_password_changed, set_password,
};
use crate::service::tables::{TENANTS, TOKENS, extension};
use crate::store::View;
use std::net::IpAddr;

/// What is behind a link that works.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResetView {
    /// Whose password it sets.
    pub login: LoginName,
    /// What must be answered too.
    pub question: Option<String>,
}

impl Admin {
    /// Whose password a link sets, and what is asked besides.
    ///
    /// # Errors
    /// [`Refusal::NoInvitation`] for a token that does not work, whatever the reason; [`Refusal::Store`].
    pub async fn reset_view(&self, token: &str) -> Result<ResetView, Refusal> {
        let hash = Token::parse(token).ok_or(Refusal::NoInvitation)?.hash();
        let look = move |view: View<'_>| {
            let claim = TOKENS.get(&view, &[&hash.hex()])?.ok_or(Refusal::NoInvitation)?;
            let row = extension(&view, &claim.value)?.ok_or(Refusal::NoInvitation)?;
            let question = usable(&view, &row.value, &hash)?;
            Ok(ResetView { login: row.value.login.clone(), question })
        };
        self.look(look).await
    }

    /// Uses a link: sets the password. Says whose it was; their person is told by mail.
    ///
    /// # Errors
    /// [`Refusal::NoInvitation`] for a token that does not work, whatever the reason;
    /// [`Refusal::WrongAnswer`], which counts if there was an answer; [`Refusal::WeakPassword`], which
    /// spends nothing; [`Refusal::OtherRequest`] if the link was used under this idempotency key with something
    /// else; [`Refusal::Store`].
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn reset(
        &self,
        token: &str,
        password: Password,
        answer: Option<Password>,
        from: IpAddr,
        once: Option<String>,
    ) -> Result<Answer, Refusal> {
        let hash = Token::parse(token).ok_or(Refusal::NoInvitation)?.hash();
        let bound = self.bound_to_link(&hash, once, &("password reset", &password, &answer))?;
        bound.answer(bound.admin().reset_once(&bound, hash, password, answer, from).await)
    }

    async fn reset_once(
        &self,
        bound: &Bound,
        hash: TokenHash,
        password: Password,
        answer: Option<Password>,
        from: IpAddr,
    ) -> Result<Response, Refusal> {
        bound.look().await?;
        let claim = move |view: View<'_>| Ok(TOKENS.get(&view, &[&hash.hex()])?);
        let login = self.look(claim).await?.ok_or(Refusal::NoInvitation)?.value;
        let (services, mails) = (self.services().clone(), self.defaults().mailing.carrier);
        let used = self.change(By::link(from, "password reset"), login, move |record, txn| {
            if usable(txn, record, &hash)?.is_some() {
                let answer = answer.ok_or(Refusal::WrongAnswer)?;
                if !answers(&services, record, &answer) {
                    count_wrong(record);
                    return Ok(Err(Refusal::WrongAnswer).into());
                }
            }
            let new = NewPassword::Given(password);
            let (credentials, _) = set_password(&services, record, txn, &new, Event::SetPassword)?;
            if mails == Carries::Mails {
                owe_password_changed(record, txn);
            }
            let told = Ok(Response::Personal(Personal::Whose(record.login.clone())));
            Ok(Changed { told, credentials: Some(credentials), unlocked: false })
        });
        let used: Result<Result<Response, Refusal>, Refusal> = used.await;
        used.and_then(|told| told).map_err(|refusal| match refusal {
            Refusal::WrongAnswer
            | Refusal::WeakPassword(_)
            | Refusal::Store(_)
            | Refusal::Answered
            | Refusal::OtherRequest => refusal,
            _ => Refusal::NoInvitation,
        })
    }
}

/// The link that a record names back, if it works now.
fn link<'a>(view: &View<'_>, record: &'a ExtensionRecord, hash: &TokenHash) -> Option<&'a Reset> {
    let reset = record.portal.as_ref()?.reset.as_ref()?;
    let epoch = record.credentials.as_ref()?.epoch;
    (record.life == Life::Active && reset.works(hash, epoch, view.now())).then_some(reset)
}

/// What must be answered before a link is used; nothing where nothing is asked.
fn usable(view: &View<'_>, record: &ExtensionRecord, hash: &TokenHash) -> Result<Option<String>, Refusal> {
    let reset = link(view, record, hash).ok_or(Refusal::NoInvitation)?;
    let tenant = TENANTS.get(view, &[record.login.tenant()])?.map(|row| row.value);
    let tenant = tenant.filter(|tenant| tenant.active).ok_or(Refusal::NoInvitation)?;
    if reset.asked_by == AskedBy::Administrator || !tenant.policies.question_required {
        return Ok(None);
    }
    // Without a question no link is sent; if it went since, nobody can answer it.
    let question = record.portal.as_ref().and_then(|portal| portal.question.as_ref());
    Ok(Some(question.ok_or(Refusal::NoInvitation)?.text.clone()))
}

fn answers(services: &crate::service::Services, record: &ExtensionRecord, answer: &Password) -> bool {
    let question = record.portal.as_ref().and_then(|portal| portal.question.as_ref());
    question.is_some_and(|kept| question::is_right(services, &record.login, kept, answer.expose()))
}

/// Counts a wrong answer; the last that there may be kills the link ([`limit::RESET_ANSWERS_MAX`]).
fn count_wrong(record: &mut ExtensionRecord) {
    if let Some(reset) = record.portal.as_mut().and_then(|portal| portal.reset.as_mut()) {
        reset.wrong = reset.wrong.saturating_add(1).min(limit::RESET_ANSWERS_MAX);
    }
}
