//! Hosts and ports (RFC 3261 §25.1).

use crate::sip::class::Class;
use crate::sip::{near, text};
use std::net::IpAddr;

/// A `host[:port]`; `None` if the host is empty or has bytes that no host has, or the port is no
/// number of 16 bits.
#[must_use]
pub(in crate::sip) fn host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let text = text.trim_ascii();
    let host_end = match text.first()? {
        b'[' => memchr::memchr(b']', text)? + 1,
        _ => near::find(text, b':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(host_end);
    let host = host.trim_ascii_end();
    let good = match host {
        [b'[', inner @ .., b']'] => is_ipv6(inner),
        _ => !host.is_empty() && Class::Host.has_all(host),
    };
    let port = match rest.trim_ascii() {
        [] => None,
        [b':', port @ ..] => {
            Some(text::decimal(port.trim_ascii()).and_then(|port| u16::try_from(port).ok())?)
        }
        _ => return None,
    };
    good.then_some((host, port))
}

/// Whether this is an IPv6 address, or what the ABNF of RFC 3261 makes of one by mistake: with a
/// third colon before an IPv4 address (RFC 5118 §4.10).
fn is_ipv6(text: &[u8]) -> bool {
    let good = |text: &[u8]| ip(text).is_some_and(|ip| ip.is_ipv6());
    good(text)
        || memchr::memmem::find(text, b":::").is_some_and(|at| {
            let (before, after) = (&text[..at + 2], &text[at + 3..]);
            ip(after).is_some_and(|ip| ip.is_ipv4()) && good(&[before, after].concat())
        })
}

/// An IP address as it stands in a URI or Via host: IPv6 with or without brackets.
#[must_use]
pub fn ip(host: &[u8]) -> Option<IpAddr> {
    let host = std::str::from_utf8(host).ok()?;
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (text, found) in [
            ("a", Some(("a", None))),
            (" a : 1 ", Some(("a", Some(1)))),
            ("[::1]", Some(("[::1]", None))),
            ("[2001:db8::9:1]:6050", Some(("[2001:db8::9:1]", Some(6050)))),
            ("[::1] : 7", Some(("[::1]", Some(7)))),
            ("192.0.2.1:65535", Some(("192.0.2.1", Some(65_535)))),
            ("", None),
            (":1", None),
            ("a:", None),
            ("a:65536", None),
            ("a b", None),
            ("[::1", None),
            ("[::1]a", None),
            ("[fe80::1%1]", None),
            ("[127.0.0.1]", None),
            ("2001:db8::1", None),
        ] {
            let expected = found.map(|(host, port): (&str, _)| (host.as_bytes(), port));
            assert_eq!(host_port(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn addresses() {
        for (host, found) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("[::ffff:c000:280]", Some("::ffff:192.0.2.128")),
            ("[192.0.2.1]", Some("192.0.2.1")),
            ("192.0.2.01", None),
            ("[::1", None),
            ("[fe80::1%eth0]", None),
            ("example.test", None),
        ] {
            assert_eq!(ip(host.as_bytes()), found.map(|ip| ip.parse().unwrap()), "{host}");
        }
    }

    #[test]
    fn a_third_colon_before_an_ipv4_address_is_forgiven() {
        for (host, good) in [
            ("[2001:db8::192.0.2.1]", true),
            ("[2001:db8:::192.0.2.1]:5061", true),
            ("[:::192.0.2.1]", true),
            ("[2001:db8:::1]", false),
            ("[1.2.3.4:::1.2.3.4]", false),
            ("[::::1.2.3.4]", false),
            ("2001:db8::10", false),
        ] {
            assert_eq!(host_port(host.as_bytes()).is_some(), good, "{host}");
        }
    }
}
