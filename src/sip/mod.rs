//! SIP message syntax (RFC 3261 §7, §18.3, §19, §20, §25): reading, framing and writing.
//!
//! A [`Message`] is a set of ranges over the received bytes. Reading one allocates nothing; values
//! are read when they are asked for, by the types of [`header`] and [`uri`]; writing copies bytes
//! through [`write::Writer`]. What is understood here is syntax only: nothing in this module knows
//! of transactions, accounts or time.
//!
//! Where we are kinder than the grammar: a lone LF ends a line, white space may stand before the
//! colon, behind the version and within `< >`, Max-Forwards may be missing, a parameter or a value
//! of a list may be empty, a display name may be unquoted whatever it holds, an IPv6 reference may
//! have the third colon of RFC 5118 §4.10, and a field that nobody asks for may hold anything. Where
//! we are stricter: a lone CR, a header field that may stand once but stands twice, a Content-Length
//! that promises more than came, an address with `?` that stands without `<` and `>`.
//!
//! | to find | look in |
//! |---|---|
//! | which header fields exist, and how each is read | [`header`] |
//! | what can be wrong with a message | [`Fault`] |
//! | its bounds | [`crate::base::limit`]: `MESSAGE_BYTES_MAX` … `URI_PARTS_MAX` |
//! | how a stream is cut | [`frame`] |

mod class;
pub mod frame;
pub mod header;
pub mod message;
pub mod method;
mod near;
pub mod reply;
pub mod status;
pub mod text;
pub mod uri;
pub mod write;

pub use header::{CSeq, Contacts, Malformed, Name, NameAddr, Via};
pub use message::{Fault, Message, ParseError};
pub use method::Method;
pub use uri::{Scheme, Uri};
pub use write::Writer;
