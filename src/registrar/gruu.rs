//! GRUUs (RFC 5627): URIs by which one device is reached, and no other.
//!
//! | GRUU | form | holds |
//! |------|------|-------|
//! | public | `sip:LOGIN@HOST;gr=INSTANCE` | as long as there is the device |
//! | temporary | `sip:TOKEN@HOST;gr` | until its phone comes in another Call-ID, or has no binding left |
//!
//! A token is the device, sealed: who does not have the key cannot make one, nor tell whose one is, nor
//! that two are of the same phone. Nothing is kept of it. Its end is told by the bindings: it names the
//! number of the binding that its Call-ID began with and a hash of that Call-ID, and holds while
//! the device has a live binding with both (RFC 5627 §5.3).
//!
//! Only a phone that says `Supported: gruu` and has a good instance is given any: a weak one is that of
//! many phones. A call to a GRUU dials what its extension would: within the tenant.

use super::extra::hash_of;
use super::{Binding, Extra};
use crate::account::LoginName;
use crate::base::private::Secret;
use crate::base::time::Wall;
use crate::licence::{Device, DeviceId};
use aes_gcm_siv::aead::{Aead, KeyInit};
use aes_gcm_siv::{Aes256GcmSiv, Key, Nonce};
use std::fmt;

/// Random bytes of a token.
const RANDOM: usize = 8;

/// Bytes of a token before its login name: device, first binding, Call-ID.
const HEAD: usize = 12;

/// Longest token, in characters.
const TOKEN_MAX: usize = 200;

/// Five bits each; lower case only, since some peers fold what they send back.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// Seals and opens temporary GRUUs. Cheap to share behind an `Arc`.
#[derive(Clone)]
pub struct Gruus(Aes256GcmSiv);

impl fmt::Debug for Gruus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gruus")
    }
}

/// What a temporary GRUU names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Temporary {
    /// The extension.
    pub login: LoginName,
    device: DeviceId,
    born: u32,
    call_id: u32,
}

impl Gruus {
    /// With this key; the same one after a restart, or they end with it.
    #[must_use]
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self(Aes256GcmSiv::new(&Key::<Aes256GcmSiv>::from(*key.expose())))
    }

    /// A new temporary GRUU's user part for the device of a binding; `random` makes it unlike any other.
    #[must_use]
    pub fn temporary(&self, login: &str, binding: &Binding, random: u64) -> String {
        let mut text = Vec::with_capacity(HEAD + login.len());
        for number in [binding.device.0, born(binding), short_hash(&binding.call_id)] {
            text.extend(number.to_be_bytes());
        }
        text.extend(login.as_bytes());
        let random = random.to_be_bytes();
        // Fails only past 64 GiB; an empty token names nothing.
        let sealed = self.0.encrypt(&nonce(random), text.as_slice()).unwrap_or_default();
        base32(&[&random[..], &sealed].concat())
    }

    /// What a user part names, if it is one of ours.
    #[must_use]
    pub fn open(&self, user: &[u8]) -> Option<Temporary> {
        let bytes = (user.len() <= TOKEN_MAX).then(|| from_base32(user)).flatten()?;
        let (random, sealed) = bytes.split_first_chunk::<RANDOM>()?;
        let text = self.0.decrypt(&nonce(*random), sealed).ok()?;
        let (head, login) = text.split_first_chunk::<HEAD>()?;
        let number = |at: usize| {
            let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_be_bytes)
        };
        let login = std::str::from_utf8(login).ok().and_then(|login| LoginName::parse(login).ok())?;
        Some(Temporary { login, device: DeviceId(number(0)?), born: number(4)?, call_id: number(8)? })
    }
}

impl Temporary {
    /// The device, if the GRUU still holds.
    #[must_use]
    pub fn device(&self, bindings: &[Binding], now: Wall) -> Option<DeviceId> {
        let holds = |binding: &&Binding| {
            binding.device == self.device
                && binding.is_live(now)
                && born(binding) == self.born
                && short_hash(&binding.call_id) == self.call_id
        };
        bindings.iter().find(holds).map(|binding| binding.device)
    }
}

/// Whether a binding's phone is to be told GRUUs: it understands them, and its instance is good.
#[must_use]
pub(super) fn is_told<'a>(binding: &'a Binding, device: &Device) -> Option<&'a Extra> {
    let extra = binding.extra.as_deref().filter(|extra| extra.gruu)?;
    device.shown_by(Some(&extra.instance)).map(|_| extra)
}

fn born(binding: &Binding) -> u32 {
    match binding.extra.as_ref().map_or(0, |extra| extra.born) {
        0 => binding.number,
        born => born,
    }
}

/// The lower half of the hash of a Call-ID.
fn short_hash(call_id: &[u8]) -> u32 {
    (hash_of(call_id) & u64::from(u32::MAX)) as u32
}

fn nonce(random: [u8; RANDOM]) -> Nonce {
    let mut nonce = [0; 12];
    nonce.iter_mut().zip(random).for_each(|(to, from)| *to = from);
    Nonce::from(nonce)
}

fn base32(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::with_capacity(bytes.len() * 8 / 5 + 1), 0u32, 0u32);
    let mut put = |bits: u32| text.extend(ALPHABET.get(bits as usize & 31).map(|byte| char::from(*byte)));
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            put(held >> bits);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        put(held << (5 - bits));
    }
    text
}

fn from_base32(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::with_capacity(text.len() * 5 / 8), 0u32, 0u32);
    for byte in text {
        let digit = match byte.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => digit - b'0',
            letter @ b'a'..=b'v' => letter - b'a' + 10,
            _ => return None,
        };
        held = held << 5 | u32::from(digit);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::flow::Transport;
    use proptest::prelude::*;

    const NOW: Wall = Wall::from_secs(1000);

    fn gruus() -> Gruus {
        Gruus::new(&Secret::new([7; 32]))
    }

    fn binding(number: u32, device: u32, call_id: &str, born: u32) -> Binding {
        Binding {
            number,
            turn: 0,
            device: DeviceId(device),
            contact: b"sip:a@h"[..].into(),
            call_id: call_id.as_bytes().into(),
            cseq: 1,
            expires: Wall::from_secs(2000),
            transport: Transport::Udp,
            listener: 0,
            remote: ([192, 0, 2, 1], 5060).into(),
            stream: None,
            q: 1000,
            proof: Default::default(),
            extra: Some(Box::new(Extra { born, gruu: true, ..Extra::default() })),
        }
    }

    #[test]
    fn how_long_a_temporary_gruu_holds() {
        let token = gruus().temporary("201-acme", &binding(3, 1, "c", 0), 9);
        let temporary = gruus().open(token.as_bytes()).unwrap();
        assert_eq!(temporary.login.as_str(), "201-acme");
        let me = Some(DeviceId(1));
        for (name, bindings, device) in [
            ("the same binding", vec![binding(3, 1, "c", 0)], me),
            ("moved to another contact", vec![binding(4, 1, "c", 3)], me),
            ("one flow of two", vec![binding(5, 1, "d", 0), binding(6, 1, "c", 3)], me),
            ("another Call-ID", vec![binding(3, 1, "d", 0)], None),
            ("away meanwhile, the same Call-ID", vec![binding(4, 1, "c", 0)], None),
            ("another device", vec![binding(3, 2, "c", 0)], None),
            ("expired", vec![Binding { expires: NOW, ..binding(3, 1, "c", 0) }], None),
            ("gone", vec![], None),
        ] {
            assert_eq!(temporary.device(&bindings, NOW), device, "{name}");
        }
    }

    #[test]
    fn a_token_tells_nothing_and_cannot_be_made() {
        let (one, two) = (binding(3, 1, "c", 0), binding(3, 1, "c", 0));
        let (one, two) = (gruus().temporary("201-acme", &one, 1), gruus().temporary("201-acme", &two, 2));
        assert_ne!(one, two);
        let same = one.bytes().zip(two.bytes()).filter(|(a, b)| a == b).count();
        assert!(same < one.len() / 3, "{one} {two}");
        assert!(!one.contains("201") || !one.contains("acme"));
        assert_eq!(
            gruus().open(one.to_uppercase().as_bytes()),
            gruus().open(two.as_bytes()),
            "case is folded"
        );
        let other = Gruus::new(&Secret::new([8; 32]));
        assert_eq!(other.open(one.as_bytes()), None);
        for at in [0, one.len() / 2, one.len() - 3] {
            let mut changed = one.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(gruus().open(&changed), None, "byte {at}");
        }
        for foreign in ["", "201-acme", "0", &"0".repeat(200), &"0".repeat(2000), "z9hG4bK"] {
            assert_eq!(gruus().open(foreign.as_bytes()), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn base32_there_and_back(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            let text = base32(&bytes);
            prop_assert_eq!(from_base32(text.as_bytes()), Some(bytes));
        }

        #[test]
        fn any_text_is_opened_or_not(text in proptest::collection::vec(any::<u8>(), 0..250)) {
            prop_assert_eq!(gruus().open(&text), None);
        }
    }
}
