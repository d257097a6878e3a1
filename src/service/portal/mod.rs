//! What people do by themselves.
//!
//! | flow | where |
//! |------|-------|
//! | sign in: lockout, password, second factor, session | [`sign_in`] |
//! | sessions: entered, listed, ended | [`sessions`] |
//! | a new password | [`password`] |
//! | two-step verification | [`factors`], [`texts`], `pending`, `last` |
//! | a forgotten password: who asks for a link | [`forgot`] |
//! | the link is used | [`reset`] |
//! | the PIN of phone access | [`pin`] |
//! | the security question | [`question`] |
//! | Argon2, and one sign-in after another for each person | [`argon`], [`turns`] |
//!
//! Known and unknown names get the same answers for the same work: an extension that there is not, that
//! has no password or is disabled is judged by a decoy. What is counted and what it locks follows from what
//! was typed and from which tenants there are, not from who there is
//! ([`counted_as`](crate::directory::Directory::counted_as)):
//!
//! | typed | counted and locked | by the policy of | refused by |
//! |-------|--------------------|------------------|------------|
//! | login name, or main number of a tenant and extension | the login name | its tenant | the login's lock |
//! | a direct number, in any notation | the number, apart from the login | the configuration | the number's lock; by the login's too, but in the words of a wrong secret |
//! | anything else | the text | the configuration | its own lock |
//!
//! So a number adds at most the configuration's few guesses to those at the login. A number's lock is shown
//! and lifted as its extension's, and if the process ends it is the extension's from then on. A browser that
//! is known by its cookie knows whose number it is: it is judged by the login.

pub mod argon;
pub mod factors;
pub mod forgot;
mod last;
pub mod password;
mod pending;
pub mod pin;
pub mod question;
pub mod reset;
pub mod sessions;
pub mod sign_in;
pub mod texts;
pub mod turns;

#[cfg(test)]
mod tests;

pub use factors::{LastAdministrator, Method, SecondStanding};
pub use sessions::{Here, SessionView};
pub use sign_in::{Entered, Knock, Opened};
pub use texts::Texting;

use super::Services;
use super::admin::{Admin, AsRefusal, Caller, Condition, Refusal};
use super::tables::extension;
use crate::account::portal::{BrowserId, PortalPassword};
use crate::account::{Life, LoginName, Token, Typed};
use crate::base::private::Secret;
use crate::base::time::Now;
use crate::core::meters::LockScope;
use crate::digest::Ha1;
use crate::directory::ExtensionRecord;
use crate::directory::people::Person;
use crate::lockout::{Acquaintance, Before, Origin, Scope};
use argon::{Argon, ArgonError};
use pending::Pendings;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use turns::Turns;

/// When to ask again what could not be judged for lack of time.
const BUSY_AGAIN: Duration = Duration::from_secs(5);

/// What the desk is made of.
pub struct Setup {
    /// What does what is asked.
    pub admin: Admin,
    /// Where passwords are judged.
    pub argon: Argon,
    /// Both clocks.
    pub clock: Box<dyn Fn() -> Now + Send + Sync>,
    /// Whether a source is never banned.
    pub origin: Box<dyn Fn(IpAddr) -> Origin + Send + Sync>,
    /// How codes are sent by SMS; none if they are not.
    pub texting: Option<Texting>,
}

/// Where people sign in. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    setup: Setup,
    turns: Turns,
    /// What those are judged by who have no password of their own.
    decoy: PortalPassword,
    decoy_ha1: Ha1,
    csrf_key: Secret<[u8; 32]>,
    code_key: Secret<[u8; 32]>,
    pendings: Mutex<Pendings>,
    meters: Meters,
}

/// Handles to `stationmaster_locks_started_total{scope}`, whose scopes are those of phones.
struct Meters {
    locked: metrics::Counter,
    banned: metrics::Counter,
    distrusted: metrics::Counter,
}

impl Meters {
    fn register() -> Self {
        let of = |scope: LockScope| metrics::counter!("stationmaster_locks_started_total", "scope" => scope.label());
        Self {
            locked: of(LockScope::Identity),
            banned: of(LockScope::Source),
            distrusted: of(LockScope::Device),
        }
    }
}

/// Who asks for a change of what is theirs, and on what it depends.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Who.
    pub caller: Caller,
    /// On what.
    pub condition: Condition,
}

impl From<Caller> for Asking {
    fn from(caller: Caller) -> Self {
        Self { caller, condition: Condition::default() }
    }
}

/// Why somebody does not get in, or something was not done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The name, the password or the code is wrong; which of them is not told.
    #[error("the login name or the password is wrong")]
    Wrong,
    /// The secret was not looked at, and will not be for so long.
    #[error("too many failed sign-ins; try again later")]
    Locked(Duration),
    /// There is no sign-in that waits for this second factor, or not any more.
    #[error("the sign-in has ended; begin anew")]
    NotPending,
    /// It was asked for just before.
    #[error("wait a little before you ask for another one")]
    TooSoon(Duration),
    /// There is too much to do.
    #[error("too many sign in at this moment; try again in a moment")]
    Busy(Duration),
    /// Why the service behind it refused.
    #[error(transparent)]
    By(#[from] Refusal),
}

impl AsRefusal for Refused {
    fn is_answered(&self) -> bool {
        matches!(self, Self::By(refusal) if refusal.is_answered())
    }
}

/// Whom a typed name means.
struct Whose {
    /// By which failures are counted.
    name: Box<str>,
    /// The extension that is meant, if there is one.
    login: Option<LoginName>,
}

impl Whose {
    /// Whether the name that counts is that of an extension there is.
    fn acquaintance(&self, found: bool) -> Acquaintance {
        match &self.login {
            Some(login) if found && *self.name == *login.as_str() => Acquaintance::Known,
            _ => Acquaintance::Stranger,
        }
    }
}

/// A person at the desk, by a name that may be nobody's.
struct Visitor {
    whose: Whose,
    acquaintance: Acquaintance,
    from: IpAddr,
    browser: Option<BrowserId>,
    agent: Box<str>,
}

impl Desk {
    /// A desk. Runs Argon2 nowhere yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let services = setup.admin.services();
        let mut rng = services.random();
        let mut decoy = PortalPassword { epoch: 0, cost: setup.argon.cost(), salt: [0; 16], hash: [0; 32] };
        rng.fill(&mut decoy.salt);
        rng.fill(&mut decoy.hash);
        let csrf_key = services.sealer.derive(b"portal csrf");
        let code_key = services.sealer.derive(b"portal codes");
        let decoy_ha1 = Ha1::decoy(&mut rng);
        let (turns, pendings) = (Turns::new(), Mutex::default());
        Self(Arc::new(Inner {
            setup,
            turns,
            decoy,
            decoy_ha1,
            csrf_key,
            code_key,
            pendings,
            meters: Meters::register(),
        }))
    }

    /// What administers.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.0.setup.admin
    }

    /// How often Argon2 was run.
    #[must_use]
    pub fn argon_runs(&self) -> u64 {
        self.0.setup.argon.runs()
    }

    fn services(&self) -> &Services {
        self.0.setup.admin.services()
    }

    fn now(&self) -> Now {
        (self.0.setup.clock)()
    }

    fn token(&self) -> Token {
        Token::mint(&mut self.services().rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.services().rng.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut salt);
        salt
    }

    /// Whom a login name means, as people type it.
    fn whose(&self, typed: &str) -> Whose {
        let typed = Typed::read(typed);
        let directory = &self.services().directory;
        Whose { name: directory.counted_as(&typed).into(), login: directory.identify(&typed) }
    }

    /// Whether somebody who must not be told whose name this is would be refused by the login's lock.
    fn is_barred_unseen(&self, whose: &Whose, person: &Person<'_>) -> bool {
        let login = whose.login.as_ref().map(LoginName::as_str).filter(|login| *whose.name != **login);
        login.is_some_and(|login| {
            let person = Person { name: login, acquaintance: Acquaintance::Known, ..*person };
            self.services().directory.before_person(self.now(), &person) != Before::LookAtSecret
        })
    }

    /// The record of an extension, if there is one.
    async fn find(&self, login: Option<&LoginName>) -> Result<Option<ExtensionRecord>, Refused> {
        // Nobody's name is looked up too: under one that no extension can have.
        let parts = login.map_or(["-", "-"], |login| [login.tenant(), login.number()]);
        let parts = parts.map(str::to_owned);
        let found = self
            .services()
            .store
            .read(move |view| super::tables::EXTENSIONS.get(&view, &[parts[0].as_str(), parts[1].as_str()]));
        Ok(found.await.map_err(Refusal::from)?.map(|row| row.value))
    }

    /// The record of an extension whose person may do anything.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(in crate::service) async fn open_record(
        &self,
        login: &LoginName,
    ) -> Result<Option<ExtensionRecord>, Refused> {
        Ok(self.find(Some(login)).await?.filter(|record| self.is_open(record)))
    }

    /// Whether an extension's person may sign in at all.
    fn is_open(&self, record: &ExtensionRecord) -> bool {
        let tenant = self.services().directory.tenant(record.login.tenant());
        record.life == Life::Active && tenant.is_some_and(|tenant| tenant.active)
    }

    /// Whether the tenant requires a second factor and there is none.
    fn second_missing(&self, record: &ExtensionRecord) -> bool {
        let tenant = self.services().directory.tenant(record.login.tenant());
        let required = tenant.is_some_and(|tenant| tenant.policies.two_step_required);
        required && !record.portal.as_ref().is_some_and(|portal| portal.needs_second())
    }

    fn person<'a>(&self, visitor: &'a Visitor) -> Person<'a> {
        Person {
            name: &visitor.whose.name,
            acquaintance: visitor.acquaintance,
            login: visitor.whose.login.as_ref().map(LoginName::as_str),
            scope: Scope::Portal,
            from: visitor.from,
            origin: (self.0.setup.origin)(visitor.from),
            browser: visitor.browser,
            agent: &visitor.agent,
            policy: self.admin().defaults().lockout,
        }
    }
}

impl From<ArgonError> for Refused {
    fn from(_: ArgonError) -> Self {
        Self::Busy(BUSY_AGAIN)
    }
}

impl From<turns::Busy> for Refused {
    fn from(_: turns::Busy) -> Self {
        Self::Busy(BUSY_AGAIN)
    }
}

/// The record as a job sees it.
fn record_of(
    view: &crate::store::View<'_>,
    login: &LoginName,
) -> Result<crate::store::Row<ExtensionRecord>, Refusal> {
    extension(view, login)?.ok_or_else(|| Refusal::NoSuchExtension(login.to_string()))
}
