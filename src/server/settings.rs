//! What the shards must know of the configuration, with the addresses that were really bound.

use crate::config::{Config, Host};
use crate::core::Settings;
use crate::core::settings::Listener;
use crate::core::voice::MenuSettings;
use crate::net::faces::Faces;
use crate::net::listen::Listen;
use crate::registrar::Terms;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a call rings before it is given up.
const RING_MAX: Duration = Duration::from_secs(120);

/// The shards' settings. `bound` are the configured listeners with the ports that were found; their
/// faces follow in the listener table.
#[must_use]
pub fn settings(config: &Config, bound: &[Listen], faces: &Faces) -> Settings {
    let all = bound.iter().copied().chain(faces.iter());
    let listener = |(number, listen): (u8, Listen)| {
        Listener::new(listen.transport, listen.addr, advertised(config, faces, number, listen.addr))
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
        listeners: (0..=u8::MAX).zip(all).map(listener).collect(),
        terms: Terms { expires_min: config.registrar.expires_min, expires_max: config.registrar.expires_max },
        service_route: config.registrar.service_route.clone(),
        algorithms: config.auth.algorithms.clone(),
        allow_without_qop: config.auth.allow_without_qop,
        lockout: config.lockout.policy(),
        devices_max: config.licence.max_devices.into(),
        trusted: config.sip.trusted.clone(),
        ring_max: RING_MAX,
        intervals: config.sip.intervals,
        keep_alive: config.registrar.keep_alive,
        menu: MenuSettings { codes: config.menu.codes.clone(), advertise: config.media.advertise },
    }
}

/// What peers are told of the `number`-th listener: what is set for it, else `sip.advertise` if it is
/// of its family, else where it is. A wildcard itself is told as its first face.
fn advertised(config: &Config, faces: &Faces, number: u8, addr: SocketAddr) -> SocketAddr {
    let (door, _) = faces.door(number);
    let own = config.sip.advertised.get(usize::from(door)).copied().flatten();
    let general = config.sip.advertise.filter(|ip| ip.is_ipv4() == addr.is_ipv4());
    let first = || if addr.ip().is_unspecified() { faces.first(number) } else { None };
    let ip = own.map(|own| own.ip).or(general).or_else(first).unwrap_or(addr.ip());
    SocketAddr::new(ip, own.and_then(|own| own.port).unwrap_or(addr.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_peers_are_told() {
        let text = "[sip]\nadvertise = \"203.0.113.7\"\nlisten = [\"udp:0.0.0.0:5060\", \"tcp:[::]:5060\", \
                    \"udp:192.0.2.1:5070 advertise 203.0.113.8:5060\", \"tcp:192.0.2.1:5070 advertise 203.0.113.9\"]\n";
        let mut config = Config::parse(Path::new("x"), text).unwrap();
        let listens = config.sip.listen.clone();
        let addresses = ["192.0.2.1", "2001:db8::1", "2001:db8::2"].map(|ip| ip.parse().unwrap());
        let faces = Faces::new(&listens, &addresses);
        let told = |config: &Config| -> Vec<String> {
            let settings = settings(config, &listens, &faces);
            settings.listeners.iter().map(|listener| listener.advertised.to_string()).collect()
        };
        let v6 = ["[2001:db8::1]:5060", "[2001:db8::1]:5060", "[2001:db8::2]:5060"];
        let own = ["203.0.113.8:5060", "203.0.113.9:5070"];
        let public = "203.0.113.7:5060";
        assert_eq!(told(&config), [public, v6[0], own[0], own[1], public, v6[1], v6[2]]);
        config.sip.advertise = None;
        let face = "192.0.2.1:5060";
        assert_eq!(told(&config), [face, v6[0], own[0], own[1], face, v6[1], v6[2]]);
    }
}
