//! Argon2id of portal passwords (RFC 9106): slow by design, so whoever calls it sees to it that nothing
//! else waits for it.

use super::portal::{Cost, PortalPassword};
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;

impl Cost {
    /// What new hashes cost: 19 MiB, two passes, one lane.
    pub const STANDARD: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    /// One run; `None` if there is not enough memory, or the cost is none that can be.
    fn run(self, password: &str, salt: [u8; 16]) -> Option<[u8; 32]> {
        let params = Params::new(self.memory_kib, self.passes.into(), self.lanes.into(), Some(32)).ok()?;
        let mut hash = [0; 32];
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon.hash_password_into(password.as_bytes(), &salt, &mut hash).ok()?;
        Some(hash)
    }
}

impl PortalPassword {
    /// The hash of a password; `None` if there was not enough memory.
    #[must_use]
    pub fn make(password: &str, epoch: u32, salt: [u8; 16], cost: Cost) -> Option<Self> {
        let hash = cost.run(password, salt)?;
        Some(Self { epoch, cost, salt, hash })
    }

    /// Whether it is of this password: one run, compared in constant time. `None` as for
    /// [`make`](Self::make).
    #[must_use]
    pub fn is_of(&self, password: &str) -> Option<bool> {
        let hash = self.cost.run(password, self.salt)?;
        Some(hash.ct_eq(&self.hash).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

    #[test]
    fn a_hash_is_of_its_password_and_of_no_other() {
        let made = PortalPassword::make("Right-Horse7", 3, [7; 16], CHEAP).unwrap();
        assert_eq!((made.epoch, made.is_of("Right-Horse7")), (3, Some(true)));
        for other in ["", "right-horse7", "Right-Horse7 ", "Right-Horse"] {
            assert_eq!(made.is_of(other), Some(false), "{other:?}");
        }
        let salted = PortalPassword::make("Right-Horse7", 3, [8; 16], CHEAP).unwrap();
        assert_ne!(salted.hash, made.hash);
        let dearer = Cost { passes: 2, ..CHEAP };
        assert_ne!(PortalPassword::make("Right-Horse7", 3, [7; 16], dearer).unwrap().hash, made.hash);
    }

    #[test]
    fn a_cost_that_cannot_be_is_no_panic() {
        for cost in [Cost { memory_kib: 0, ..CHEAP }, Cost { passes: 0, ..CHEAP }, Cost { lanes: 0, ..CHEAP }]
        {
            assert_eq!(PortalPassword::make("x", 1, [0; 16], cost), None);
        }
    }
}
