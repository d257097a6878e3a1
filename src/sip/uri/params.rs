//! URI parameters (RFC 3261 §19.1.1) and headers, and what they mean to a registrar.
//!
//! | parameter | accessor | source |
//! |---|---|---|
//! | `transport`, `maddr`, `ttl`, `method` | [`Uri::param`] | RFC 3261 §19.1.1 |
//! | `user=phone` | [`Uri::is_phone`] | RFC 3261 §19.1.1 |
//! | `lr` | [`Uri::is_loose`] | RFC 3261 §16.12 |
//! | `ob` | [`Uri::is_outbound`] | RFC 5626 §11.2 |
//! | `gr` | [`Uri::gruu`] | RFC 5627 §8.1 |
//! | `pn-provider`, `pn-param`, `pn-prid` | [`Uri::push`] | RFC 8599 §8 |
//! | `pn-purr` | [`Uri::purr`] | RFC 8599 §8 |

use super::{Uri, percent_decoded};
use crate::sip::text::Params;
use std::borrow::Cow;

/// How a push service wakes a device (RFC 8599 §4.1). Values keep their escapes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Push<'a> {
    /// The service: `apns`, `fcm`, `webpush` …; empty where a device only asks which are known.
    pub provider: &'a [u8],
    /// What the service needs besides: a topic, a project.
    pub param: Option<&'a [u8]>,
    /// The name of the device at the service.
    pub prid: Option<&'a [u8]>,
}

impl<'a> Uri<'a> {
    /// A URI parameter by name: `Some(None)` if it stands without a value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::get(self.params, name)
    }

    /// Whether the user part is a telephone number.
    #[must_use]
    pub fn is_phone(&self) -> bool {
        self.param("user").flatten().is_some_and(|user| user.eq_ignore_ascii_case(b"phone"))
    }

    /// Whether it names a loose router.
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.param("lr").is_some()
    }

    /// Whether requests must come over the flow by which it registered.
    #[must_use]
    pub fn is_outbound(&self) -> bool {
        self.param("ob").is_some()
    }

    /// Whether it is a GRUU: `Some(None)` for a temporary one, whose user part tells the instance,
    /// else the instance as written.
    #[must_use]
    pub fn gruu(&self) -> Option<Option<&'a [u8]>> {
        self.param("gr")
    }

    /// How to wake the device, if a push service does.
    #[must_use]
    pub fn push(&self) -> Option<Push<'a>> {
        let provider = self.param("pn-provider")?.unwrap_or_default();
        Some(Push {
            provider,
            param: self.param("pn-param").flatten(),
            prid: self.param("pn-prid").flatten(),
        })
    }

    /// The reference to a binding that is woken for requests in a dialog.
    #[must_use]
    pub fn purr(&self) -> Option<&'a [u8]> {
        self.param("pn-purr").flatten()
    }

    /// A header of the URI by name, in any case, its escapes undone. Which of them may be used is for
    /// the caller to say (RFC 3261 §19.1.5).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.headers()
            .find(|(found, _)| percent_decoded(found).eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| percent_decoded(value))
    }

    /// The headers of the URI, names and values with their escapes.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.headers.split(|byte| *byte == b'&').filter(|header| !header.is_empty()).map(|header| {
            match memchr::memchr(b'=', header) {
                Some(at) => (&header[..at], &header[at + 1..]),
                None => (header, &b""[..]),
            }
        })
    }
}
