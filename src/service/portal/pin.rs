//! The PIN of phone access.
//!
//! **How it is kept.** A PIN has 6 to 10 digits, so whoever can try them at leisure finds it, whatever one
//! try costs: at 50 ms, 10^6 tries are an afternoon on one machine. What protects it is that the store alone
//! is not enough to try any: the hash is keyed with the key outside the store, as the digest hashes of
//! passwords are sealed with it. So no Argon2, which would add nothing, and would let anybody who calls the
//! phone menu take its time from those who sign in. At the phone the lock protects it: failures are counted
//! in a scope of their own, `pin`, as at the portal: by identity and source, known and unknown alike.

use super::{Desk, Refused, Whose};
use crate::account::{CodeHash, LoginName, Pin};
use crate::base::time::Wall;
use crate::directory::ExtensionRecord;
use crate::directory::people::Person;
use crate::directory::sign_in::Consequence;
use crate::lockout::{Before, Scope};
use crate::service::Services;
use crate::service::admin::Password;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

impl Desk {
    /// Whose phone access this is: `typed` as for a sign-in, for example extension and main number. `from` is
    /// the phone's address, `agent` what it calls itself.
    ///
    /// # Errors
    /// [`Refused::Wrong`] for a wrong PIN, whoever is named, and nobody; [`Refused::Locked`] while the PINs
    /// of that identity, or sign-ins from that source, are not looked at; [`Refused::Busy`].
    ///
    /// # Cancel safety
    /// A failure that was counted stays counted.
    pub async fn verify_pin(
        &self,
        typed: &str,
        pin: &Password,
        from: IpAddr,
        agent: &str,
    ) -> Result<LoginName, Refused> {
        let whose = self.whose(typed);
        // One guess after another for each identity, or many at a time would be judged before one was counted.
        let _turn = self.0.turns.take(&format!("pin {}", whose.name), None).await?;
        let found = self.find(whose.login.as_ref()).await?;
        let person = self.caller(&whose, found.is_some(), from, agent);
        let directory = &self.services().directory;
        if let Before::RefuseLocked { retry_after, .. } = directory.before_person(self.now(), &person) {
            return Err(Refused::Locked(retry_after));
        }
        let open = found.as_ref().filter(|record| self.is_open(record));
        let nobody = LoginName::parse("00-nobody").map_err(|_| Refused::Wrong)?;
        let login = whose.login.as_ref().unwrap_or(&nobody);
        let right = is_right(self.services(), login, open, pin.expose());
        if right && !self.is_barred_unseen(&whose, &person) {
            directory.person_signed_in(self.now(), &person);
            return Ok(login.clone());
        }
        Err(self.pin_failed(&whose, &person).await)
    }

    fn caller<'a>(&self, whose: &'a Whose, known: bool, from: IpAddr, agent: &'a str) -> Person<'a> {
        Person {
            name: &whose.name,
            acquaintance: whose.acquaintance(known),
            login: whose.login.as_ref().map(LoginName::as_str),
            scope: Scope::Pin,
            from,
            origin: (self.0.setup.origin)(from),
            browser: None,
            agent,
            policy: self.admin().defaults().lockout,
        }
    }

    /// Counts a wrong PIN, writes what that begins, and says how it is answered.
    async fn pin_failed(&self, whose: &Whose, person: &Person<'_>) -> Refused {
        let directory = &self.services().directory;
        let written = match directory.person_failed(self.now(), person) {
            Consequence::Counted | Consequence::TrustEnded => return Refused::Wrong,
            Consequence::Locked(lock) => {
                metrics::counter!("stationmaster_locks_started_total", "scope" => Scope::Pin.label())
                    .increment(1);
                self.write_lock(whose.login.clone(), lock).await
            }
            Consequence::Banned(begun) => {
                self.0.meters.banned.increment(1);
                self.write_ban(begun).await
            }
        };
        match (written, directory.before_person(self.now(), person)) {
            (Err(refusal), _) => Refused::By(refusal),
            (Ok(()), Before::RefuseLocked { retry_after, .. }) => Refused::Locked(retry_after),
            (Ok(()), Before::LookAtSecret) => Refused::Wrong,
        }
    }
}

/// A PIN as it is kept.
pub(in crate::service) fn hashed(services: &Services, login: &LoginName, pin: &str, now: Wall) -> Pin {
    Pin { hash: keyed(services, "pin", login, now, pin), set_at: now }
}

/// Whether it is the PIN of this extension; takes as long for one that has none.
#[must_use]
pub fn is_right(services: &Services, login: &LoginName, record: Option<&ExtensionRecord>, pin: &str) -> bool {
    let kept = record.and_then(|record| record.portal.as_ref()?.pin.as_ref());
    let (hash, set_at) = kept.map_or(([0; 32], Wall::default()), |kept| (kept.hash.0, kept.set_at));
    let right = keyed(services, "pin", login, set_at, pin).0.ct_eq(&hash);
    kept.is_some() & bool::from(right)
}

/// A keyed hash of something short: of no use without the key outside the store, and neither for another
/// extension, nor for another time or purpose.
pub(super) fn keyed(
    services: &Services,
    purpose: &str,
    login: &LoginName,
    set_at: Wall,
    secret: &str,
) -> CodeHash {
    // None of the parts before the last has a zero byte.
    let text = format!("{purpose}\0{login}\0{}\0{secret}", set_at.as_micros());
    CodeHash(*services.sealer.derive(zeroize::Zeroizing::new(text).as_bytes()).expose())
}
