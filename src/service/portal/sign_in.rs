//! A person signs in.
//!
//! | what | order, and why |
//! |------|----------------|
//! | ban, lock | before the secret; while locked it is not looked at, and a decoy is |
//! | one at a time | then ban and lock again: those before may have begun one |
//! | the password | one run of Argon2 in each case |
//! | a failure | counted at once; what it begins is written before it is answered |
//! | a second factor | asked for by a pending sign-in: no failure is excused before it is shown |
//! | the session | written with the browser's new cookie; never one that was there before |
//! | the audit | a line for each session: from where, in which browser, by which second factor, in whose place |

use super::argon::{Found, Task};
use super::sessions::entry_text;
use super::{Desk, Refused, Visitor, record_of};
use crate::account::portal::{BrowserId, PortalPassword};
use crate::account::session::{Goes, Mark, cut_agent, id_of};
use crate::account::{LoginName, Portal, Session, Token};
use crate::base::limit;
use crate::base::private::Secret;
use crate::digest::Ha1;
use crate::directory::sign_in::Consequence;
use crate::directory::{Directory, ExtensionRecord};
use crate::lockout::{Bar, Before, Begun, Lock, Previous};
use crate::service::admin::{Actor, By, Caller, Password, Refusal, Via};
use crate::service::audit::{About, of_extension, of_session};
use crate::service::commit::{keep_lock, note_ban, note_strangers_lock};
use crate::service::tables::{SESSIONS, overlay, put_extension};
use crate::store::{Expect, Txn};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// What somebody shows who signs in.
pub struct Knock {
    /// The login name as it was typed.
    pub name: String,
    /// The password.
    pub password: Password,
    /// The browser's cookie, if it has one.
    pub device: Option<Token>,
    /// From where.
    pub from: IpAddr,
    /// What the browser calls itself.
    pub agent: String,
}

/// What a right password leads to.
#[derive(Debug)]
pub enum Entered {
    /// A session.
    Session(Opened),
    /// A second factor is asked for.
    Second {
        /// What is to be shown with it, within five minutes.
        pending: Secret<String>,
        /// What may be shown.
        methods: Vec<&'static str>,
    },
}

/// A session that was just opened. Its secrets are told this once.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub session: Session,
    /// By what it is ended.
    pub id: String,
    /// What its cookie says: whose it is, and its secret.
    pub cookie: Secret<String>,
    /// The browser's new cookie.
    pub device: Token,
    /// What each change must show besides the cookie.
    pub csrf: String,
    /// Whether nothing but a change of the password may be done.
    pub must_change: bool,
    /// Whether nothing but setting up a second factor may be done.
    pub second_missing: bool,
}

/// What came of a password.
pub(super) enum Verdict {
    /// It is right, for the password of this epoch; with its hash, if there was none.
    Right { epoch: u32, password: Mark, made: Option<PortalPassword> },
    /// It is the one before the present one, of this epoch.
    Previous { epoch: u32 },
    /// It is wrong.
    Wrong,
}

/// What a session is opened with.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) login: LoginName,
    pub(super) password: Mark,
    pub(super) made: Option<PortalPassword>,
    pub(super) browser: Option<BrowserId>,
    pub(super) from: IpAddr,
    pub(super) agent: Box<str>,
    /// The second factor, if it was asked for and shown.
    pub(super) code: Option<Password>,
}

impl Desk {
    /// Signs a person in.
    ///
    /// # Errors
    /// [`Refused`]: the same for names that there are and that there are not.
    ///
    /// # Cancel safety
    /// A failure that was found is counted; a session that was begun is written even if the future is
    /// dropped.
    pub async fn sign_in(&self, knock: Knock) -> Result<Entered, Refused> {
        let Knock { name, password, device, from, agent } = knock;
        let mut whose = self.whose(&name);
        let found = self.find(whose.login.as_ref()).await?;
        let portal = found.as_ref().and_then(|record| record.portal.as_ref());
        let browser = portal.zip(device).and_then(|(portal, device)| portal.browser(&device.hash()));
        if let (Some(login), Some(_)) = (&whose.login, browser) {
            whose.name = login.as_str().into();
        }
        let acquaintance = whose.acquaintance(found.is_some());
        let visitor = Visitor { whose, acquaintance, from, browser, agent: cut_agent(&agent) };
        self.may_knock(&visitor, &password).await?;
        let turn = self.0.turns.take(&visitor.whose.name, browser).await?;
        if self.barred(&visitor).is_some() {
            drop(turn);
            self.may_knock(&visitor, &password).await?;
            return Err(Refused::Wrong); // it ended this very moment
        }
        let found = self.find(visitor.whose.login.as_ref()).await?;
        let mut verdict = self.judge(&visitor, found.as_ref(), &password).await?;
        if self.is_barred_unseen(&visitor.whose, &self.person(&visitor)) {
            verdict = Verdict::Wrong;
        }
        let Verdict::Right { password, made, .. } = verdict else {
            return Err(self.failed(&visitor, &verdict).await);
        };
        let Some(record) = found else { return Err(Refused::Wrong) };
        let entry = Entry {
            code: None,
            login: record.login.clone(),
            password,
            made,
            browser,
            from,
            agent: visitor.agent.clone(),
        };
        if record.portal.as_deref().is_some_and(Portal::needs_second) {
            return Ok(self.ask_second(entry, &record));
        }
        let opened = self.open(entry).await.map_err(|refused| match refused {
            Refused::NotPending => Refused::Wrong, // what was shown was right, and is so no more
            refused => refused,
        })?;
        self.services().directory.person_signed_in(self.now(), &self.person(&visitor));
        Ok(Entered::Session(opened))
    }

    /// Has a sign-in wait for its second factor.
    fn ask_second(&self, entry: Entry, record: &ExtensionRecord) -> Entered {
        let token = self.token();
        let mut pendings = self.0.pendings.lock().unwrap_or_else(PoisonError::into_inner);
        pendings.add(token.hash(), entry, self.now().mono);
        let pending = Secret::new(token.expose().to_owned());
        let mut methods = super::factors::methods(record);
        methods.retain(|method| *method != "sms" || self.sends_texts());
        Entered::Second { pending, methods }
    }

    /// What bars a visitor, and for how long.
    pub(super) fn barred(&self, visitor: &Visitor) -> Option<(Duration, Bar)> {
        match self.services().directory.before_person(self.now(), &self.person(visitor)) {
            Before::LookAtSecret => None,
            Before::RefuseLocked { retry_after, by } => Some((retry_after, by)),
        }
    }

    /// Refuses whom a ban or a lock bars; the latter for the work of a password.
    pub(super) async fn may_knock(&self, visitor: &Visitor, password: &Password) -> Result<(), Refused> {
        match self.barred(visitor) {
            None => Ok(()),
            Some((wait, Bar::Source)) => Err(Refused::Locked(wait)),
            Some((wait, Bar::Identity)) => {
                self.run(password, Task::Verify(self.0.decoy.clone())).await?;
                Err(Refused::Locked(wait))
            }
        }
    }

    pub(super) async fn run(&self, password: &Password, task: Task) -> Result<Found, Refused> {
        Ok(self.0.setup.argon.run(Secret::new(password.expose().to_owned()), task).await?)
    }

    /// Judges a password: one run of Argon2 and two comparisons, whoever it is of.
    pub(super) async fn judge(
        &self,
        visitor: &Visitor,
        found: Option<&ExtensionRecord>,
        password: &Password,
    ) -> Result<Verdict, Refused> {
        let services = self.services();
        let open = found.filter(|record| self.is_open(record));
        let known = open.and_then(|record| services.unseal(record).ok().flatten());
        let name = visitor.whose.login.as_ref().map_or(&*visitor.whose.name, LoginName::as_str);
        let shown = Ha1::new(name, &services.realm, password.expose()).to_bytes();
        let is_shown = |ha1: &Ha1| bool::from(ha1.to_bytes().expose().ct_eq(shown.expose()));
        let by_ha1 = is_shown(known.as_ref().map_or(&self.0.decoy_ha1, |known| &known.ha1));
        let previous = known.as_ref().and_then(|known| known.previous.as_deref());
        let previous = previous.filter(|previous| previous.until > self.now().wall);
        let by_previous = is_shown(previous.map_or(&self.0.decoy_ha1, |previous| &previous.ha1));
        let epoch = known.as_ref().map(|known| known.epoch);
        let hash = open.and_then(|record| record.portal.as_ref()?.password_of(epoch?));
        let task = match (epoch, hash) {
            (Some(_), Some(hash)) => Task::Verify(hash.clone()),
            (Some(epoch), None) => Task::Make { epoch, salt: self.salt() },
            (None, _) => Task::Verify(self.0.decoy.clone()),
        };
        let (right, made) = match self.run(password, task).await? {
            Found::Verified(right) => (right, None),
            Found::Made(made) => (by_ha1, Some(made)),
        };
        Ok(match epoch {
            Some(epoch) if right => match open.and_then(mark) {
                Some(password) => Verdict::Right { epoch, password, made },
                None => Verdict::Wrong,
            },
            Some(epoch) if by_previous => Verdict::Previous { epoch },
            _ => Verdict::Wrong,
        })
    }

    /// Counts a failure, writes what it begins, and says how it is answered.
    pub(super) async fn failed(&self, visitor: &Visitor, verdict: &Verdict) -> Refused {
        let (directory, person) = (&self.services().directory, self.person(visitor));
        if let Verdict::Previous { epoch } = verdict
            && directory.person_used_previous(&person, *epoch) == Previous::Again
        {
            return Refused::Wrong;
        }
        let written = match directory.person_failed(self.now(), &person) {
            Consequence::Counted => return Refused::Wrong,
            Consequence::TrustEnded => {
                self.0.meters.distrusted.increment(1);
                return Refused::Wrong;
            }
            Consequence::Locked(lock) => {
                self.0.meters.locked.increment(1);
                self.write_lock(visitor.whose.login.clone(), lock).await
            }
            Consequence::Banned(begun) => {
                self.0.meters.banned.increment(1);
                self.write_ban(begun).await
            }
        };
        match (written, self.barred(visitor)) {
            (Err(refusal), _) => Refused::By(refusal),
            (Ok(()), Some((wait, _))) => Refused::Locked(wait),
            (Ok(()), None) => Refused::Wrong,
        }
    }

    pub(super) async fn write_lock(&self, login: Option<LoginName>, lock: Lock) -> Result<(), Refusal> {
        let (memory, scope, whose) = (Arc::clone(&self.services().directory), lock.scope, login.clone());
        let job = move |txn: &mut Txn<'_>| {
            let now = txn.now();
            let kept =
                login.as_ref().map(|login| keep_lock(txn, &memory, now, login, lock)).transpose()?.flatten();
            if kept.is_none() {
                note_strangers_lock(txn)?;
            }
            Ok(kept)
        };
        let apply = move |directory: &Directory, record: &Option<ExtensionRecord>| {
            if let Some(record) = record {
                directory.refresh(record);
            }
            if let Some(login) = &whose {
                directory.lock_is_kept(login, scope);
            }
        };
        self.admin().commit(job, apply).await.map(drop)
    }

    pub(super) async fn write_ban(&self, begun: Begun) -> Result<(), Refusal> {
        let memory = Arc::clone(&self.services().directory);
        let job = move |txn: &mut Txn<'_>| Ok(note_ban(txn, &memory, txn.now(), &begun)?);
        self.admin().commit(job, |_, ()| ()).await
    }

    /// Opens a session for whoever has shown all that is asked for.
    ///
    /// # Errors
    /// [`Refused::Wrong`] if the second factor is; [`Refused::NotPending`] if something was changed since the
    /// password was shown, so that this sign-in leads nowhere.
    pub(super) async fn open(&self, entry: Entry) -> Result<Opened, Refused> {
        let (secret, device) = (self.token(), self.token());
        let (hash, device_hash) = (secret.hash(), device.hash());
        let (memory, desk) = (Arc::clone(&self.services().directory), self.clone());
        let job = move |txn: &mut Txn<'_>| {
            let row = record_of(txn, &entry.login)?;
            let mut record = row.value;
            let tenant = memory.tenant(record.login.tenant());
            let open = record.life == crate::account::Life::Active
                && tenant.is_some_and(|tenant| tenant.active)
                && mark(&record) == Some(entry.password);
            if !open {
                return Err(Refusal::NotActive(record.login.to_string()));
            }
            overlay(&mut record, &memory);
            let (mut before, mut shown) = (of_extension(&record), None);
            if record.portal.as_ref().is_some_and(|portal| portal.needs_second()) {
                shown = entry.code.as_ref().and_then(|code| desk.use_code(&mut record, code, txn.now()));
                if shown.is_none() {
                    return Err(Refusal::Denied("the second factor is wrong".into()));
                }
            }
            let portal = record.portal.get_or_insert_default();
            if entry.made.is_some() {
                portal.password = entry.made;
            }
            let browser = portal.remember(entry.browser, device_hash, txn.now());
            let must_change = portal.must_change;
            let second_missing = desk.second_missing(&record);
            let session = Session {
                login: entry.login,
                password: entry.password,
                changed: None,
                browser,
                since: txn.now(),
                seen: txn.now(),
                address: entry.from.to_string().into(),
                agent: entry.agent,
            };
            // The line first. It says what is not in the record, too.
            let former = make_room(txn, &session)?;
            let mut after = of_extension(&record);
            before.extend(former.iter().map(|(hash, session)| of_session(hash, session)));
            after.push(of_session(&hash.hex(), &session));
            let known = if entry.browser == Some(browser) { "known" } else { "new" };
            after.push(("browser".into(), format!("{} {known}", browser.0)));
            after.extend(shown.map(|used| ("shown".into(), used.label().into())));
            let actor = Actor::of(record.login.clone(), record.role);
            let caller = Caller { actor, via: Via::Session(id_of(&hash).into()), from: entry.from };
            let about = About::Extension(record.login.clone());
            By::caller(caller, "sign in").note(txn, about, &before, &after)?;
            let whose = [session.login.tenant(), session.login.number()];
            for (former, _) in &former {
                SESSIONS.remove(txn, &[whose[0], whose[1], former], Expect::Any)?;
            }
            let parts = [whose[0], whose[1], &hash.hex()];
            SESSIONS.put(txn, &parts, &session, Some(session.until()), Expect::Absent)?;
            // Last: if this fails no code is used up, and nobody has the session's cookie.
            put_extension(txn, &record, Expect::At(row.revision))?;
            Ok((record, session, [must_change, second_missing]))
        };
        let apply = |directory: &Directory, (record, ..): &(ExtensionRecord, Session, [bool; 2])| {
            directory.refresh(record);
        };
        let opened = self.admin().commit(job, apply).await;
        let (_, session, [must_change, second_missing]) = opened.map_err(|refusal| match refusal {
            Refusal::Store(_) => Refused::By(refusal),
            Refusal::Denied(_) => Refused::Wrong,
            _ => Refused::NotPending,
        })?;
        let cookie = Secret::new(entry_text(&session.login, &secret));
        let (id, csrf) = (id_of(&hash), self.csrf(&hash));
        Ok(Opened { id, csrf, session, cookie, device, must_change, second_missing })
    }
}

/// The mark of a record's password.
pub(super) fn mark(record: &ExtensionRecord) -> Option<Mark> {
    record
        .credentials
        .as_ref()
        .map(|credentials| Mark { epoch: credentials.epoch, set_at: credentials.set_at })
}

/// What a new session takes the place of, by the hashes of their secrets: those of the same browser and of
/// older passwords, and where there is still no room those that were not used for longest.
fn make_room(txn: &Txn<'_>, new: &Session) -> Result<Vec<(String, Session)>, Refusal> {
    let whose = [new.login.tenant(), new.login.number()];
    let rows = SESSIONS.scan(txn, &whose, None, 2 * limit::SESSIONS_MAX)?;
    let rows = rows.into_iter().filter_map(|(key, row)| Some((key.last_part()?, row.value)));
    let (mut former, mut kept): (Vec<_>, Vec<_>) = rows.partition(|(_, session)| {
        session.goes(Some(new.password), new.since) == Goes::Ended || session.browser == new.browser
    });
    kept.sort_unstable_by(|(hash, session), (other, before)| (session.seen, hash).cmp(&(before.seen, other)));
    let over = (kept.len() + 1).saturating_sub(limit::SESSIONS_MAX);
    former.extend(kept.into_iter().take(over));
    Ok(former)
}
