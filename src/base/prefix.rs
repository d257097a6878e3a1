//! Address prefixes, as in `[sip] trusted`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address prefix: `192.0.2.0/24`, `2001:db8::/32`, or one address alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrefixError {
    /// It is neither an address nor one with a length behind a slash.
    #[error("neither an IP address nor a prefix such as 192.0.2.0/24")]
    Form,
    /// More bits than the address has.
    #[error("a prefix length of at most {0} bits is needed")]
    Length(u8),
    /// Bits are set behind its length, so that it is unclear which address is meant.
    #[error("bits are set behind the prefix length")]
    HostBits,
}

impl Prefix {
    /// Whether the address lies in it; an IPv4-mapped address counts as the IPv4 one.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                (number(self.address) ^ number(address.to_canonical())) & mask(self.width(), self.bits) == 0
            }
            _ => false,
        }
    }

    /// The address and how many of its bits count.
    #[must_use]
    pub const fn parts(&self) -> (IpAddr, u8) {
        (self.address, self.bits)
    }

    fn width(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// The first `bits` of `width` bits.
fn mask(width: u8, bits: u8) -> u128 {
    let all = u128::MAX >> (128 - u32::from(width));
    all & !all.checked_shr(bits.into()).unwrap_or(0)
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::Form)?;
        let whole = Self { address, bits: 0 }.width();
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) && bits.len() <= 3 => {
                bits.parse::<u16>().map_err(|_| PrefixError::Form)?
            }
            Some(_) => return Err(PrefixError::Form),
            None => whole.into(),
        };
        let bits = u8::try_from(bits).ok().filter(|bits| *bits <= whole).ok_or(PrefixError::Length(whole))?;
        if number(address) & !mask(whole, bits) != 0 {
            return Err(PrefixError::HostBits);
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_prefix() {
        for (prefix, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::/0", "2001:db9::", true),
        ] {
            let prefix: Prefix = prefix.parse().unwrap();
            assert_eq!(prefix.contains(address.parse().unwrap()), inside, "{address} in {prefix}");
        }
    }

    #[test]
    fn what_is_no_prefix() {
        for (text, error) in [
            ("", PrefixError::Form),
            ("example.com", PrefixError::Form),
            ("192.0.2.0/", PrefixError::Form),
            ("192.0.2.0/+8", PrefixError::Form),
            ("192.0.2.0/33", PrefixError::Length(32)),
            ("2001:db8::/129", PrefixError::Length(128)),
            ("192.0.2.1/24", PrefixError::HostBits),
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(error), "{text:?}");
        }
    }
}
