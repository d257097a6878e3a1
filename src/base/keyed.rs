//! A keyed hash of several parts: what is hashed cannot be found by trying without the key.

use super::private::Secret;
use sha2::{Digest, Sha256};

/// SHA-256 under a key, twice as HMAC does it (RFC 2104), so that nothing can be appended; each part with
/// its length, so that no two lists of parts are one.
#[must_use]
pub fn keyed(key: &Secret<[u8; 32]>, parts: &[&[u8]]) -> [u8; 32] {
    let mut inner = Sha256::new().chain_update(key.expose());
    for part in parts {
        inner.update((part.len() as u64).to_be_bytes());
        inner.update(part);
    }
    Sha256::new().chain_update(key.expose()).chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_and_other_parts_give_another_hash() {
        let (key, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let hash = keyed(&key, &[b"ab", b"c"]);
        assert_eq!(hash, keyed(&key, &[b"ab", b"c"]));
        for wrong in [
            keyed(&other, &[b"ab", b"c"]),
            keyed(&key, &[b"a", b"bc"]),
            keyed(&key, &[b"abc"]),
            keyed(&key, &[b"ab", b"c", b""]),
        ] {
            assert_ne!(wrong, hash);
        }
    }
}
