//! MAC addresses that phones tell of themselves: rung 3 of the ladder.
//!
//! A MAC is taken only where no two phones can show the same one by mistake:
//!
//! | where it stands | what counts |
//! |-----------------|-------------|
//! | a field of its own (`X-MAC`, `Mac` …), the parameter `user_uid` | a sound one |
//! | in the User-Agent, at the end of an instance UUID that is not random | a sound one of a maker of phones |
//!
//! *Sound* is one of a single interface, given by a maker: neither multicast, nor administered locally
//! (made up, or drawn anew for each network), nor of the zero prefix. Without a label twelve digits may
//! be anything, above all the number of a build that all phones of one model share; only the prefix of
//! a maker of phones shows that they are a MAC. A field of its own needs no such proof, so phones of
//! makers that the table does not know count there.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A sound MAC address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Mac([u8; 6]);

/// Prefixes (OUI) of makers of phones, ascending; from the IEEE's public listing.
const MAKERS: &[[u8; 3]] = &[
    [0x00, 0x01, 0x3e], // Ascom
    [0x00, 0x03, 0x89], // Plantronics
    [0x00, 0x04, 0x13], // Snom
    [0x00, 0x04, 0xf2], // Polycom
    [0x00, 0x08, 0x0f], // Mitel
    [0x00, 0x08, 0x5d], // Mitel (Aastra)
    [0x00, 0x08, 0x7b], // RTX
    [0x00, 0x0b, 0x82], // Grandstream
    [0x00, 0x0e, 0x08], // Cisco-Linksys (SPA)
    [0x00, 0x0f, 0xd3], // Digium
    [0x00, 0x10, 0xbc], // Aastra
    [0x00, 0x12, 0x2a], // VTech
    [0x00, 0x15, 0x65], // Yealink
    [0x00, 0x19, 0x7f], // Plantronics
    [0x00, 0x1a, 0xe8], // Unify
    [0x00, 0x1f, 0xc1], // Htek
    [0x00, 0x21, 0x04], // Gigaset
    [0x00, 0x22, 0xee], // Algo
    [0x00, 0x23, 0x7f], // Plantronics
    [0x00, 0x26, 0x8b], // Escene
    [0x00, 0x50, 0x58], // Sangoma
    [0x00, 0x80, 0x9f], // Alcatel-Lucent Enterprise
    [0x00, 0x80, 0xf0], // Panasonic
    [0x00, 0x90, 0x7a], // Spectralink
    [0x08, 0x00, 0x0f], // Mitel
    [0x08, 0x00, 0x23], // Panasonic
    [0x0c, 0x11, 0x05], // Akuvox
    [0x0c, 0x38, 0x3e], // Fanvil
    [0x14, 0x00, 0xe9], // Mitel
    [0x14, 0xb3, 0x70], // Gigaset
    [0x24, 0x9a, 0xd8], // Yealink
    [0x48, 0x7a, 0x55], // Alcatel-Lucent Enterprise
    [0x4c, 0x36, 0x4e], // Panasonic
    [0x58, 0x9e, 0xc6], // Gigaset
    [0x64, 0x16, 0x7f], // Polycom
    [0x7c, 0x1e, 0xb3], // 2N
    [0x7c, 0x2f, 0x80], // Gigaset
    [0x80, 0x5e, 0x0c], // Yealink
    [0x80, 0x5e, 0xc0], // Yealink
    [0x9c, 0xad, 0xef], // Obihai
    [0xa4, 0x97, 0x5c], // VTech
    [0xb8, 0x20, 0x8e], // Panasonic
    [0xbc, 0xc3, 0x42], // Panasonic
    [0xc0, 0x74, 0xad], // Grandstream
    [0xc4, 0x68, 0xd0], // VTech
    [0xec, 0x74, 0xd7], // Grandstream
];

impl Mac {
    /// The MAC that is this whole text: twelve digits, or pairs of them between `:` or `-`, or fours
    /// between dots; in quotes or not. `None` if it is none, or not sound.
    #[must_use]
    pub fn labelled(text: &[u8]) -> Option<Self> {
        let text = crate::sip::text::unquote(text.trim_ascii()).trim_ascii();
        let (group, separators): (usize, &[u8]) = match text.len() {
            12 => (12, b""),
            17 => (2, b":-"),
            14 => (4, b"."),
            _ => return None,
        };
        let (mut bytes, mut digits) = ([0u8; 6], 0usize);
        let mut separator = None;
        for (at, byte) in text.iter().enumerate() {
            if at % (group + 1) == group {
                if !separators.contains(byte) || *separator.get_or_insert(*byte) != *byte {
                    return None;
                }
                continue;
            }
            let digit = char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())?;
            let place = bytes.get_mut(digits / 2)?;
            *place = *place << 4 | digit;
            digits += 1;
        }
        let [first, second, third, rest @ ..] = bytes;
        let given = first & 0b11 == 0 && [first, second, third] != [0; 3];
        let one = rest != [0; 3] && rest != [0xff; 3];
        (digits == 12 && given && one).then_some(Self(bytes))
    }

    /// The MAC of a maker of phones in a User-Agent, as a word of its own.
    #[must_use]
    pub fn of_agent(agent: &[u8]) -> Option<Self> {
        let ends = |byte: &u8| matches!(byte, b' ' | b'/' | b'(' | b')' | b';' | b',' | b'_' | b'=' | b'\t');
        agent.split(ends).filter(|word| word.len() >= 12).find_map(|word| {
            let last = word.rsplit(|byte| *byte == b'-').next().unwrap_or_default();
            Self::labelled(word).or_else(|| Self::labelled(last)).filter(|mac| mac.is_of_a_maker())
        })
    }

    /// The MAC of a maker of phones at the end of an instance: the node of a UUID (RFC 9562 §5.1) that
    /// is not a random one.
    #[must_use]
    pub fn of_instance(instance: &[u8]) -> Option<Self> {
        let own = memchr::memrchr(b':', instance).and_then(|colon| instance.get(colon + 1..));
        let own = own.unwrap_or(instance);
        if own.len() != 36 || own.get(23) != Some(&b'-') || own.get(14) == Some(&b'4') {
            return None;
        }
        own.get(24..).and_then(Self::labelled).filter(|mac| mac.is_of_a_maker())
    }

    fn is_of_a_maker(self) -> bool {
        let [first, second, third, ..] = self.0;
        MAKERS.binary_search(&[first, second, third]).is_ok()
    }
}

/// Twelve lower-case digits.
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mac: Option<Mac>) -> String {
        mac.map(|mac| mac.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_makers_stand_in_order_and_are_sound() {
        assert!(MAKERS.is_sorted_by(|a, b| a < b));
        assert!(MAKERS.iter().all(|prefix| prefix[0] & 0b11 == 0));
    }

    #[test]
    fn what_is_a_mac() {
        for (text, mac) in [
            ("805EC0123456", "805ec0123456"),
            ("80:5e:c0:12:34:56", "805ec0123456"),
            ("80-5e-c0-12-34-56", "805ec0123456"),
            ("805e.c012.3456", "805ec0123456"),
            (" \"805ec0123456\" ", "805ec0123456"),
            ("3c:22:fb:01:02:03", "3c22fb010203"), // no maker of phones, but labelled
            ("", ""),
            ("805ec012345", ""),
            ("805ec01234567", ""),
            ("80:5e-c0:12:34:56", ""),
            ("80:5e:c0:12:34:5g", ""),
            ("805e:c012:3456", ""),
            ("000000000000", ""),
            ("000000123456", ""),
            ("ffffffffffff", ""),
            ("805ec0000000", ""),
            ("805ec0ffffff", ""),
            ("825ec0123456", ""), // administered locally
            ("815ec0123456", ""), // multicast
        ] {
            assert_eq!(shown(Mac::labelled(text.as_bytes())), mac, "{text}");
        }
    }

    #[test]
    fn in_a_user_agent_only_that_of_a_maker() {
        for (agent, mac) in [
            ("Yealink SIP-T46S 66.84.0.15 80:5e:c0:12:34:56", "805ec0123456"),
            ("Yealink SIP-T46S 66.84.0.15 805ec0123456", "805ec0123456"),
            ("PolycomVVX-VVX_410-UA/5.9.0.9373_0004f2abcdef", "0004f2abcdef"),
            ("Grandstream GXP2170 1.0.11.6 (000B82ABCDEF)", "000b82abcdef"),
            ("Fanvil X3S-0c383e010203", "0c383e010203"),
            ("Linphone 5.1 (3c22fb010203)", ""), // may be the number of a build
            ("Acme 1.0 a1b2c3d4e5f6", ""),
            ("Acme805ec0123456", ""),
            ("805ec0123456789", ""),
            ("", ""),
        ] {
            assert_eq!(shown(Mac::of_agent(agent.as_bytes())), mac, "{agent}");
        }
    }

    #[test]
    fn in_an_instance_only_that_of_a_maker_and_not_of_a_random_uuid() {
        for (instance, mac) in [
            ("urn:uuid:00000000-0000-1000-8000-805ec0123456", "805ec0123456"),
            ("00000000-0000-0000-0000-805EC0123456", "805ec0123456"),
            ("urn:uuid:8f1fa16a-1165-4a96-8341-805ec0123456", ""),
            ("urn:uuid:00000000-0000-1000-8000-3c22fb010203", ""),
            ("urn:uuid:805ec0123456", ""),
        ] {
            assert_eq!(shown(Mac::of_instance(instance.as_bytes())), mac, "{instance}");
        }
    }
}
