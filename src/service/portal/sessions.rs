//! Sessions: entered with each request, listed, ended.
//!
//! A cookie says whose session it is and its secret, `201-acme.0123…`, so that one look in the store
//! finds it. What was read may not be durable yet, and then was not answered yet either.

use super::sign_in::mark;
use super::{Asking, Desk, Refused, record_of};
use crate::account::portal::BrowserId;
use crate::account::session::{Goes, Mark, id_of};
use crate::account::{LoginName, Role, Session, Token, TokenHash};
use crate::base::keyed::keyed;
use crate::base::limit;
use crate::base::time::Wall;
use crate::directory::Directory;
use crate::service::admin::{By, Caller, Personal, Refusal, Response};
use crate::service::audit::{About, Known, of_session};
use crate::service::tables::{EXTENSIONS, SESSIONS};
use crate::store::{Expect, Revision, StoreError, Txn};
use std::fmt::Write as _;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// A session that goes on, and what its person may do.
#[derive(Clone, Debug)]
pub struct Here {
    /// It.
    pub session: Session,
    /// The present password.
    pub present: Option<Mark>,
    /// Of its secret.
    pub hash: TokenHash,
    /// What its person may do.
    pub role: Role,
    /// Their name.
    pub name: String,
    /// Their e-mail.
    pub email: Option<String>,
    /// Whether nothing but a change of the password may be done.
    pub must_change: bool,
    /// Whether nothing but setting up a second factor may be done: the tenant requires one, and there is none.
    pub second_missing: bool,
    /// Whether a second factor is asked for at sign-in.
    pub second: bool,
    /// Of the last edit of their record.
    pub revision: Revision,
}

/// A session as its person sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionView {
    /// By what it is ended.
    pub id: String,
    /// When it was opened.
    pub since: Wall,
    /// When it was used last.
    pub seen: Wall,
    /// When it ends if it is not used.
    pub until: Wall,
    /// From where it was opened.
    pub address: String,
    /// What its browser calls itself.
    pub agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Here {
    /// Whose.
    #[must_use]
    pub const fn login(&self) -> &LoginName {
        &self.session.login
    }

    /// By what it is ended.
    #[must_use]
    pub fn id(&self) -> String {
        id_of(&self.hash)
    }

    /// The browser that it is in.
    #[must_use]
    pub const fn browser(&self) -> BrowserId {
        self.session.browser
    }
}

impl Desk {
    /// The session of a cookie, if it goes on. Its use is written at most once a minute.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn enter(&self, cookie: &str) -> Result<Option<Here>, Refused> {
        let Some((login, hash)) = read_entry(cookie) else { return Ok(None) };
        let parts = [login.tenant().to_owned(), login.number().to_owned(), hash.hex()];
        let found = self.services().store.read(move |view| {
            let [tenant, number, hex] = parts.each_ref().map(String::as_str);
            let Some(session) = SESSIONS.get(&view, &[tenant, number, hex])? else { return Ok(None) };
            let record = EXTENSIONS.get(&view, &[tenant, number])?;
            Ok(record.map(|record| (session.value, record.value)))
        });
        let Some((session, record)) = found.await.map_err(Refusal::from)? else { return Ok(None) };
        let present = mark(&record);
        let goes = goes(&self.services().directory, &session, present, self.now().wall);
        if goes == Goes::Ended || !self.is_open(&record) {
            return Ok(None);
        }
        if goes == Goes::Slides {
            self.slide(&session.login, hash);
        }
        let portal = record.portal.as_deref();
        Ok(Some(Here {
            session,
            present,
            hash,
            role: record.role,
            must_change: portal.is_some_and(|portal| portal.must_change),
            second_missing: self.second_missing(&record),
            second: portal.is_some_and(crate::account::Portal::needs_second),
            name: record.name,
            email: record.email,
            revision: Revision(record.edited),
        }))
    }

    /// Writes that a session was used, and waits for nothing: while the store is down it goes on.
    fn slide(&self, login: &LoginName, hash: TokenHash) {
        let login = login.clone();
        let job = move |txn: &mut Txn<'_>| {
            let parts = [login.tenant(), login.number(), &hash.hex()];
            // One that was ended meanwhile stays ended.
            let Some(row) = SESSIONS.get(txn, &parts)? else { return Ok(()) };
            let session = Session { seen: txn.now(), ..row.value };
            SESSIONS.put(txn, &parts, &session, Some(session.until()), Expect::At(row.revision)).map(drop)
        };
        let done = |result: Result<(), StoreError>| {
            if let Err(error) = result {
                tracing::warn!(%error, "that a session was used could not be written");
            }
        };
        let _ = self.services().store.transact(job, done);
    }

    /// What a session's changes must show besides its cookie.
    #[must_use]
    pub fn csrf(&self, hash: &TokenHash) -> String {
        let key = &self.0.csrf_key;
        keyed(key, &[hash.hex().as_bytes()]).iter().take(20).fold(
            String::with_capacity(40),
            |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            },
        )
    }

    /// Whether a request shows it.
    #[must_use]
    pub fn csrf_is(&self, hash: &TokenHash, shown: &str) -> bool {
        self.csrf(hash).as_bytes().ct_eq(shown.as_bytes()).into()
    }

    /// Ends a session: the person signs out.
    ///
    /// # Errors
    /// If the store does not do it.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn sign_out(&self, here: &Here, caller: Caller) -> Result<(), Refused> {
        let (login, hash) = (here.login().clone(), here.hash.hex());
        let job = move |txn: &mut Txn<'_>| {
            let parts = [login.tenant(), login.number(), &hash];
            // One that another request ended meanwhile has its line.
            let Some(row) = SESSIONS.get(txn, &parts)? else { return Ok(()) };
            let before = vec![of_session(&hash, &row.value)];
            let about = About::Extension(login.clone());
            By::caller(caller, "sign out").note(txn, about, &before, &Known::new())?;
            Ok(SESSIONS.remove(txn, &parts, Expect::Any)?)
        };
        Ok(self.admin().commit(job, |_, ()| ()).await?)
    }

    /// The sessions of a person, the one that was used last first.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn sessions(&self, here: &Here) -> Result<Vec<SessionView>, Refused> {
        let (here, now, directory) = (here.clone(), self.now().wall, Arc::clone(&self.services().directory));
        let found = self.services().store.read(move |view| {
            let whose = [here.login().tenant(), here.login().number()];
            let rows = SESSIONS.scan(&view, &whose, None, 2 * limit::SESSIONS_MAX)?;
            let current = here.hash.hex();
            let live = rows
                .into_iter()
                .filter(|(_, row)| goes(&directory, &row.value, here.present, now) != Goes::Ended);
            let mut views: Vec<_> = live
                .filter_map(|(key, row)| {
                    let hash = key.last_part()?;
                    Some(show(&row.value, &hash, hash == current))
                })
                .collect();
            views.sort_by(|a, b| (b.current, b.seen, &a.id).cmp(&(a.current, a.seen, &b.id)));
            Ok(views)
        });
        Ok(found.await.map_err(Refusal::from)?)
    }

    /// Ends the session of this id, or all but the one that asks; says how many.
    ///
    /// # Errors
    /// [`Refusal::NoRevision`] if one is expected: sessions have none; if the store does not do it.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn end_sessions(
        &self,
        here: &Here,
        asking: impl Into<Asking>,
        id: Option<String>,
    ) -> Result<usize, Refused> {
        let Asking { caller, condition } = asking.into();
        if condition.expect.is_some() {
            return Err(Refusal::NoRevision.into());
        }
        let bound = self.admin().bound(&caller, condition, &("session end", &id))?;
        let (login, current, one) = (here.login().clone(), here.hash.hex(), id.is_some());
        let job = move |txn: &mut Txn<'_>| {
            record_of(txn, &login)?;
            let whose = [login.tenant(), login.number()];
            let rows = SESSIONS.scan(txn, &whose, None, 2 * limit::SESSIONS_MAX)?;
            let rows = rows.into_iter().filter_map(|(key, row)| Some((key.last_part()?, row.value)));
            let (meant, kept): (Vec<_>, Vec<_>) = rows.partition(|(hash, _)| match &id {
                Some(id) => hash.get(..id.len().max(1)) == Some(id) && id.len() == 16,
                None => *hash != current,
            });
            if meant.is_empty() {
                return Ok(0);
            }
            let count = |count: usize| ("sessions".to_owned(), count.to_string());
            let (mut before, after) = (vec![count(meant.len() + kept.len())], vec![count(kept.len())]);
            before.extend(meant.iter().map(|(hash, session)| of_session(hash, session)));
            let about = About::Extension(login.clone());
            By::caller(caller, "session end").note(txn, about, &before, &after)?;
            for (hash, _) in &meant {
                SESSIONS.remove(txn, &[whose[0], whose[1], hash], Expect::Any)?;
            }
            Ok(meant.len())
        };
        let told = |ended: &usize| Response::Personal(Personal::Ended(*ended));
        let kept = move |ended: &usize| (*ended > 0 || !one).then(|| told(ended));
        let ended = bound.admin().commit_telling(job, |_, _: &usize| (), kept).await;
        match bound.answer(ended.map(|ended| told(&ended)))?.response {
            Response::Personal(Personal::Ended(ended)) => Ok(ended),
            _ => Ok(0),
        }
    }
}

/// Whether a session goes on: as it says itself, unless its tenant was suspended since it began.
fn goes(directory: &Directory, session: &Session, present: Option<Mark>, now: Wall) -> Goes {
    match directory.tenant(session.login.tenant()) {
        Some(tenant) if !tenant.has_ended(session.since) => session.goes(present, now),
        _ => Goes::Ended,
    }
}

fn show(session: &Session, hash: &str, current: bool) -> SessionView {
    SessionView {
        id: hash.chars().take(16).collect(),
        since: session.since,
        seen: session.seen,
        until: session.until(),
        address: session.address.to_string(),
        agent: session.agent.to_string(),
        current,
    }
}

/// What a session's cookie says.
pub(super) fn entry_text(login: &LoginName, secret: &Token) -> String {
    format!("{login}.{}", secret.expose())
}

/// Reads a session's cookie; `None` if it has not the form.
fn read_entry(cookie: &str) -> Option<(LoginName, TokenHash)> {
    let (login, secret) = cookie.split_once('.')?;
    Some((LoginName::parse(login).ok()?, Token::parse(secret)?.hash()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn a_cookie_is_read_back_and_no_other_text_is_one() {
        let login = LoginName::parse("201-acme").unwrap();
        let secret = Token::mint(&mut Rng::from_number(1));
        let text = entry_text(&login, &secret);
        assert_eq!(read_entry(&text), Some((login, secret.hash())));
        for other in
            ["", ".", "201-acme", "201-acme.", "201-ACME.x", &text[1..text.len() - 1], &format!("{text}.")]
        {
            assert_eq!(read_entry(other), None, "{other}");
        }
    }
}
