//! What the shards must know of the configuration, with the addresses that were really bound.

use crate::config::{Config, Host};
use crate::core::Settings;
use crate::core::settings::Listener;
use crate::net::listen::Listen;
use crate::registrar::Terms;
use std::time::Duration;

/// How long a call rings before it is given up.
const RING_MAX: Duration = Duration::from_secs(120);

/// The shards' settings. `bound` is the listener table.
#[must_use]
pub fn settings(config: &Config, bound: &[Listen]) -> Settings {
    let listener = |listen: &Listen| {
        let mut advertised = listen.addr;
        if let Some(ip) = config.sip.advertise {
            advertised.set_ip(ip);
        }
        Listener::new(listen.transport, listen.addr, advertised)
    };
    let domains = config.sip.domains.iter().filter_map(|host| match host {
        Host::Name(name) => Some(name.to_string()),
        Host::Ip(_) => None,
    });
    Settings {
        realm: config.sip.realm.clone(),
        domains: domains.collect(),
        addresses: config
            .sip
            .domains
            .iter()
            .filter_map(|host| match host {
                Host::Ip(ip) => Some(*ip),
                Host::Name(_) => None,
            })
            .collect(),
        listeners: bound.iter().map(listener).collect(),
        terms: Terms { expires_min: config.registrar.expires_min, expires_max: config.registrar.expires_max },
        service_route: config.registrar.service_route.clone(),
        algorithms: config.auth.algorithms.clone(),
        allow_without_qop: config.auth.allow_without_qop,
        lockout: config.lockout.policy(),
        devices_max: config.licence.max_devices.into(),
        trusted: config.sip.trusted.clone(),
        ring_max: RING_MAX,
        intervals: config.sip.intervals,
    }
}
