//! What a REGISTER says of contacts (RFC 3261 §10.2).

use super::{Name, NameAddr};
use crate::sip::Message;

/// What a REGISTER says of contacts (§10.2).
#[derive(Clone, Debug)]
pub enum Contacts<'a> {
    /// None: a query of the present bindings.
    None,
    /// `*`: remove.
    Star,
    /// One or more addresses.
    Some(smallvec::SmallVec<[NameAddr<'a>; 2]>),
}

impl<'a> Contacts<'a> {
    /// The Contact values of a request; `None` if one cannot be read, or if `*` stands beside
    /// others.
    #[must_use]
    pub fn of(message: &'a Message) -> Option<Self> {
        let mut all = smallvec::SmallVec::new();
        let mut star = false;
        for value in message.values(Name::Contact) {
            if value == b"*" {
                star = true;
            } else {
                all.push(NameAddr::parse(value)?);
            }
        }
        match (star, all.is_empty()) {
            (true, true) => Some(Self::Star),
            (true, false) => None,
            (false, true) => Some(Self::None),
            (false, false) => Some(Self::Some(all)),
        }
    }
}
