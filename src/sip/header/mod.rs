//! The values of the header fields that we understand.
//!
//! Each type borrows from the message and is read on demand; `parse` returns `None` where the
//! value does not follow its grammar.

mod address;
mod contact;
mod name;
mod sequence;
mod via;

pub use address::NameAddr;
pub use contact::Contacts;
pub use name::Name;
pub use sequence::CSeq;
pub use via::Via;
