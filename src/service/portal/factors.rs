//! Two-step verification: set up, confirmed, cleared, and asked for at sign-in.
//!
//! Whatever weakens it asks for the password once more, and its failures count; so do those of a code that is
//! to turn it on, or a number could be confirmed by trying them all. A code is used up in the
//! job that lets its person in, so that no two sign-ins share one.

use super::password::visitor;
use super::sign_in::{Entry, Opened, Verdict};
use super::texts::To;
use super::{Asking, Desk, Here, Refused, Visitor, Whose};
use crate::account::portal::{CodeHash, Enrolling, SecondFactor};
use crate::account::second::{MAILED_FOR, TotpSecret, Used, mint_mailed, mint_recovery};
use crate::account::{DirectNumber, LoginName, MailKind, Role, Token, TokenHash};
use crate::base::private::Secret;
use crate::base::time::Wall;
use crate::directory::ExtensionRecord;
use crate::lockout::Acquaintance;
use crate::service::admin::{
    Admin, Answer, Bound, By, Caller, Carries, Password, Personal, Refusal, Response,
};
use crate::service::mailing;
use crate::service::tables::TENANTS;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, PoisonError};

/// Whether the last administrator of a tenant may turn it on: nobody there could clear it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum LastAdministrator {
    /// They are refused, with a warning.
    Refuse,
    /// They have been warned.
    Warned,
}

/// What is to be set up.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub enum Method {
    /// An authenticator app.
    App,
    /// Codes by mail.
    Mail,
    /// Codes by SMS to this number, as it was typed.
    Sms(String),
}

/// How it stands with a person's two-step verification.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecondStanding {
    /// `off`, `pending` or `on`.
    pub state: &'static str,
    /// Since when it is on.
    pub since: Option<Wall>,
    /// What may be shown at sign-in.
    pub methods: Vec<&'static str>,
    /// Recovery codes that were not used.
    pub recovery: usize,
    /// The last digits of the number that codes by SMS go to.
    pub mobile: Option<String>,
}

impl SecondStanding {
    /// As a record has it.
    #[must_use]
    pub fn of(record: &ExtensionRecord) -> Self {
        let portal = record.portal.as_deref();
        let second = portal.and_then(|portal| portal.second.as_ref());
        let since = second.and_then(|second| second.since);
        let state = match (since, second.and_then(|second| second.enrolling.as_ref())) {
            (Some(_), _) => "on",
            (None, Some(_)) => "pending",
            (None, None) => "off",
        };
        let mobile = record.mobile.as_ref().and_then(|mobile| mobile.number()).map(DirectNumber::masked);
        let recovery = portal.map_or(0, |portal| portal.recovery.len());
        Self { state, since, methods: methods(record), recovery, mobile }
    }
}

/// What may be shown at a sign-in.
pub(super) fn methods(record: &ExtensionRecord) -> Vec<&'static str> {
    let Some(portal) = record.portal.as_ref().filter(|portal| portal.needs_second()) else {
        return Vec::new();
    };
    let Some(second) = &portal.second else { return Vec::new() };
    let totp = second.totp.is_some().then_some("totp");
    let mail = second.by_mail.then_some("mail");
    let sms = record.mobile.as_ref().and_then(|mobile| mobile.number()).map(|_| "sms");
    let recovery = (!portal.recovery.is_empty()).then_some("recovery");
    totp.into_iter().chain(mail).chain(sms).chain(recovery).collect()
}

/// What the seal of an app's secret is bound to.
pub(in crate::service) fn seal_id(login: &LoginName) -> Vec<u8> {
    format!("second/{login}").into_bytes()
}

impl Desk {
    /// Shows the second factor of a sign-in whose password was right.
    ///
    /// # Errors
    /// [`Refused::NotPending`] if there is no such sign-in, or not any more, as after a change of the password:
    /// then no code is looked at, and none counts as wrong; as [`sign_in`](Self::sign_in) besides.
    ///
    /// # Cancel safety
    /// As [`sign_in`](Self::sign_in).
    pub async fn sign_in_second(
        &self,
        pending: &str,
        code: Password,
        from: IpAddr,
    ) -> Result<Opened, Refused> {
        let (hash, mut entry) = self.pending(pending)?;
        let visitor = Visitor {
            whose: Whose { name: entry.login.as_str().into(), login: Some(entry.login.clone()) },
            acquaintance: Acquaintance::Known,
            from,
            browser: entry.browser,
            agent: entry.agent.clone(),
        };
        self.may_knock(&visitor, &code).await?;
        let _turn = self.0.turns.take(&visitor.whose.name, visitor.browser).await?;
        if let Some((wait, _)) = self.barred(&visitor) {
            return Err(Refused::Locked(wait));
        }
        entry.code = Some(code);
        match self.open(entry).await {
            Err(Refused::Wrong) => Err(self.failed(&visitor, &Verdict::Wrong).await),
            Err(Refused::NotPending) => {
                self.done_with(&hash);
                Err(Refused::NotPending)
            }
            Err(refused) => Err(refused),
            Ok(opened) => {
                self.done_with(&hash);
                self.services().directory.person_signed_in(self.now(), &self.person(&visitor));
                Ok(opened)
            }
        }
    }

    fn done_with(&self, pending: &TokenHash) {
        self.0.pendings.lock().unwrap_or_else(PoisonError::into_inner).remove(pending);
    }

    pub(super) fn pending(&self, pending: &str) -> Result<(TokenHash, Entry), Refused> {
        let hash = Token::parse(pending).ok_or(Refused::NotPending)?.hash();
        let pendings = self.0.pendings.lock().unwrap_or_else(PoisonError::into_inner);
        let found = pendings.get(&hash, self.now().mono).cloned();
        found.map(|entry| (hash, entry)).ok_or(Refused::NotPending)
    }

    /// Mails a code to whoever signs in, as second factor.
    ///
    /// # Errors
    /// [`Refused::NotPending`]; [`Refused::TooSoon`] if one was mailed just before; [`Refusal::NoEmail`] if
    /// codes by mail are not set up.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn mail_code(&self, pending: &str, from: IpAddr) -> Result<(), Refused> {
        let (_, entry) = self.pending(pending)?;
        let by = By::anybody(from, "second mail");
        self.change_mailing(self.admin(), by, entry.login, |second| second.by_mail).await.map(drop)
    }

    /// Owes a code by mail, if `may` lets it; says to which address. `admin` does it.
    async fn change_mailing(
        &self,
        admin: &Admin,
        by: By,
        login: LoginName,
        may: impl FnOnce(&mut SecondFactor) -> bool + Send + 'static,
    ) -> Result<Response, Refused> {
        if self.admin().defaults().mailing.carrier == Carries::Nothing {
            return Err(Refusal::NoMail("mails have nowhere to go".into()).into());
        }
        let (desk, wait) = (self.clone(), Arc::new(OnceLock::new()));
        let told = Arc::clone(&wait);
        let changed = admin.change(by, login, move |record, txn| {
            let no_email = || Refusal::NoEmail(record.login.to_string());
            let email = record.email.clone().ok_or_else(no_email)?;
            let (code, sealed) = desk.mint_mailed(record);
            let hash = CodeHash::of(&desk.0.code_key, &record.login, code.expose());
            let no_mail = || Refusal::NoEmail(record.login.to_string());
            let portal = record.portal.get_or_insert_default();
            let second = portal.second.get_or_insert_default();
            if !may(second) {
                return Err(no_mail());
            }
            if let Err(wait) = second.mail(hash, txn.now()) {
                let _ = told.set(wait);
                return Err(Refusal::Denied("a code was mailed just before".into()));
            }
            let until = txn.now() + MAILED_FOR;
            record.mails.owe(txn.now(), email.clone(), MailKind::Code { code: sealed, until });
            Ok(Response::Personal(Personal::Mailed(email)).into())
        });
        changed.await.map_err(|refusal| match wait.get() {
            Some(wait) => Refused::TooSoon(*wait),
            None => refusal.into(),
        })
    }

    /// A new code, sealed for the next mail of this record.
    fn mint_mailed(&self, record: &ExtensionRecord) -> (Secret<String>, Vec<u8>) {
        let mut rng = self.services().rng.lock().unwrap_or_else(PoisonError::into_inner);
        let code = mint_mailed(&mut rng);
        let id = mailing::seal_id(&record.login, record.mails.next());
        let sealed = self.services().sealer.seal(&mut rng, &id, code.expose().as_bytes());
        (code, sealed)
    }

    /// Uses a code up in a record; whether it was good.
    pub(super) fn use_code(&self, record: &mut ExtensionRecord, code: &Password, now: Wall) -> Option<Used> {
        let hash = CodeHash::of(&self.0.code_key, &record.login, code.expose());
        let sealed = record.portal.as_ref()?.second.as_ref()?.totp.as_ref();
        let secret = sealed.and_then(|totp| self.totp_of(&record.login, &totp.sealed));
        let mobile = record.mobile.as_deref_mut();
        record.portal.as_mut()?.use_code(mobile, secret.as_ref(), hash, code.expose(), now)
    }

    fn totp_of(&self, login: &LoginName, sealed: &[u8]) -> Option<TotpSecret> {
        TotpSecret::of(self.services().sealer.open(&seal_id(login), sealed).ok()?.expose())
    }

    /// How it stands with the two-step verification of whoever is here.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn second(&self, here: &Here) -> Result<SecondStanding, Refused> {
        let record = self.find(Some(here.login())).await?;
        let gone = || Refusal::NoSuchExtension(here.login().to_string());
        Ok(SecondStanding::of(&record.ok_or_else(gone)?))
    }

    /// Begins to set up an authenticator app, or codes by mail or SMS; it counts once [`second_verify`](Self::second_verify) was
    /// shown a code of it.
    ///
    /// # Errors
    /// [`Refused::Wrong`] if the password is; [`Refusal::LastAdministrator`]; [`Refusal::NoTexts`]; as
    /// [`text_code`](Self::text_code) for a number; as [`change_password`](Self::change_password) of the
    /// condition.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn second_begin(
        &self,
        here: &Here,
        asking: impl Into<Asking>,
        password: Password,
        method: Method,
        last: LastAdministrator,
    ) -> Result<Answer, Refused> {
        let Asking { caller, condition } = asking.into();
        let asked = ("second begin", &password, &method, last);
        let bound = self.admin().bound(&caller, condition, &asked)?;
        bound.answer(self.second_begin_once(&bound, here, caller, password, method, last).await)
    }

    async fn second_begin_once(
        &self,
        bound: &Bound,
        here: &Here,
        caller: Caller,
        password: Password,
        method: Method,
        last: LastAdministrator,
    ) -> Result<Response, Refused> {
        bound.look().await?;
        self.prove(bound, here, &password, caller.from).await?;
        let login = here.login().clone();
        if here.role == Role::Admin && last == LastAdministrator::Refuse && !here.second {
            self.warn_last(&login).await?;
        }
        let by = By::caller(caller, "second begin");
        if let Method::Sms(text) = &method {
            let number = self.read_mobile(&login, text).await?;
            return self.send_text(bound.admin(), by, login, To::New(number)).await;
        }
        if method == Method::Mail {
            let begin = |second: &mut SecondFactor| {
                second.enrolling = Some(Enrolling::Mail);
                true
            };
            return self.change_mailing(bound.admin(), by, login, begin).await;
        }
        let (secret, sealed) = {
            let mut rng = self.services().rng.lock().unwrap_or_else(PoisonError::into_inner);
            let secret = TotpSecret::mint(&mut rng);
            let sealed = self.services().sealer.seal(&mut rng, &seal_id(&login), secret.expose());
            (secret, sealed)
        };
        let tenant = self.services().directory.tenant(login.tenant());
        let issuer = tenant.map(|tenant| tenant.name.to_string()).filter(|name| !name.trim().is_empty());
        let uri = secret.uri(issuer.as_deref().unwrap_or_else(|| login.tenant()), &login);
        let [secret, uri] = [secret.base32(), uri].map(|text| Password::new(text.expose().clone()));
        let begun = bound.admin().change(by, login, move |record, _| {
            let second = record.portal.get_or_insert_default().second.get_or_insert_default();
            second.enrolling = Some(Enrolling::Totp(sealed));
            Ok(Response::Personal(Personal::App { secret, uri }).into())
        });
        Ok(begun.await?)
    }

    /// Turns on what was set up, if the code is one of it. Gives recovery codes, if there are none.
    ///
    /// # Errors
    /// [`Refused::Wrong`] if the code is, or nothing was set up, which counts as a failed sign-in;
    /// [`Refused::Locked`] after too many; as [`change_password`](Self::change_password) of the condition.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn second_verify(
        &self,
        here: &Here,
        asking: impl Into<Asking>,
        code: Password,
    ) -> Result<Answer, Refused> {
        let Asking { caller, condition } = asking.into();
        let bound = self.admin().bound(&caller, condition, &("second on", &code))?;
        bound.answer(self.second_verify_once(&bound, here, caller, code).await)
    }

    async fn second_verify_once(
        &self,
        bound: &Bound,
        here: &Here,
        caller: Caller,
        code: Password,
    ) -> Result<Response, Refused> {
        bound.look().await?;
        let visitor = visitor(here, caller.from);
        let _turn = self.0.turns.take(&visitor.whose.name, visitor.browser).await?;
        if let Some((wait, _)) = self.barred(&visitor) {
            return Err(Refused::Locked(wait));
        }
        let (desk, login) = (self.clone(), here.login().clone());
        let (codes, hashes) = self.mint_codes(&login);
        let by = By::caller(caller, "second on");
        let tells = self.admin().defaults().mailing.carrier == Carries::Mails;
        let verified = bound.admin().change(by, login, move |record, txn| {
            let hash = CodeHash::of(&desk.0.code_key, &record.login, code.expose());
            let wrong = || Refusal::Denied("the code is wrong".into());
            let portal = record.portal.as_mut().ok_or_else(wrong)?;
            let enrolling = portal.second.as_ref().and_then(|second| second.enrolling.as_ref());
            let secret = match enrolling {
                None => return Err(wrong()),
                Some(Enrolling::Mail | Enrolling::Sms(_)) => None,
                Some(Enrolling::Totp(sealed)) => desk.totp_of(&record.login, sealed),
            };
            let number = match enrolling {
                Some(Enrolling::Sms(number)) => Some(number.clone()),
                _ => None,
            };
            let mobile = record.mobile.as_deref_mut();
            if !portal.confirm(mobile, secret.as_ref(), hash, code.expose(), txn.now()) {
                return Err(wrong());
            }
            let fresh = portal.recovery.is_empty();
            if fresh {
                portal.recovery = hashes;
            }
            if let (Some(number), Some(email), true) = (number, record.email.clone(), tells) {
                record.mails.owe(txn.now(), email, MailKind::MobileChanged { mobile: number.masked() });
            }
            Ok(Response::Personal(Personal::Recovery(if fresh { codes } else { Vec::new() })).into())
        });
        match verified.await.map_err(denied) {
            Err(Refused::Wrong) => Err(self.failed(&visitor, &Verdict::Wrong).await),
            verified => verified,
        }
    }

    /// New recovery codes; the old ones are worth nothing.
    ///
    /// # Errors
    /// [`Refused::Wrong`] if the password is; [`Refusal::NoSecondFactor`]; as
    /// [`change_password`](Self::change_password) of the condition.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn second_recovery(
        &self,
        here: &Here,
        asking: impl Into<Asking>,
        password: Password,
    ) -> Result<Answer, Refused> {
        let Asking { caller, condition } = asking.into();
        let bound = self.admin().bound(&caller, condition, &("second recovery", &password))?;
        let login = here.login().clone();
        let renewed = async {
            bound.look().await?;
            self.prove(&bound, here, &password, caller.from).await?;
            let (codes, hashes) = self.mint_codes(&login);
            let by = By::caller(caller, "second recovery");
            let renewed = bound.admin().change(by, login, move |record, _| {
                let none = Refusal::NoSecondFactor(record.login.to_string());
                let portal = record.portal.as_mut().filter(|portal| portal.needs_second()).ok_or(none)?;
                portal.recovery = hashes;
                Ok(Response::Personal(Personal::Recovery(codes)).into())
            });
            Ok(renewed.await?)
        };
        bound.answer(renewed.await)
    }

    fn mint_codes(&self, login: &LoginName) -> (Vec<Password>, Vec<CodeHash>) {
        let codes = mint_recovery(&mut self.services().random());
        let hashes = codes.iter().map(|code| CodeHash::of(&self.0.code_key, login, code.expose())).collect();
        (codes.iter().map(|code| Password::new(code.expose().clone())).collect(), hashes)
    }

    /// Turns two-step verification off; whoever did so, its person is told by mail.
    ///
    /// # Errors
    /// [`Refused::Wrong`] if the password is; [`Refusal::SecondRequired`] while the tenant says so; as
    /// [`change_password`](Self::change_password) of the condition.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn second_clear(
        &self,
        here: &Here,
        asking: impl Into<Asking>,
        password: Password,
    ) -> Result<Answer, Refused> {
        let Asking { caller, condition } = asking.into();
        let bound = self.admin().bound(&caller, condition, &("second clear", &password))?;
        let cleared = async {
            bound.look().await?;
            self.prove(&bound, here, &password, caller.from).await?;
            let by = By::caller(caller, "second clear");
            let cleared = bound.admin().change(by, here.login().clone(), |record, txn| {
                let tenant = TENANTS.get(txn, &[record.login.tenant()])?;
                if tenant.is_some_and(|tenant| tenant.value.policies.two_step_required) {
                    return Err(Refusal::SecondRequired(record.login.tenant().to_owned()));
                }
                if let (true, Some(email)) = (clear(record), record.email.clone()) {
                    record.mails.owe(txn.now(), email, MailKind::SecondFactorCleared);
                }
                Ok(Response::Done.into())
            });
            Ok(cleared.await?)
        };
        bound.answer(cleared.await)
    }
}

/// Takes the second factor out of a record; whether there was one.
pub(in crate::service) fn clear(record: &mut ExtensionRecord) -> bool {
    if let Some(mobile) = &mut record.mobile {
        mobile.clear();
    }
    let Some(portal) = &mut record.portal else { return false };
    let had: Option<SecondFactor> = portal.second.take();
    portal.recovery.clear();
    had.is_some_and(|second| second.since.is_some())
}

fn denied(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::Denied(_) => Refused::Wrong,
        refusal => refusal.into(),
    }
}
