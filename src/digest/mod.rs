//! Digest authentication (RFC 7616, RFC 8760, RFC 3261 §22): what a challenge says, what
//! credentials say, and what of them may be looked at.
//!
//! In order: [`Credentials`] are read from a request; [`Nonces::check`] says whether their nonce is
//! live, so that the response may be looked at at all; [`Ha1::verify`] says whether it is right;
//! [`Nonces::settle`] keeps the outcome, so that the same bytes get the same answer without a
//! second judgement. A request that is none of that gets a [`challenge`](challenge::write).
//!
//! Refused: `username*` and `userhash` (never offered), `auth-int`, the `-sess` algorithms. Nothing
//! here knows accounts, failures or answers.

pub mod challenge;
pub mod credentials;
pub mod hash;
pub mod nonce;
mod ring;

pub use challenge::{Algorithms, Role, Sha256};
pub use credentials::{Credentials, CredentialsError};
pub use hash::{Algorithm, Ha1, Response};
pub use nonce::{Judgement, NonceRef, NonceText, Nonces, Outcome};
