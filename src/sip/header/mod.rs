//! Header fields: which exist, how often each may stand, and as what its values are read.
//!
//! The names are the rows of one table in `name.rs`; its last column is a [`View`]:
//!
//! | view | is read by | gives |
//! |---|---|---|
//! | `Text` | [`Message::field`] | bytes as they are; [`text::display`] for people |
//! | `Token`, `Word` | [`Message::values`], [`Message::has`] | one token, or one Call-ID, each |
//! | `Number` | `read::<u32>` | seconds or a count; what is too large is `u32::MAX` |
//! | `Contact` | [`Contacts::of`] | `*`, or [`NameAddr`]s with the accessors of a contact |
//! | any other | `read::<T>` for one, `read_all::<T>` for a list | the type of the same name (`Address`: [`NameAddr`]) |
//!
//! So `message.read::<Replaces>(Name::Replaces)?` is the one Replaces, and
//! `message.read_all::<NameAddr>(Name::Path)` are the Paths. Each type borrows from the message and
//! is read when it is asked for; a field that nobody asks for is not looked at, so a broken one
//! harms nobody. What can be wrong with it is [`Malformed`].
//!
//! Digest credentials are read by [`crate::digest`]; [`Auth`] is their outer form.

mod address;
mod auth;
mod contact;
mod date;
mod event;
mod media;
mod name;
mod reason;
mod replaces;
mod seconds;
mod sequence;
mod via;

pub use address::NameAddr;
pub use auth::{Auth, Pair, Pairs};
pub use contact::Contacts;
pub use date::{Date, Timestamp};
pub use event::{Event, SubscriptionState};
pub use media::{Choice, Media};
pub use name::{Name, Stands};
pub use reason::{Privacy, Reason, Warning};
pub use replaces::Replaces;
pub use seconds::{Refresher, Seconds};
pub use sequence::{CSeq, RAck};
pub use via::Via;

use super::{Message, text};

/// A value that a field can be read as.
pub trait Value<'a>: Sized {
    /// Its name in the table.
    const VIEW: View;

    /// Reads one value; `None` where it does not follow its grammar.
    fn read(value: &'a [u8]) -> Option<Self>;
}

macro_rules! views {
    ($a:lifetime: $($view:ident $read:ty,)*) => {
        /// As what the values of a header field are read.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[allow(missing_docs)] // each is the type of its name
        pub enum View {
            /// Bytes that only people read, or that we carry unread.
            Text,
            /// One token.
            Token,
            /// One Call-ID.
            Word,
            /// `*` or an address.
            Contact,
            $($view,)*
        }

        impl View {
            /// Whether a value follows its grammar.
            #[must_use]
            pub fn reads<$a>(self, value: &$a [u8]) -> bool {
                match self {
                    Self::Text => true,
                    Self::Token => text::is_all_token(value),
                    Self::Word => text::is_call_id(value),
                    Self::Contact => value == b"*" || NameAddr::parse(value).is_some(),
                    $(Self::$view => <$read as Value<$a>>::read(value).is_some(),)*
                }
            }
        }

        $(impl<$a> Value<$a> for $read {
            const VIEW: View = View::$view;

            fn read(value: &$a [u8]) -> Option<Self> {
                views!(@ $view value)
            }
        })*
    };
    (@ Number $value:ident) => { text::delta_seconds($value) };
    (@ Address $value:ident) => { NameAddr::parse($value) };
    (@ $view:ident $value:ident) => { $view::parse($value) };
}

views! {
    'a:
    Number u32,
    Address NameAddr<'a>,
    Auth Auth<'a>,
    CSeq CSeq<'a>,
    Choice Choice<'a>,
    Date Date,
    Event Event<'a>,
    Media Media<'a>,
    Pair Pair<'a>,
    Privacy Privacy<'a>,
    RAck RAck<'a>,
    Reason Reason<'a>,
    Replaces Replaces<'a>,
    Seconds Seconds<'a>,
    SubscriptionState SubscriptionState<'a>,
    Timestamp Timestamp<'a>,
    Via Via<'a>,
    Warning Warning<'a>,
}

/// A header field whose value does not follow its grammar: 400 (RFC 3261 §8.2, §16.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("Bad {}", .0.long())]
pub struct Malformed(pub Name);

impl Message {
    /// The first field of this name as one value; `Ok(None)` if it does not stand.
    ///
    /// # Errors
    /// If it stands and cannot be read.
    pub fn read<'a, T: Value<'a>>(&'a self, name: Name) -> Result<Option<T>, Malformed> {
        debug_assert_eq!(name.view(), T::VIEW, "{name:?} is read as something else");
        self.field(name).map(|value| T::read(value).ok_or(Malformed(name))).transpose()
    }

    /// All values of this name, in order, each by itself.
    pub fn read_all<'a, T: Value<'a>>(&'a self, name: Name) -> impl Iterator<Item = Result<T, Malformed>> {
        debug_assert_eq!(name.view(), T::VIEW, "{name:?} is read as something else");
        self.values(name).map(move |value| T::read(value).ok_or(Malformed(name)))
    }

    /// Whether a list of tokens (Supported, Require, Allow …) holds this one, in any case.
    #[must_use]
    pub fn has(&self, name: Name, token: &str) -> bool {
        self.values(name).any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The first field that we know and whose value does not follow its grammar, for whoever wants
    /// to be strict. Nothing else looks at fields that it does not need.
    #[must_use]
    pub fn malformed(&self) -> Option<Malformed> {
        let bad = |name: Name| !self.values(name).all(|value| name.view().reads(value));
        self.all_fields().map(|(name, ..)| name).find(|name| bad(*name)).map(Malformed)
    }
}

#[cfg(test)]
mod tests;
