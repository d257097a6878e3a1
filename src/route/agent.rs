//! Who rings for an agent who is logged in to a station: only that (PRODUCT §5).
//!
//! Two steps, since extension and station are two entries: what the extension says, then the station.

use super::{Called, PassedOver, Reason, Route, Which, route_to};
use crate::base::time::Wall;
use crate::licence::DeviceId;

/// What an agent's own extension says to a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Agent {
    /// It is refused as a whole.
    Refused(Route),
    /// Its own devices are passed over, and its station is asked ([`at_station`]).
    AtStation(Route),
}

/// What an agent's own extension says to a call.
#[must_use]
pub fn of_agent(called: Called<'_>, which: Which, now: Wall) -> Agent {
    if let Some(refused) = called.refused() {
        return Agent::Refused(refused);
    }
    let mut route = Route::default();
    let live = |device: DeviceId| {
        called.bindings.iter().any(|binding| binding.device == device && binding.is_live(now))
    };
    for device in called.licence.devices.iter().filter(|device| live(device.id)) {
        let reason = Reason::LoggedInElsewhere;
        route.passed_over.push(PassedOver { device: Some(device.id), reason });
    }
    if which == Which::All {
        return Agent::AtStation(route);
    }
    // It is called at a device of its own, where its agent is not.
    Agent::Refused(Route::nobody(Reason::LoggedInElsewhere))
}

/// Whether an agent's station rings (`None`: there is no such station, or it is another agent's).
#[must_use]
pub fn at_station(station: Option<Called<'_>>, now: Wall) -> Route {
    let Some(station) = station else { return Route::nobody(Reason::StationUnknown) };
    let mut route = route_to(Some(station), Which::All, now);
    for passed in &mut route.passed_over {
        passed.device = None; // not one of the extension's
        if passed.reason == Reason::NotRegistered {
            passed.reason = Reason::StationNotRegistered;
        }
    }
    if route.targets.is_empty() && route.passed_over.is_empty() {
        return Route::nobody(Reason::StationNotRegistered);
    }
    route
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, binding, licence};
    use super::*;
    use crate::account::Life;
    use crate::base::flow::Transport;

    #[test]
    fn an_agents_station_rings_and_nothing_else() {
        let (own, mut desk) = (licence(true), licence(true));
        desk.devices.truncate(1);
        let softphone = [binding(1, 1, 2000, Transport::Udp)];
        let called = |life, bindings| Called { tenant_active: true, life, licence: &own, bindings };
        let station = |bindings| Called { tenant_active: true, life: Life::Active, licence: &desk, bindings };
        let live = [binding(7, 1, 2000, Transport::Udp)];
        let expired = [binding(7, 1, 1000, Transport::Udp)];
        let dead = [binding(7, 1, 2000, Transport::Tcp)];
        for (name, life, which, at, rings, refusal) in [
            ("registered", Life::Active, Which::All, Some(&live[..]), vec![7], None),
            ("unknown", Life::Active, Which::All, None, vec![], Some(Reason::StationUnknown)),
            (
                "not registered",
                Life::Active,
                Which::All,
                Some(&[]),
                vec![],
                Some(Reason::StationNotRegistered),
            ),
            ("expired", Life::Active, Which::All, Some(&expired), vec![], Some(Reason::BindingExpired)),
            ("dead", Life::Active, Which::All, Some(&dead), vec![], Some(Reason::FlowDead)),
            ("disabled", Life::Disabled, Which::All, Some(&live), vec![], Some(Reason::ExtensionDisabled)),
            (
                "a device of its own",
                Life::Active,
                Which::One(DeviceId(1)),
                Some(&live),
                vec![],
                Some(Reason::LoggedInElsewhere),
            ),
        ] {
            let found = match of_agent(called(life, &softphone), which, NOW) {
                Agent::AtStation(passed) => {
                    assert_eq!(passed.refusal(), Some(Reason::LoggedInElsewhere), "{name}");
                    passed.and(at_station(at.map(station), NOW))
                }
                Agent::Refused(refused) => refused,
            };
            assert_eq!(found.targets.iter().map(|target| target.number).collect::<Vec<_>>(), rings, "{name}");
            assert_eq!(found.refusal(), refusal, "{name}");
        }
        let mut never = licence(true);
        never.devices.clear();
        let called = Called { tenant_active: true, life: Life::Active, licence: &never, bindings: &[] };
        assert_eq!(at_station(Some(called), NOW).refusal(), Some(Reason::StationNotRegistered));
    }
}
