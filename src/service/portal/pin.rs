//! The PIN of phone access.
//!
//! **How it is kept.** A PIN has 6 to 10 digits, so whoever can try them at leisure finds it, whatever one
//! try costs: at 50 ms, 10^6 tries are an afternoon on one machine. What protects it is that the store alone
//! is not enough to try any: the hash is keyed with the key outside the store, as the digest hashes of
//! passwords are sealed with it. So no Argon2, which would add nothing, and would let anybody who calls the
//! phone menu take its time from those who sign in. At the phone the lock protects it: failures are counted
//! in a scope of their own, `pin`.

use crate::account::{CodeHash, LoginName, Pin};
use crate::base::time::Wall;
use crate::directory::ExtensionRecord;
use crate::service::Services;
use subtle::ConstantTimeEq;

/// A PIN as it is kept.
pub(in crate::service) fn hashed(services: &Services, login: &LoginName, pin: &str, now: Wall) -> Pin {
    Pin { hash: keyed(services, "pin", login, now, pin), set_at: now }
}

/// Whether it is the PIN of this extension; takes as long for one that has none.
#[must_use]
pub fn is_right(services: &Services, login: &LoginName, record: Option<&ExtensionRecord>, pin: &str) -> bool {
    let kept = record.and_then(|record| record.portal.as_ref()?.pin.as_ref());
    let (hash, set_at) = kept.map_or(([0; 32], Wall::default()), |kept| (kept.hash.0, kept.set_at));
    let right = keyed(services, "pin", login, set_at, pin).0.ct_eq(&hash);
    kept.is_some() & bool::from(right)
}

/// A keyed hash of something short: of no use without the key outside the store, and neither for another
/// extension, nor for another time or purpose.
pub(super) fn keyed(
    services: &Services,
    purpose: &str,
    login: &LoginName,
    set_at: Wall,
    secret: &str,
) -> CodeHash {
    // None of the parts before the last has a zero byte.
    let text = format!("{purpose}\0{login}\0{}\0{secret}", set_at.as_micros());
    CodeHash(*services.sealer.derive(zeroize::Zeroizing::new(text).as_bytes()).expose())
}
