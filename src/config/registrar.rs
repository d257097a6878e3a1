//! `[registrar]`: how long a binding lasts, and what phones are told besides.

use super::{Entries, Fault};
use crate::sip::{Scheme, Uri};
use serde::Deserialize;
use std::time::Duration;

/// Most hops of a Service-Route: each stands in every answer to a REGISTER.
const SERVICE_ROUTE_MAX: usize = 8;

/// `[registrar]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    expires_min_s: u32,
    expires_max_s: u32,
    keep_alive_s: u32,
    service_route: Vec<String>,
}

impl Default for Raw {
    fn default() -> Self {
        Self { expires_min_s: 60, expires_max_s: 3600, keep_alive_s: 25, service_route: Vec::new() }
    }
}

/// Expiries that hold together: min ≤ max.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegistrarConfig {
    /// Shortest binding accepted; anything less gets 423 (RFC 3261 §10.3 step 7).
    pub expires_min: Duration,
    /// Longest binding granted; anything more is shortened. Also what a REGISTER that names no expiry
    /// gets.
    pub expires_max: Duration,
    /// How often phones behind NAT are asked over UDP whether they are there; zero: never.
    pub keep_alive: Duration,
    /// The proxies through which phones are to send their requests (RFC 3608), in this order.
    pub service_route: Vec<String>,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self {
            expires_min: Duration::from_secs(60),
            expires_max: Duration::from_secs(3600),
            keep_alive: Duration::from_secs(25),
            service_route: Vec::new(),
        }
    }
}

impl RegistrarConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { expires_min, expires_max, keep_alive, service_route } = self;
        entries.put("registrar.expires_min_s", expires_min);
        entries.put("registrar.expires_max_s", expires_max);
        entries.put("registrar.keep_alive_s", keep_alive);
        entries.put("registrar.service_route", service_route);
    }
}

impl TryFrom<Raw> for RegistrarConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let Raw { expires_min_s: min, expires_max_s: max, keep_alive_s: keep, service_route } = raw;
        // RFC 3261 §10.3 step 7: only an expiry under one hour may be refused as too brief.
        if !(1..=3600).contains(&min) {
            return Err(Fault::new("expires_min_s", format_args!("{min} is not between 1 and 3600")));
        }
        if !(min..=86_400 * 7).contains(&max) {
            let reason = format!("{max} is not between expires_min_s ({min}) and 604800");
            return Err(Fault::new("expires_max_s", reason));
        }
        if keep > 600 {
            let reason = format_args!("{keep} is not between 1 and 600, nor 0 for never");
            return Err(Fault::new("keep_alive_s", reason));
        }
        if service_route.len() > SERVICE_ROUTE_MAX {
            let reason = format_args!("more than {SERVICE_ROUTE_MAX} hops");
            return Err(Fault::new("service_route", reason));
        }
        for (n, hop) in service_route.iter().enumerate() {
            let clean =
                hop.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"'));
            let uri = Uri::parse(hop.as_bytes()).filter(|uri| clean && uri.scheme != Scheme::Tel);
            if !uri.is_some_and(|uri| uri.is_loose()) {
                let reason = format!("{hop:?} is no SIP URI with ;lr such as \"sip:proxy.example.com;lr\"");
                return Err(Fault::at("service_route", n, reason));
            }
        }
        Ok(Self {
            service_route,
            expires_min: Duration::from_secs(min.into()),
            expires_max: Duration::from_secs(max.into()),
            keep_alive: Duration::from_secs(keep.into()),
        })
    }
}
