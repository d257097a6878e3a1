//! Hosts and ports (RFC 3261 §25.1).

use crate::sip::text;
use std::net::IpAddr;

/// A `host[:port]`; `None` if the host is empty or has bytes that no host has, or the port is no
/// number of 16 bits.
#[must_use]
pub(in crate::sip) fn host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let text = text.trim_ascii();
    let host_end = match text.first()? {
        b'[' => memchr::memchr(b']', text)? + 1,
        _ => memchr::memchr(b':', text).unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(host_end);
    let host = host.trim_ascii_end();
    let good = match host {
        [b'[', inner @ .., b']'] => ip(inner).is_some_and(|ip| ip.is_ipv6()),
        _ => {
            !host.is_empty()
                && host.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        }
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

/// An IP address as it stands in a URI or Via host: IPv6 with or without brackets.
#[must_use]
pub fn ip(host: &[u8]) -> Option<IpAddr> {
    let host = std::str::from_utf8(host).ok()?;
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}
