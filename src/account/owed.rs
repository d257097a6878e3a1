//! Mails that are still to be sent because of changes of an extension. They wait in its record, so that
//! none is lost between the change and its sending.

use crate::base::limit;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The mails that an extension's record owes.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct OwedMails {
    /// The number of the next one.
    next: u32,
    /// At most one of each kind, but for those of new devices.
    waiting: Vec<OwedMail>,
}

/// A mail that is owed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OwedMail {
    /// Its number, once in the life of the extension.
    pub number: u32,
    /// When it was owed first.
    pub at: Wall,
    /// To which address.
    pub to: String,
    /// What it tells.
    pub kind: MailKind,
}

/// What a mail tells.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum MailKind {
    /// The link by which a password is set.
    Invitation {
        /// The link's token, sealed: the store alone must not be enough to use it.
        token: Vec<u8>,
        /// When the link ends.
        until: Wall,
    },
    /// The softphone app was enabled: where it is had, and by which name one signs in.
    AppEnabled,
    /// The password was changed.
    PasswordChanged,
    /// The link by which a forgotten password is replaced.
    Reset {
        /// The link's token, sealed.
        token: Vec<u8>,
        /// When the link ends.
        until: Wall,
    },
    /// A random password, of a tenant that insists on mailing one; it must be changed at first sign-in.
    NewPassword {
        /// The password, sealed.
        password: Vec<u8>,
    },
    /// A device was activated.
    NewDevice {
        /// What it calls itself.
        model: String,
        /// From where.
        address: String,
    },
    /// New sign-ins are refused after too many failures.
    Locked {
        /// Until when.
        until: Wall,
        /// Where the last failure came from.
        source: String,
    },
    /// Two-step verification was cleared.
    SecondFactorCleared,
    /// A code to sign in.
    Code {
        /// The code, sealed.
        code: Vec<u8>,
        /// When it ends.
        until: Wall,
    },
    /// Codes by SMS go to a number from now on.
    MobileChanged {
        /// Its last digits.
        mobile: String,
    },
}

/// What people are told of that strangers can cause: a mailbox must not be flooded by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Matter {
    /// A password said to be forgotten.
    Reset,
    /// A new device.
    NewDevice,
    /// A lock.
    Locked,
    /// A code by SMS, which costs money.
    Text,
}

/// When people were told of what, in the last hour.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Told(Vec<(Matter, Wall)>);

impl MailKind {
    /// When what it tells of ends.
    #[must_use]
    pub const fn until(&self) -> Option<Wall> {
        match self {
            Self::Invitation { until, .. }
            | Self::Reset { until, .. }
            | Self::Locked { until, .. }
            | Self::Code { until, .. } => Some(*until),
            _ => None,
        }
    }
}

impl OwedMails {
    /// The number that the next mail gets.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Owes one more; it takes the place of one of its kind, which would tell what no longer holds. Of new
    /// devices each is told, but for the oldest past [`limit::MAILS_OF_A_KIND_MAX`].
    pub fn owe(&mut self, at: Wall, to: String, kind: MailKind) {
        let alike = |mail: &OwedMail| std::mem::discriminant(&mail.kind) == std::mem::discriminant(&kind);
        let most = if matches!(kind, MailKind::NewDevice { .. }) { limit::MAILS_OF_A_KIND_MAX } else { 1 };
        let mut over = (self.waiting.iter().filter(|mail| alike(mail)).count() + 1).saturating_sub(most);
        self.waiting.retain(|mail| {
            let goes = over > 0 && alike(mail);
            over -= usize::from(goes);
            !goes
        });
        self.waiting.push(OwedMail { number: self.next, at, to, kind });
        self.next = self.next.wrapping_add(1);
    }

    /// Those that wait, the oldest first.
    #[must_use]
    pub fn waiting(&self) -> &[OwedMail] {
        &self.waiting
    }

    /// The sealed secrets of those that wait, to be sealed anew, each with the number of its mail.
    pub fn secrets_mut(&mut self) -> impl Iterator<Item = (u32, &mut Vec<u8>)> {
        self.waiting.iter_mut().filter_map(|mail| match &mut mail.kind {
            MailKind::Invitation { token: sealed, .. }
            | MailKind::Reset { token: sealed, .. }
            | MailKind::Code { code: sealed, .. }
            | MailKind::NewPassword { password: sealed } => Some((mail.number, sealed)),
            MailKind::AppEnabled
            | MailKind::PasswordChanged
            | MailKind::NewDevice { .. }
            | MailKind::Locked { .. }
            | MailKind::MobileChanged { .. }
            | MailKind::SecondFactorCleared => None,
        })
    }

    /// This one is sent, or will never be.
    pub fn settle(&mut self, number: u32) {
        self.waiting.retain(|mail| mail.number != number);
    }

    /// No invitation is to be sent any more.
    pub fn withdraw_invitation(&mut self) {
        self.waiting.retain(|mail| !matches!(mail.kind, MailKind::Invitation { .. }));
    }

    /// No code to sign in is to be sent any more: it would go to an address that is no longer theirs.
    pub fn withdraw_codes(&mut self) {
        self.waiting.retain(|mail| !matches!(mail.kind, MailKind::Code { .. }));
    }

    /// Nothing that lets somebody set or use a password is to be sent any more: there is another one.
    pub fn withdraw_secrets(&mut self) {
        self.waiting
            .retain(|mail| !matches!(mail.kind, MailKind::Reset { .. } | MailKind::NewPassword { .. }));
    }
}

impl Matter {
    /// How often in an hour.
    const fn per_hour(self) -> usize {
        match self {
            Self::Reset => limit::RESET_MAILS_PER_HOUR,
            Self::NewDevice => limit::NEW_DEVICE_MAILS_PER_HOUR,
            Self::Locked => limit::LOCKED_MAILS_PER_HOUR,
            Self::Text => limit::TEXTS_PER_HOUR,
        }
    }
}

impl Told {
    /// Whether somebody may be told of this once more; if so, they count as told.
    ///
    /// A clock that was set back makes nobody wait longer than an hour.
    pub fn may(&mut self, matter: Matter, now: Wall) -> bool {
        const HOUR: Duration = Duration::from_secs(3600);
        for (_, at) in &mut self.0 {
            *at = (*at).min(now);
        }
        self.0.retain(|(_, at)| now.since(*at) < HOUR);
        let free = self.0.iter().filter(|(told, _)| *told == matter).count() < matter.per_hour();
        if free {
            self.0.push((matter, now));
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_kind_waits_and_each_has_its_number() {
        let mut owed = OwedMails::default();
        let invitation = |byte| MailKind::Invitation { token: vec![byte], until: Wall::from_secs(9) };
        owed.owe(Wall::from_secs(1), "a@x".into(), invitation(1));
        owed.owe(Wall::from_secs(2), "a@x".into(), MailKind::AppEnabled);
        owed.owe(Wall::from_secs(3), "b@x".into(), invitation(2));
        let told: Vec<_> = owed.waiting().iter().map(|mail| (mail.number, mail.to.as_str())).collect();
        assert_eq!(told, [(1, "a@x"), (2, "b@x")]);
        assert_eq!(owed.waiting()[1].kind, invitation(2));
        owed.withdraw_invitation();
        owed.settle(1);
        assert_eq!((owed.waiting().len(), owed.next()), (0, 3));
    }

    #[test]
    fn of_new_devices_each_is_told_up_to_the_bound() {
        let mut owed = OwedMails::default();
        let device = |number| MailKind::NewDevice { model: format!("{number}"), address: String::new() };
        owed.owe(Wall::from_secs(0), "a@x".into(), MailKind::PasswordChanged);
        for number in 0..limit::MAILS_OF_A_KIND_MAX {
            owed.owe(Wall::from_secs(1), "a@x".into(), device(number));
        }
        assert_eq!(owed.waiting().len(), limit::MAILS_OF_A_KIND_MAX + 1);
        owed.owe(Wall::from_secs(2), "a@x".into(), device(99));
        let kinds: Vec<_> = owed.waiting().iter().map(|mail| mail.kind.clone()).collect();
        assert_eq!(kinds.len(), limit::MAILS_OF_A_KIND_MAX + 1);
        assert_eq!((&kinds[0], &kinds[1]), (&MailKind::PasswordChanged, &device(1)), "the oldest went");
    }

    #[test]
    fn what_lets_somebody_in_is_withdrawn_with_the_password_it_was_for() {
        let mut owed = OwedMails::default();
        owed.owe(Wall::from_secs(1), "a@x".into(), MailKind::PasswordChanged);
        owed.owe(
            Wall::from_secs(1),
            "a@x".into(),
            MailKind::Reset { token: vec![1], until: Wall::from_secs(9) },
        );
        owed.owe(Wall::from_secs(1), "a@x".into(), MailKind::NewPassword { password: vec![1] });
        owed.owe(
            Wall::from_secs(1),
            "a@x".into(),
            MailKind::Code { code: vec![1], until: Wall::from_secs(9) },
        );
        owed.withdraw_secrets();
        assert_eq!(owed.waiting().len(), 2);
        owed.withdraw_codes();
        assert_eq!(owed.waiting().len(), 1);
    }

    #[test]
    fn nobody_is_told_more_often_than_so_many_times_an_hour() {
        let (mut told, start) = (Told::default(), Wall::from_secs(1_000_000));
        for (matter, most) in [
            (Matter::Reset, limit::RESET_MAILS_PER_HOUR),
            (Matter::NewDevice, limit::NEW_DEVICE_MAILS_PER_HOUR),
            (Matter::Locked, limit::LOCKED_MAILS_PER_HOUR),
            (Matter::Text, limit::TEXTS_PER_HOUR),
        ] {
            for _ in 0..most {
                assert!(told.may(matter, start), "{matter:?}");
            }
            assert!(!told.may(matter, start) && !told.may(matter, Wall::from_secs(1_003_599)), "{matter:?}");
        }
        for matter in [Matter::Reset, Matter::NewDevice, Matter::Locked, Matter::Text] {
            assert!(told.may(matter, Wall::from_secs(1_003_600)), "{matter:?}: an hour has passed");
        }
        assert_eq!(told.0.len(), 4, "what is older is forgotten");
    }

    #[test]
    fn a_clock_that_was_set_back_silences_nobody_for_longer() {
        let mut told = Told::default();
        assert!(told.may(Matter::Locked, Wall::from_secs(2_000_000)));
        assert!(!told.may(Matter::Locked, Wall::from_secs(1_000_000)));
        assert!(!told.may(Matter::Locked, Wall::from_secs(1_003_599)));
        assert!(told.may(Matter::Locked, Wall::from_secs(1_003_600)));
    }
}
