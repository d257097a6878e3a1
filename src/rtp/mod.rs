//! RTP (RFC 3550) and the keys that people press, as far as a server needs them that plays short prompts
//! and listens for digits.
//!
//! | what | where |
//! |------|-------|
//! | packets, read and written (RFC 3550 §5.1) | [`packet`] |
//! | keys as events in RTP (RFC 4733), each counted once | [`keys`] |
//! | keys in SIP INFO, as some phones send them only | [`info`] |
//! | PCMU and PCMA (ITU-T G.711) | [`g711`] |
//! | tones | [`tone`] |
//! | one end of a stream: what it sends when, what it takes from whom | [`endpoint`] |
//!
//! It refuses keys as sound (in-band DTMF), and does no RTCP: a prompt of seconds needs no statistics.

pub mod digit;
pub mod endpoint;
pub mod g711;
pub mod info;
pub mod keys;
pub mod packet;
pub mod tone;

pub use digit::Digit;
pub use endpoint::{Endpoint, Out};
pub use packet::Packet;

/// Samples a second, of PCMU and PCMA, of events and of every clip.
pub const RATE: u32 = 8_000;

/// Samples in a packet that we send: 20 ms.
pub const FRAME: usize = 160;
