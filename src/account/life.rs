//! The life of an extension (PRODUCT §2): a machine, and what each state refuses.
//!
//! | State    | Event               | Next | Effects |
//! |----------|---------------------|------|---------|
//! | invite   | invite              | pending | a new link |
//! | invite   | set password        | active | |
//! | invite   | accept              | refused: no invitation | |
//! | pending  | invite              | pending | a new link, the old one dies |
//! | pending  | set password        | active | the link dies |
//! | pending  | accept in time      | active | the link dies |
//! | pending  | accept too late     | refused: expired | |
//! | active   | invite              | refused: active already | |
//! | active   | set password        | active | every other login ends |
//! | active   | accept              | refused: no invitation (a link works once) | |
//! | disabled | invite, accept      | refused: disabled | |
//! | disabled | set password        | disabled | a link dies |
//! | disabled | enable, with password | active | |
//! | disabled | enable, invited     | pending | |
//! | disabled | enable, neither     | invite | |
//! | pending  | another address     | invite | the link dies |
//! | disabled | another address     | disabled | a link dies |
//! | invite, active | another address | unchanged | |
//! | any but disabled | disable     | disabled | its bindings end |
//! | disabled | disable             | disabled | |
//! | any but disabled | enable      | unchanged | |
//!
//! Time alone changes no state: a pending extension whose link has ended is *shown* as expired, and
//! can be invited again. When a link works, [`invitation::works`] says.

use super::{Life, invitation};
use crate::base::time::Wall;

/// What happens to an extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// An invitation is sent.
    Invite,
    /// The link of the invitation is used, with a password that will do.
    Accept,
    /// An administrator sets a password, or its person changes it.
    SetPassword,
    /// Its person is written to at another address, or at none: a link went to the one before.
    Readdress,
    /// An administrator disables it.
    Disable,
    /// An administrator enables it.
    Enable,
}

/// What is known of an extension besides its state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Whether it has a password.
    pub has_password: bool,
    /// When the link of its latest invitation ends, if it was invited and the link was not used.
    pub invited_until: Option<Wall>,
}

/// What an event leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// The next state.
    pub next: Life,
    /// What becomes of the invitation's link.
    pub link: Link,
    /// What becomes of bindings and sessions.
    pub logins: Logins,
}

/// What becomes of the link of an invitation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Link {
    /// It stays as it is.
    Stays,
    /// A new one is made, and one that there was is dead.
    New,
    /// It is dead.
    Dies,
}

/// What becomes of logins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Logins {
    /// They stay.
    Stay,
    /// All end but the one that made the change.
    End,
}

/// Why an event is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Accepted without an invitation, or with one that was used.
    #[error("there is no invitation to accept")]
    NoInvitation,
    /// The link has ended; it can be sent again.
    #[error("the invitation has expired")]
    Expired,
    /// It needs no invitation.
    #[error("the extension is active already")]
    ActiveAlready,
    /// It is disabled.
    #[error("the extension is disabled")]
    Disabled,
}

impl Life {
    /// Applies an event; the table above.
    ///
    /// # Errors
    /// If the state refuses it: then nothing changes.
    pub fn after(self, event: Event, facts: Facts, now: Wall) -> Result<Step, Refused> {
        use Life::{Active, Disabled, Invite, Pending};
        let step = |next, link, logins| Ok(Step { next, link, logins });
        match (self, event) {
            (Invite | Pending, Event::Invite) => step(Pending, Link::New, Logins::Stay),
            (Invite, Event::SetPassword) => step(Active, Link::Stays, Logins::Stay),
            (Pending, Event::SetPassword) => step(Active, Link::Dies, Logins::Stay),
            (Pending, Event::Accept) => match facts.invited_until {
                Some(until) if invitation::works(until, now) => step(Active, Link::Dies, Logins::Stay),
                Some(_) => Err(Refused::Expired),
                None => Err(Refused::NoInvitation),
            },
            (Invite | Active, Event::Accept) => Err(Refused::NoInvitation),
            (Active, Event::Invite) => Err(Refused::ActiveAlready),
            (Active, Event::SetPassword) => step(Active, Link::Stays, Logins::End),
            (Disabled, Event::Invite | Event::Accept) => Err(Refused::Disabled),
            (Disabled, Event::SetPassword) => step(Disabled, Link::Dies, Logins::Stay),
            (Disabled, Event::Enable) => {
                let next = match facts {
                    Facts { has_password: true, .. } => Active,
                    Facts { invited_until: Some(_), .. } => Pending,
                    Facts { invited_until: None, .. } => Invite,
                };
                step(next, Link::Stays, Logins::Stay)
            }
            (Pending, Event::Readdress) => step(Invite, Link::Dies, Logins::Stay),
            (Disabled, Event::Readdress) => step(Disabled, Link::Dies, Logins::Stay),
            (Invite | Active, Event::Readdress) => step(self, Link::Stays, Logins::Stay),
            (Invite | Pending | Active, Event::Disable) => step(Disabled, Link::Stays, Logins::End),
            (Disabled, Event::Disable) => step(Disabled, Link::Stays, Logins::Stay),
            (Invite | Pending | Active, Event::Enable) => step(self, Link::Stays, Logins::Stay),
        }
    }

    /// Whether the extension may sign in, register, call and be called.
    ///
    /// # Errors
    /// Why not; the tenant is asked first.
    pub const fn may_act(self, tenant_active: bool) -> Result<(), Inactive> {
        match (tenant_active, self) {
            (false, _) => Err(Inactive::TenantSuspended),
            (true, Self::Active) => Ok(()),
            (true, Self::Disabled) => Err(Inactive::ExtensionDisabled),
            (true, Self::Invite | Self::Pending) => Err(Inactive::ExtensionPending),
        }
    }

    /// The word for it that people and scripts see. Whoever's tenant is suspended is disabled by that.
    #[must_use]
    pub fn label(self, tenant_active: bool, facts: Facts, now: Wall) -> &'static str {
        match self {
            _ if !tenant_active => "disabled",
            Self::Invite => "invite",
            Self::Pending if facts.invited_until.is_some_and(|until| !invitation::works(until, now)) => {
                "expired"
            }
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// Why an extension may do nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Inactive {
    /// Its tenant is suspended.
    #[error("the tenant is suspended")]
    TenantSuspended,
    /// It is disabled.
    #[error("the extension is disabled")]
    ExtensionDisabled,
    /// It has no password yet.
    #[error("the extension has not been activated yet")]
    ExtensionPending,
}

impl Inactive {
    /// The reason code (PRODUCT §5).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TenantSuspended => "tenant_suspended",
            Self::ExtensionDisabled => "extension_disabled",
            Self::ExtensionPending => "extension_pending",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Wall = Wall::from_secs(1000);
    const STATES: [Life; 4] = [Life::Invite, Life::Pending, Life::Active, Life::Disabled];
    const EVENTS: [Event; 6] =
        [Event::Invite, Event::Accept, Event::SetPassword, Event::Readdress, Event::Disable, Event::Enable];

    /// The rows of the module's table, in its order.
    #[test]
    fn row_by_row() {
        use {Event as E, Life as L, Link as K, Logins as G, Refused as R};
        let fresh = Facts::default();
        let invited = Facts { invited_until: Some(Wall::from_secs(1001)), ..fresh };
        let late = Facts { invited_until: Some(NOW), ..fresh };
        let set = Facts { has_password: true, ..fresh };
        let step = |next, link, logins| Ok(Step { next, link, logins });
        for (name, state, event, facts, result) in [
            ("first invitation", L::Invite, E::Invite, fresh, step(L::Pending, K::New, G::Stay)),
            ("password at once", L::Invite, E::SetPassword, fresh, step(L::Active, K::Stays, G::Stay)),
            ("accept uninvited", L::Invite, E::Accept, fresh, Err(R::NoInvitation)),
            ("send again", L::Pending, E::Invite, invited, step(L::Pending, K::New, G::Stay)),
            ("send an expired one again", L::Pending, E::Invite, late, step(L::Pending, K::New, G::Stay)),
            ("password instead", L::Pending, E::SetPassword, invited, step(L::Active, K::Dies, G::Stay)),
            ("accept", L::Pending, E::Accept, invited, step(L::Active, K::Dies, G::Stay)),
            ("accept too late", L::Pending, E::Accept, late, Err(R::Expired)),
            ("accept without link", L::Pending, E::Accept, fresh, Err(R::NoInvitation)),
            ("invite an active one", L::Active, E::Invite, set, Err(R::ActiveAlready)),
            ("change password", L::Active, E::SetPassword, set, step(L::Active, K::Stays, G::End)),
            ("accept twice", L::Active, E::Accept, set, Err(R::NoInvitation)),
            ("invite a disabled one", L::Disabled, E::Invite, fresh, Err(R::Disabled)),
            ("accept when disabled", L::Disabled, E::Accept, invited, Err(R::Disabled)),
            (
                "password when disabled",
                L::Disabled,
                E::SetPassword,
                invited,
                step(L::Disabled, K::Dies, G::Stay),
            ),
            ("enable, with password", L::Disabled, E::Enable, set, step(L::Active, K::Stays, G::Stay)),
            ("enable, invited", L::Disabled, E::Enable, invited, step(L::Pending, K::Stays, G::Stay)),
            ("enable, neither", L::Disabled, E::Enable, fresh, step(L::Invite, K::Stays, G::Stay)),
            ("address when pending", L::Pending, E::Readdress, invited, step(L::Invite, K::Dies, G::Stay)),
            ("address when expired", L::Pending, E::Readdress, late, step(L::Invite, K::Dies, G::Stay)),
            ("when disabled", L::Disabled, E::Readdress, invited, step(L::Disabled, K::Dies, G::Stay)),
            ("address, uninvited", L::Invite, E::Readdress, fresh, step(L::Invite, K::Stays, G::Stay)),
            ("address when active", L::Active, E::Readdress, set, step(L::Active, K::Stays, G::Stay)),
            ("disable invite", L::Invite, E::Disable, fresh, step(L::Disabled, K::Stays, G::End)),
            ("disable pending", L::Pending, E::Disable, invited, step(L::Disabled, K::Stays, G::End)),
            ("disable active", L::Active, E::Disable, set, step(L::Disabled, K::Stays, G::End)),
            ("disable twice", L::Disabled, E::Disable, set, step(L::Disabled, K::Stays, G::Stay)),
            ("enable invite", L::Invite, E::Enable, fresh, step(L::Invite, K::Stays, G::Stay)),
            ("enable pending", L::Pending, E::Enable, invited, step(L::Pending, K::Stays, G::Stay)),
            ("enable active", L::Active, E::Enable, set, step(L::Active, K::Stays, G::Stay)),
        ] {
            assert_eq!(state.after(event, facts, NOW), result, "{name}");
        }
    }

    #[test]
    fn what_each_state_refuses_and_is_called() {
        let late = Facts { invited_until: Some(NOW), ..Facts::default() };
        let labels = STATES.map(|state| state.label(true, late, NOW));
        assert_eq!(labels, ["invite", "expired", "active", "disabled"]);
        assert_eq!(Life::Pending.label(true, late, Wall::from_secs(999)), "pending");
        assert_eq!(STATES.map(|state| state.label(false, late, NOW)), ["disabled"; 4]);
        let codes = |tenant_active| {
            STATES.map(|state| state.may_act(tenant_active).map_or_else(Inactive::code, |()| "may"))
        };
        assert_eq!(codes(true), ["extension_pending", "extension_pending", "may", "extension_disabled"]);
        assert_eq!(codes(false), ["tenant_suspended"; 4]);
    }

    proptest! {
        /// Whatever happens: active only with a password, and a password is never lost by disabling.
        #[test]
        fn active_means_a_password(events in proptest::collection::vec((0..6usize, 0..3000u64), 0..60)) {
            let (mut state, mut facts) = (Life::Invite, Facts::default());
            for (event, at) in events {
                let Ok(step) = state.after(EVENTS[event], facts, Wall::from_secs(at)) else { continue };
                facts.has_password |= matches!(EVENTS[event], Event::SetPassword | Event::Accept);
                match step.link {
                    Link::Stays => {}
                    Link::New => facts.invited_until = Some(Wall::from_secs(at + 1000)),
                    Link::Dies => facts.invited_until = None,
                }
                state = step.next;
                prop_assert_eq!(state == Life::Active, facts.has_password && state != Life::Disabled);
            }
        }
    }
}
