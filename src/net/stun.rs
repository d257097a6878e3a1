//! STUN keep-alives of phones on a SIP port (RFC 5626 §4.4.2, RFC 5389): a Binding request is
//! answered with the address it came from, and nothing else.
//!
//! Refused: other methods, and what is longer than [`REQUEST_BYTES_MAX`]. An answer is at most 44
//! bytes, to a request of 20 or more that every spoofed SIP message would outdo, and their rate is
//! bounded ([`crate::base::limit::STUN_ANSWERS_PER_S`]).

use std::net::{IpAddr, SocketAddr};

/// Longest request that is looked at.
pub const REQUEST_BYTES_MAX: usize = 548;

const HEADER_BYTES: usize = 20;
const COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// Attributes below this must be understood (§15).
const OPTIONAL: u16 = 0x8000;

/// Whether a datagram is STUN and no SIP: the first two bits are zero and the cookie stands where it
/// must (§6).
#[must_use]
pub fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & 0xC0 == 0) && bytes.get(4..8) == Some(&COOKIE.to_be_bytes())
}

/// The answer to a Binding request from `source`; `None` to anything else.
///
/// A request with an attribute that must be understood and is not is answered by 420 (§7.3.1).
#[must_use]
pub fn answer(request: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let (header, attributes) = request.split_at_checked(HEADER_BYTES)?;
    let kind = u16::from_be_bytes([header[0], header[1]]);
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let whole = length == attributes.len() && length % 4 == 0 && request.len() <= REQUEST_BYTES_MAX;
    if !is_stun(request) || kind != BINDING_REQUEST || !whole {
        return None;
    }
    let transaction = header.get(4..)?; // with the cookie before it
    Some(match unknown(attributes)? {
        None => {
            let mut value = Vec::with_capacity(20);
            let cookie = COOKIE.to_be_bytes();
            let xor = |octets: &[u8]| -> Vec<u8> {
                octets.iter().zip(transaction).map(|(octet, mask)| octet ^ mask).collect()
            };
            let (family, ip) = match source.ip().to_canonical() {
                IpAddr::V4(ip) => (1, xor(&ip.octets())),
                IpAddr::V6(ip) => (2, xor(&ip.octets())),
            };
            value.extend([0, family]);
            value.extend((source.port() ^ u16::from_be_bytes([cookie[0], cookie[1]])).to_be_bytes());
            value.extend(ip);
            message(BINDING_SUCCESS, transaction, &[(XOR_MAPPED_ADDRESS, &value)])
        }
        Some(attribute) => {
            let error = [0, 0, 4, 20];
            let [high, low] = attribute.to_be_bytes();
            // Padded with itself, as RFC 3489 had it.
            let attributes: [(u16, &[u8]); 2] =
                [(ERROR_CODE, &error), (UNKNOWN_ATTRIBUTES, &[high, low, high, low])];
            message(BINDING_ERROR, transaction, &attributes)
        }
    })
}

/// The first attribute that must be understood; none of them is, in a request. `None` if they are
/// broken.
fn unknown(mut attributes: &[u8]) -> Option<Option<u16>> {
    while !attributes.is_empty() {
        let (head, rest) = attributes.split_at_checked(4)?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        if kind < OPTIONAL {
            return Some(Some(kind));
        }
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])).next_multiple_of(4);
        attributes = rest.get(length..)?;
    }
    Some(None)
}

fn message(kind: u16, transaction: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let length: usize = attributes.iter().map(|(_, value)| 4 + value.len()).sum();
    let mut message = Vec::with_capacity(HEADER_BYTES + length);
    message.extend(kind.to_be_bytes());
    message.extend((length as u16).to_be_bytes());
    message.extend(transaction);
    for (kind, value) in attributes {
        message.extend(kind.to_be_bytes());
        message.extend((value.len() as u16).to_be_bytes());
        message.extend(*value);
    }
    message
}

/// How many answers may still be given: a bucket that fills by the second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowance {
    second: u64,
    given: u32,
}

impl Allowance {
    /// Takes one of the `max` answers of the second `now_s`; false if there is none left.
    pub fn take(&mut self, now_s: u64, max: u32) -> bool {
        if self.second != now_s {
            *self = Self { second: now_s, given: 0 };
        }
        let left = self.given < max;
        self.given += u32::from(left);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn request(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        message(kind, &[&COOKIE.to_be_bytes()[..], &ID].concat(), attributes)
    }

    #[test]
    fn a_binding_request_gets_the_address_it_came_from() {
        // The values of RFC 5769 §2.2 and §2.3.
        let v4 = [0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        let v6 = [
            0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe,
            0xd2, 0xb9, 0xd9,
        ];
        for (source, value) in
            [("192.0.2.1:32853", &v4[..]), ("[2001:db8:1234:5678:11:2233:4455:6677]:32853", &v6[..])]
        {
            let optional: [&[(u16, &[u8])]; 2] = [&[], &[(0x8022, b"phone 1.0 of 17b.")]];
            for attributes in optional {
                let mut request = request(BINDING_REQUEST, attributes);
                request.resize(request.len().next_multiple_of(4), 0);
                let length = request.len() as u16 - 20;
                request[2..4].copy_from_slice(&length.to_be_bytes());
                let answer = answer(&request, source.parse().unwrap()).unwrap();
                let header = [&[1, 1, 0, value.len() as u8 + 4][..], &COOKIE.to_be_bytes(), &ID].concat();
                let attribute = [&[0, 0x20, 0, value.len() as u8][..], value].concat();
                assert_eq!(answer, [header, attribute].concat(), "{source}");
                assert!(answer.len() <= 44);
            }
        }
    }

    #[test]
    fn what_must_be_understood_and_is_not() {
        let request = request(BINDING_REQUEST, &[(0x8022, b"abcd"), (0x0003, &[0, 0, 0, 2])]);
        let answer = answer(&request, "192.0.2.1:1".parse().unwrap()).unwrap();
        assert_eq!(answer[..4], [1, 0x11, 0, 16]);
        assert_eq!(answer[20..], [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 4, 0, 3, 0, 3]);
    }

    #[test]
    fn everything_else_is_left_alone() {
        let good = request(BINDING_REQUEST, &[]);
        let long = request(BINDING_REQUEST, &[(0x8022, &[0; REQUEST_BYTES_MAX])]);
        let mut odd = good.clone();
        odd[3] = 4;
        let indication = request(0x0011, &[]);
        let broken = request(BINDING_REQUEST, &[(0x8022, b"")]);
        let mut broken_length = broken.clone();
        broken_length[23] = 9;
        let source = "192.0.2.1:1".parse().unwrap();
        for bytes in [&good[..19], &long, &odd, &indication, &broken_length, b"OPTIONS sip:a SIP/2.0\r\n"] {
            assert_eq!(answer(bytes, source), None, "{bytes:?}");
        }
        assert!(is_stun(&indication) && !is_stun(b"OPTIONS sip:a SIP/2.0\r\n") && !is_stun(b"\r\n\r\n"));
    }

    #[test]
    fn so_many_in_a_second_and_no_more() {
        let mut allowance = Allowance::default();
        let taken = |allowance: &mut Allowance, now| (0..5).filter(|_| allowance.take(now, 3)).count();
        assert_eq!((taken(&mut allowance, 7), taken(&mut allowance, 7)), (3, 0));
        assert_eq!(taken(&mut allowance, 8), 3);
    }
}
