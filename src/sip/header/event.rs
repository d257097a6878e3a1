//! Event and Subscription-State (RFC 6665 §8.2).

use crate::sip::text::{self, Params};

/// Which events a subscription or notification is about.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The package with its templates (`dialog`, `presence.winfo`), as written.
    pub package: &'a [u8],
    /// From the first `;` on.
    pub params: &'a [u8],
}

impl<'a> Event<'a> {
    /// The value of an Event field.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (package, params) = text::token_and_params(value)?;
        Some(Self { package, params })
    }

    /// Whether it is this package. Packages are compared with case (RFC 6665 §8.4).
    #[must_use]
    pub fn is(&self, package: &str) -> bool {
        self.package == package.as_bytes()
    }

    /// Which of several subscriptions to the same package in one dialog.
    #[must_use]
    pub fn id(&self) -> Option<&'a [u8]> {
        Params::get(self.params, "id").flatten()
    }
}

/// What a NOTIFY says of its subscription.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated`, or an extension, as written.
    pub state: &'a [u8],
    /// From the first `;` on.
    pub params: &'a [u8],
}

impl<'a> SubscriptionState<'a> {
    /// The value of a Subscription-State field.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (state, params) = text::token_and_params(value)?;
        let parsed = Self { state, params };
        let numbers = ["expires", "retry-after"];
        let bad = |name: &&str| Params::get(params, name).is_some() && parsed.seconds(name).is_none();
        (!numbers.iter().any(bad)).then_some(parsed)
    }

    /// Whether the subscription has ended.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case(b"terminated")
    }

    /// Why it ended.
    #[must_use]
    pub fn reason(&self) -> Option<&'a [u8]> {
        Params::get(self.params, "reason").flatten()
    }

    /// How long it still lasts, in seconds.
    #[must_use]
    pub fn expires_s(&self) -> Option<u32> {
        self.seconds("expires")
    }

    /// After how many seconds one may subscribe again.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u32> {
        self.seconds("retry-after")
    }

    fn seconds(&self, name: &str) -> Option<u32> {
        Params::get(self.params, name).flatten().and_then(text::delta_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events() {
        for (value, package, id) in [
            ("dialog", "dialog", None),
            ("presence.winfo ; ID=a7", "presence.winfo", Some("a7")),
            ("refer;x;id=93809824", "refer", Some("93809824")),
        ] {
            let event = Event::parse(value.as_bytes()).unwrap();
            assert!(event.is(package), "{value}");
            assert_eq!(event.id(), id.map(str::as_bytes), "{value}");
        }
        assert!(!Event::parse(b"Dialog").unwrap().is("dialog"));
        for bad in ["", ";id=1", "a b", "a,b", "dialog;x=\"", "\"dialog\""] {
            assert!(Event::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn subscription_states() {
        type Row = (&'static str, bool, Option<&'static str>, Option<u32>, Option<u32>);
        let rows: [Row; 4] = [
            ("active;expires=600", false, None, Some(600), None),
            ("Terminated ;reason=probation; Retry-After=30", true, Some("probation"), None, Some(30)),
            ("pending", false, None, None, None),
            ("x-gone;expires=99999999999", false, None, Some(u32::MAX), None),
        ];
        for (value, terminated, reason, expires_s, retry_after_s) in rows {
            let state = SubscriptionState::parse(value.as_bytes()).unwrap();
            assert_eq!(
                (state.is_terminated(), state.reason(), state.expires_s(), state.retry_after_s()),
                (terminated, reason.map(str::as_bytes), expires_s, retry_after_s),
                "{value}"
            );
        }
        for bad in ["", ";expires=1", "active;expires=x", "active;retry-after", "active expires"] {
            assert!(SubscriptionState::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    proptest! {
        /// Value → text → value.
        #[test]
        fn round_trip(package in "[A-Za-z0-9.!%*_+`'~-]{1,12}", id in prop::option::of("[a-z0-9]{1,9}"), expires_s: u32) {
            let id_text = id.as_ref().map(|id| format!(" ; id = {id}")).unwrap_or_default();
            let text = format!("{package}{id_text};expires={expires_s}");
            let (event, state) = (Event::parse(text.as_bytes()).unwrap(), SubscriptionState::parse(text.as_bytes()).unwrap());
            prop_assert_eq!((event.package, event.id()), (package.as_bytes(), id.as_deref().map(str::as_bytes)));
            prop_assert_eq!((state.state, state.expires_s()), (package.as_bytes(), Some(expires_s)));
        }
    }
}
