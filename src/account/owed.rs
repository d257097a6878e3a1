//! Mails that are still to be sent because of changes of an extension. They wait in its record, so that
//! none is lost between the change and its sending.

use crate::base::time::Wall;
use serde::{Deserialize, Serialize};

/// The mails that an extension's record owes.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct OwedMails {
    /// The number of the next one.
    next: u32,
    /// At most one of each kind.
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
}

impl OwedMails {
    /// The number that the next mail gets.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Owes one more; it takes the place of one of its kind, which would tell what no longer holds.
    pub fn owe(&mut self, at: Wall, to: String, kind: MailKind) {
        self.waiting.retain(|mail| std::mem::discriminant(&mail.kind) != std::mem::discriminant(&kind));
        self.waiting.push(OwedMail { number: self.next, at, to, kind });
        self.next = self.next.wrapping_add(1);
    }

    /// Those that wait, the oldest first.
    #[must_use]
    pub fn waiting(&self) -> &[OwedMail] {
        &self.waiting
    }

    /// The sealed tokens of those that wait, to be sealed anew, each with the number of its mail.
    pub fn tokens_mut(&mut self) -> impl Iterator<Item = (u32, &mut Vec<u8>)> {
        self.waiting.iter_mut().filter_map(|mail| match &mut mail.kind {
            MailKind::Invitation { token, .. } => Some((mail.number, token)),
            MailKind::AppEnabled | MailKind::PasswordChanged => None,
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
}
