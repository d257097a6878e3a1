//! Refusals that phones obey and people understand: one table for the wire, the portal and the
//! command line.
//!
//! Every 503 and every lock says when to come back: one popular phone waits 16 hours after a 503
//! without `Retry-After`. The cap is a 403: after a 503 phones would fail over and come back, and
//! after a 603 some retry for ever.

use crate::base::rng::Rng;
use crate::directory::NotActive;
use crate::licence;
use crate::registrar::RegisterError;
use crate::sip::{Name, Writer};
use std::time::Duration;

/// Why a request with good syntax is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The identity is locked or the source banned; for this long.
    Locked(Duration),
    /// All places of the licence are taken.
    CapReached,
    /// The softphone app of the extension is not enabled.
    AppDisabled,
    /// An administrator revoked this device.
    DeviceRevoked,
    /// The extension is not active.
    ExtensionNotActive,
    /// The tenant is suspended.
    TenantSuspended,
    /// The credentials are good, but for another extension than To or From names.
    NotYours,
    /// The caller is no device with a live binding.
    DeviceNotRegistered,
    /// The caller is a station that no agent is logged in to.
    NoAgent,
    /// What §10.3 refuses.
    Register(RegisterError),
    /// The store did not confirm; known registrations go on from memory.
    StoreUnavailable,
    /// A bound was reached.
    Overload,
    /// The server is about to end.
    Draining,
}

/// Bits of a refusal's number below its kind.
const DETAIL_BITS: u32 = 24;

/// How long a device waits before it asks again that only an administrator can help.
const ADMINISTRATOR_RETRY_AFTER: Duration = Duration::from_secs(600);

impl Refusal {
    /// The status code. The only place this mapping is made.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Locked(_)
            | Self::CapReached
            | Self::AppDisabled
            | Self::DeviceRevoked
            | Self::ExtensionNotActive
            | Self::TenantSuspended
            | Self::NotYours
            | Self::DeviceNotRegistered
            | Self::NoAgent => 403,
            Self::Register(error) => error.status(),
            Self::StoreUnavailable | Self::Overload | Self::Draining => 503,
        }
    }

    /// The reason phrase, short and distinct.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Locked(_) => "Account Locked",
            Self::CapReached => "Device Activation Limit Reached",
            Self::AppDisabled => "Softphone Disabled",
            Self::DeviceRevoked => "Device Revoked",
            Self::ExtensionNotActive => "Extension Not Active",
            Self::TenantSuspended => "Tenant Suspended",
            Self::NotYours => "Not Your Address",
            Self::DeviceNotRegistered => "Device Not Registered",
            Self::NoAgent => "No Agent Logged In",
            Self::Register(RegisterError::BadContact) => "Bad Contact",
            Self::Register(RegisterError::BadStar) => "Contact Star Needs Expires 0",
            Self::Register(RegisterError::TooBrief { .. }) => "Interval Too Brief",
            Self::Register(RegisterError::OutOfOrder) => "CSeq Out Of Order",
            Self::Register(RegisterError::TooMany) => "Too Many Contacts",
            Self::Register(RegisterError::BadPath) => "Bad Path",
            Self::Register(RegisterError::PathUnsupported) => "Bad Extension",
            Self::Register(RegisterError::FirstHop) => "First Hop Lacks Outbound Support",
            Self::Register(RegisterError::ContactIsOurs) => "Contact Is Ours",
            Self::Register(RegisterError::NotSecure) => "SIPS Contact Needs TLS",
            Self::StoreUnavailable => "Store Unavailable",
            Self::Overload => "Overload",
            Self::Draining => "Server Stopping",
        }
    }

    /// What helps a phone that was refused in these words, if somebody can do something about it: told
    /// beside the phrase wherever people see it.
    #[must_use]
    pub fn way_out_of(phrase: &str) -> Option<&'static str> {
        let all = [
            Self::CapReached,
            Self::AppDisabled,
            Self::DeviceRevoked,
            Self::ExtensionNotActive,
            Self::TenantSuspended,
            Self::NoAgent,
        ];
        all.into_iter().find(|refusal| refusal.phrase() == phrase)?.way_out()
    }

    const fn way_out(self) -> Option<&'static str> {
        Some(match self {
            Self::CapReached => {
                "revoke a device that is not used any more; or the administrator enables the app anew, or allows more devices"
            }
            Self::AppDisabled => "the administrator enables the app, with a new password",
            Self::DeviceRevoked => "the administrator enables the app anew, with a new password",
            Self::ExtensionNotActive => "the administrator enables the extension, or sets its password",
            Self::TenantSuspended => "the operator resumes the tenant",
            Self::NoAgent => "log in to the station first",
            _ => return None,
        })
    }

    /// A number from which [`from_number`](Self::from_number) makes the same refusal, to answer a
    /// retransmission: the kind, and below it the seconds or the minimum it tells.
    #[must_use]
    pub fn number(self) -> u32 {
        let (kind, detail) = match self {
            Self::Locked(remains) => (0, u32::try_from(remains.as_secs()).unwrap_or(u32::MAX)),
            Self::CapReached => (1, 0),
            Self::AppDisabled => (2, 0),
            Self::DeviceRevoked => (3, 0),
            Self::ExtensionNotActive => (4, 0),
            Self::TenantSuspended => (5, 0),
            Self::NotYours => (6, 0),
            Self::DeviceNotRegistered => (7, 0),
            Self::Register(RegisterError::BadContact) => (8, 0),
            Self::Register(RegisterError::BadStar) => (9, 0),
            Self::Register(RegisterError::TooBrief { min_s }) => (10, min_s),
            Self::Register(RegisterError::OutOfOrder) => (11, 0),
            Self::Register(RegisterError::TooMany) => (12, 0),
            Self::StoreUnavailable => (13, 0),
            Self::Overload => (14, 0),
            Self::Draining => (15, 0),
            Self::Register(RegisterError::BadPath) => (16, 0),
            Self::Register(RegisterError::PathUnsupported) => (17, 0),
            Self::Register(RegisterError::FirstHop) => (18, 0),
            Self::Register(RegisterError::ContactIsOurs) => (19, 0),
            Self::NoAgent => (20, 0),
            Self::Register(RegisterError::NotSecure) => (21, 0),
        };
        kind << DETAIL_BITS | detail.min((1 << DETAIL_BITS) - 1)
    }

    /// The refusal of a number; overload for a number that none has.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let detail = number & ((1 << DETAIL_BITS) - 1);
        match number >> DETAIL_BITS {
            0 => Self::Locked(Duration::from_secs(detail.into())),
            1 => Self::CapReached,
            2 => Self::AppDisabled,
            3 => Self::DeviceRevoked,
            4 => Self::ExtensionNotActive,
            5 => Self::TenantSuspended,
            6 => Self::NotYours,
            7 => Self::DeviceNotRegistered,
            8 => Self::Register(RegisterError::BadContact),
            9 => Self::Register(RegisterError::BadStar),
            10 => Self::Register(RegisterError::TooBrief { min_s: detail }),
            11 => Self::Register(RegisterError::OutOfOrder),
            12 => Self::Register(RegisterError::TooMany),
            13 => Self::StoreUnavailable,
            15 => Self::Draining,
            16 => Self::Register(RegisterError::BadPath),
            17 => Self::Register(RegisterError::PathUnsupported),
            18 => Self::Register(RegisterError::FirstHop),
            19 => Self::Register(RegisterError::ContactIsOurs),
            20 => Self::NoAgent,
            21 => Self::Register(RegisterError::NotSecure),
            _ => Self::Overload,
        }
    }

    /// How long the same phone may be refused again without another look; never longer than the
    /// `Retry-After` that it was given.
    #[must_use]
    pub const fn cached_for(self) -> Option<Duration> {
        match self {
            Self::CapReached | Self::AppDisabled | Self::DeviceRevoked => Some(ADMINISTRATOR_RETRY_AFTER),
            _ => None,
        }
    }

    /// Writes the fields that go with the status.
    pub fn write(self, writer: &mut Writer<'_>, rng: &mut Rng) {
        let mut retry_after = |writer: &mut Writer<'_>, wait: Duration| {
            // Up by at most a tenth, so that those refused together do not come back together.
            let wait = rng.between(wait, wait + wait / 10);
            writer.begin(Name::RetryAfter).number(wait.as_secs().max(1)).end();
        };
        match self {
            // Exact: the lock tells when it ends.
            Self::Locked(remains) => {
                let secs = remains.as_secs() + u64::from(remains.subsec_micros() > 0);
                writer.begin(Name::RetryAfter).number(secs.max(1)).end();
            }
            Self::AppDisabled | Self::DeviceRevoked => retry_after(writer, ADMINISTRATOR_RETRY_AFTER),
            Self::CapReached => {
                retry_after(writer, ADMINISTRATOR_RETRY_AFTER);
                writer.field(Name::Warning, b"399 stationmaster \"Device Activation Limit Reached\"");
            }
            Self::Register(RegisterError::TooBrief { min_s }) => {
                writer.begin(Name::MinExpires).number(min_s.into()).end();
            }
            Self::Register(RegisterError::PathUnsupported) => {
                writer.field(Name::Unsupported, b"path");
            }
            Self::Register(RegisterError::OutOfOrder) => retry_after(writer, Duration::from_secs(1)),
            Self::StoreUnavailable | Self::Overload | Self::Draining => {
                retry_after(writer, Duration::from_secs(30));
            }
            _ => {}
        }
    }
}

impl From<licence::Refusal> for Refusal {
    fn from(why: licence::Refusal) -> Self {
        match why {
            licence::Refusal::AppDisabled => Self::AppDisabled,
            licence::Refusal::DeviceRevoked => Self::DeviceRevoked,
            licence::Refusal::CapReached { .. } => Self::CapReached,
        }
    }
}

impl From<NotActive> for Refusal {
    fn from(why: NotActive) -> Self {
        match why {
            NotActive::Tenant => Self::TenantSuspended,
            NotActive::Extension => Self::ExtensionNotActive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    fn written(refusal: Refusal) -> String {
        let mut out = BytesMut::new();
        let mut writer = Writer::response(&mut out, refusal.status(), Some(refusal.phrase().as_bytes()));
        refusal.write(&mut writer, &mut Rng::from_number(1));
        String::from_utf8(writer.finish().to_vec()).unwrap()
    }

    #[test]
    fn each_503_and_each_lock_says_when_to_come_back() {
        for refusal in [
            Refusal::Locked(Duration::from_millis(1500)),
            Refusal::CapReached,
            Refusal::StoreUnavailable,
            Refusal::Overload,
            Refusal::Draining,
        ] {
            assert!(written(refusal).contains("\r\nRetry-After: "), "{refusal:?}");
        }
        assert!(written(Refusal::Locked(Duration::from_millis(1500))).contains("Retry-After: 2\r\n"));
    }

    #[test]
    fn a_number_gives_the_refusal_back() {
        for refusal in [
            Refusal::Locked(Duration::from_secs(900)),
            Refusal::CapReached,
            Refusal::AppDisabled,
            Refusal::DeviceRevoked,
            Refusal::ExtensionNotActive,
            Refusal::TenantSuspended,
            Refusal::NotYours,
            Refusal::DeviceNotRegistered,
            Refusal::NoAgent,
            Refusal::Register(RegisterError::BadContact),
            Refusal::Register(RegisterError::BadStar),
            Refusal::Register(RegisterError::TooBrief { min_s: 60 }),
            Refusal::Register(RegisterError::OutOfOrder),
            Refusal::Register(RegisterError::TooMany),
            Refusal::Register(RegisterError::BadPath),
            Refusal::Register(RegisterError::PathUnsupported),
            Refusal::Register(RegisterError::FirstHop),
            Refusal::Register(RegisterError::ContactIsOurs),
            Refusal::StoreUnavailable,
            Refusal::Overload,
            Refusal::Draining,
        ] {
            assert_eq!(Refusal::from_number(refusal.number()), refusal);
        }
    }

    #[test]
    fn what_an_administrator_can_help_has_its_way_out() {
        let way = Refusal::way_out_of("Device Activation Limit Reached").unwrap();
        assert!(way.starts_with("revoke a device"), "{way}");
        for refusal in [Refusal::AppDisabled, Refusal::DeviceRevoked, Refusal::TenantSuspended] {
            assert_eq!(Refusal::way_out_of(refusal.phrase()), refusal.way_out());
            assert!(refusal.way_out().is_some());
        }
        assert_eq!(Refusal::way_out_of("Bad Contact"), None);
    }

    #[test]
    fn the_cap_and_the_brief_interval_carry_their_fields() {
        assert!(written(Refusal::CapReached).starts_with("SIP/2.0 403 Device Activation Limit Reached\r\n"));
        assert!(written(Refusal::CapReached).contains("\r\nWarning: 399 stationmaster \""));
        let brief = Refusal::Register(RegisterError::TooBrief { min_s: 60 });
        assert!(written(brief).contains("\r\nMin-Expires: 60\r\n"));
        let path = Refusal::Register(RegisterError::PathUnsupported);
        assert!(written(path).starts_with("SIP/2.0 420 Bad Extension\r\nUnsupported: path\r\n"));
    }
}
