//! The durable half of an extension: the one record that holds every promise made to it, so that
//! one compare-and-set keeps each of them (ARCHITECTURE: "one record is one promise").

use super::Kind;
use crate::account::{Answered, Invitation, Life, LoginName, Mobile, OwedMails, Portal, Role, Told};
use crate::base::time::Wall;
use crate::licence::Licence;
use crate::lockout::{Lock, Scope};
use crate::registrar::Binding;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The schema number of [`ExtensionRecord`].
pub const EXTENSION_SCHEMA: u16 = 5;

/// How long a password is remembered after it was changed.
pub const PREVIOUS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// An extension as it is stored; a station, too, which has fewer of these.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExtensionRecord {
    /// Its login name, which holds number and tenant.
    pub login: LoginName,
    /// Display name.
    pub name: String,
    /// E-mail, if any.
    pub email: Option<String>,
    /// What its person may do in the portal.
    pub role: Role,
    /// Where it is in its life.
    pub life: Life,
    /// Its password, as digest needs it.
    pub credentials: Option<SealedCredentials>,
    /// The password before it, for [`PREVIOUS_KEPT`] after the change: only to recognise phones that
    /// still use it.
    pub previous: Option<SealedCredentials>,
    /// Its licence and devices.
    pub licence: Licence,
    /// Its bindings; expiry, CSeq and address of a refreshed one are newer in the journal.
    pub bindings: Vec<Binding>,
    /// The number that the next binding gets.
    pub next_binding: u32,
    /// The lock of its phones' sign-ins, if any; one that has passed counts as none.
    pub lock: Option<Lock>,
    /// What is still to be told because of changes made with this record.
    pub outbox: Vec<Notice>,
    /// The invitation that was sent and not used; its link dies with it.
    pub invitation: Option<Invitation>,
    /// Mails still to be sent because of changes made with this record.
    pub mails: OwedMails,
    /// What the portal knows of its person; `None` until there is something, and then one byte.
    pub portal: Option<Box<Portal>>,
    /// Its direct numbers, in E.164 with the `+`.
    pub numbers: Vec<Box<str>>,
    /// The ID of the station that its agent is logged in to. Of a station: the number of the agent who
    /// logged in last, which counts only if that extension names the station.
    pub station: Option<Box<str>>,
    /// The locks of its other sign-ins, by scope; those that have passed count as none.
    pub locks: Vec<Lock>,
    /// What its person was told lately of what strangers can cause.
    pub told: Told,
    /// Where codes by SMS go, if anywhere.
    pub mobile: Option<Box<Mobile>>,
    /// Of the last edit: higher than that of any edit before it, also of an extension of this name that
    /// was removed. What phones and sign-ins change leaves it.
    pub edited: u64,
    /// What was answered to the last edit, if it had an idempotency key.
    pub answered: Option<Box<Answered>>,
}

impl ExtensionRecord {
    /// A new extension without password or licence.
    #[must_use]
    pub fn new(login: LoginName, name: String, email: Option<String>) -> Self {
        Self {
            login,
            name,
            email,
            role: Role::User,
            life: Life::Invite,
            credentials: None,
            previous: None,
            licence: Licence::default(),
            bindings: Vec::new(),
            next_binding: 1,
            lock: None,
            outbox: Vec::new(),
            invitation: None,
            mails: OwedMails::default(),
            portal: None,
            numbers: Vec::new(),
            station: None,
            locks: Vec::new(),
            told: Told::default(),
            mobile: None,
            edited: 0,
            answered: None,
        }
    }

    /// Whether phones may use its password: not one that was mailed and must be changed first.
    #[must_use]
    pub fn opens_phones(&self) -> bool {
        !self.portal.as_ref().is_some_and(|portal| portal.must_change)
    }

    /// What it is of.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.login.is_station() { Kind::Station } else { Kind::Extension }
    }

    /// The station of an extension, or the agent of a station.
    #[must_use]
    pub fn paired(&self) -> Option<LoginName> {
        let named = self.station.as_ref()?;
        LoginName::of_account(&format!("{named}-{}", self.login.tenant())).ok()
    }

    /// A record of an older schema; `None` if the bytes are not of it.
    #[must_use]
    pub fn of_schema(schema: u16, bytes: &[u8]) -> Option<Self> {
        super::old_record::read(schema, bytes)
    }

    /// Puts a notice into the outbox; the oldest goes when it is full.
    pub fn tell(&mut self, at: Wall, what: What) {
        if self.outbox.len() == crate::base::limit::OUTBOX_MAX {
            self.outbox.remove(0);
        }
        self.outbox.push(Notice { at, what });
    }
}

/// HA1 of each algorithm, sealed under a key outside the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedCredentials {
    /// Raised by each change of the password.
    pub epoch: u32,
    /// The sealed HA1s.
    pub sealed: Vec<u8>,
    /// When the password was set.
    pub set_at: Wall,
}

/// Something done that others must hear of; it leaves the outbox once they have.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// When it was done.
    pub at: Wall,
    /// What.
    pub what: What,
}

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// A device was activated.
    Activated {
        /// Its id.
        device: u32,
        /// From where.
        address: String,
    },
    /// The extension was locked for new sign-ins.
    Locked {
        /// Until when.
        until: Wall,
        /// By whom.
        source: String,
    },
    /// Something an administrator did, by the name of the command.
    Administered {
        /// Who.
        by: String,
        /// The command.
        command: String,
    },
    /// Several phones were seen to use the instance of one device.
    Cloned {
        /// The device's id.
        device: u32,
        /// Where the one came from that showed it.
        address: String,
    },
    /// A phone that looks like a device, or that has a station's password, took its place.
    Adopted {
        /// The id of the place from now on.
        device: u32,
        /// Where the phone is.
        address: String,
    },
    /// A source was banned.
    Banned {
        /// Until when.
        until: Wall,
    },
    /// A device comes and goes.
    Flapping {
        /// The device's id.
        device: u32,
        /// How often it came.
        times: u32,
        /// Within how many seconds.
        within_s: u32,
    },
    /// The extension was locked for new sign-ins of its person.
    LockedOut {
        /// To what.
        scope: Scope,
        /// Until when.
        until: Wall,
        /// By whom.
        source: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_first_schema_has_neither_invitation_nor_mails() {
        let login = LoginName::parse("200-acme").unwrap();
        let mut record = ExtensionRecord::new(login, "Ada".into(), Some("a@b".into()));
        record.tell(Wall::from_secs(1), What::Activated { device: 1, address: "192.0.2.1".into() });
        let today = postcard::to_stdvec(&record).unwrap();
        let tail = (&record.invitation, &record.mails, &record.portal, &record.numbers);
        let end = (&record.mobile, &record.edited, &record.answered);
        let tail = postcard::to_stdvec(&(tail, &record.station, &record.locks, &record.told, end)).unwrap();
        let first = today.strip_suffix(tail.as_slice()).unwrap();
        let read = ExtensionRecord::of_schema(1, first).unwrap();
        assert_eq!(postcard::to_stdvec(&read).unwrap(), today);
        assert!(ExtensionRecord::of_schema(3, first).is_none());
        assert!(ExtensionRecord::of_schema(1, &first[..9]).is_none());
    }
}
