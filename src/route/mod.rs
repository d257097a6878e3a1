//! Who rings, and why not (PRODUCT §5): one decision for the wire, for `explain` and for the
//! portal.
//!
//! | step | asked of      | passed over because |
//! |------|---------------|---------------------|
//! | 1    | the number    | `unknown_number`, `tenant_suspended`, `extension_pending`, `extension_disabled` |
//! | 2    | the station that its agent is logged in to, if any: then only that is asked on | `station_unknown`, `station_not_registered`; its own devices: `logged_in_elsewhere` |
//! | 2    | else the licence | `app_disabled` |
//! | 3    | each device   | `not_registered`, `device_revoked` |
//! | 4    | each binding  | `binding_expired`, `flow_dead` |
//! | 5    | each binding, if a sips URI is called | `not_secure` |
//!
//! Of several flows of one device (RFC 5626) one rings: the one that was heard last; the others stand
//! by, to be tried if it fails. What is suspect ([`crate::registrar::Proof`]) comes last. A call to a GRUU asks one device only; `unknown_device` if its instance
//! has never been here, or the GRUU no longer holds (RFC 5627 §5.5: 404).

mod agent;

pub use agent::{Agent, at_station, of_agent};

use crate::account::Life;
use crate::base::flow::Flow;
use crate::base::limit;
use crate::base::time::Wall;
use crate::licence::{DeviceId, Licence};
use crate::registrar::Binding;
use smallvec::SmallVec;
use std::cmp::Reverse;

/// Why a candidate does not ring. The closed set behind `stationmaster_route_refused_total{reason}`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs)] // the labels say it
pub enum Reason {
    UnknownNumber,
    TenantSuspended,
    ExtensionPending,
    ExtensionDisabled,
    AppDisabled,
    UnknownDevice,
    LoggedInElsewhere,
    StationUnknown,
    StationNotRegistered,
    DeviceRevoked,
    NotRegistered,
    BindingExpired,
    FlowDead,
    NotSecure,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::UnknownNumber,
        Self::TenantSuspended,
        Self::ExtensionPending,
        Self::ExtensionDisabled,
        Self::AppDisabled,
        Self::UnknownDevice,
        Self::LoggedInElsewhere,
        Self::StationUnknown,
        Self::StationNotRegistered,
        Self::DeviceRevoked,
        Self::NotRegistered,
        Self::BindingExpired,
        Self::FlowDead,
        Self::NotSecure,
    ];

    /// The reason code, as in call records, logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownNumber => "unknown_number",
            Self::TenantSuspended => "tenant_suspended",
            Self::ExtensionPending => "extension_pending",
            Self::ExtensionDisabled => "extension_disabled",
            Self::AppDisabled => "app_disabled",
            Self::UnknownDevice => "unknown_device",
            Self::LoggedInElsewhere => "logged_in_elsewhere",
            Self::StationUnknown => "station_unknown",
            Self::StationNotRegistered => "station_not_registered",
            Self::DeviceRevoked => "device_revoked",
            Self::NotRegistered => "not_registered",
            Self::BindingExpired => "binding_expired",
            Self::FlowDead => "flow_dead",
            Self::NotSecure => "not_secure",
        }
    }

    /// The status code of a call that nobody rings for. The only place this mapping is made.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::UnknownNumber | Self::UnknownDevice => 404,
            _ => 480,
        }
    }
}

/// What the decision looks at, of the called extension.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// Whether its tenant is active.
    pub tenant_active: bool,
    /// Where it is in its life.
    pub life: Life,
    /// Its licence.
    pub licence: &'a Licence,
    /// Its bindings, live or not.
    pub bindings: &'a [Binding],
}

impl Called<'_> {
    /// Step 1: the answer to every call, if there is but one.
    fn refused(&self) -> Option<Route> {
        let reason = match (self.tenant_active, self.life) {
            (false, _) => Reason::TenantSuspended,
            (true, Life::Invite | Life::Pending) => Reason::ExtensionPending,
            (true, Life::Disabled) => Reason::ExtensionDisabled,
            (true, Life::Active) => return None,
        };
        Some(Route::nobody(reason))
    }
}

/// One binding that rings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Whose it is.
    pub device: DeviceId,
    /// The number of its binding.
    pub number: u32,
    /// The Request-URI: its Contact.
    pub contact: Box<[u8]>,
    /// Its Path as lines of Route; empty if it has none.
    pub routes: Box<[u8]>,
    /// Where the request is sent.
    pub flow: Flow,
    /// Whether it is in doubt that its phone can be reached.
    pub suspect: bool,
    /// Other flows of the device, the best first, to be tried if this one fails.
    pub spares: Vec<Target>,
}

/// Which device is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// All of the extension.
    All,
    /// This one, by a GRUU.
    One(DeviceId),
    /// One that there is not: a GRUU that does not hold.
    None,
}

/// Something that does not ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PassedOver {
    /// The device, where it is one device.
    pub device: Option<DeviceId>,
    /// Why.
    pub reason: Reason,
}

/// The decision.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Route {
    /// What rings, best first; at most [`limit::FORKS_MAX`].
    pub targets: SmallVec<[Target; 4]>,
    /// What does not, and why.
    pub passed_over: SmallVec<[PassedOver; 4]>,
}

impl Route {
    /// Nobody rings, for this reason alone.
    #[must_use]
    pub fn nobody(reason: Reason) -> Self {
        let passed_over = SmallVec::from_iter([PassedOver { device: None, reason }]);
        Self { targets: SmallVec::new(), passed_over }
    }

    /// Both decisions about one call.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.targets.extend(other.targets);
        self.passed_over.extend(other.passed_over);
        self
    }

    /// If nobody rings: the one reason that says it best, which is the last step that failed.
    #[must_use]
    pub fn refusal(&self) -> Option<Reason> {
        if !self.targets.is_empty() {
            return None;
        }
        Some(self.passed_over.iter().map(|passed| passed.reason).max().unwrap_or(Reason::NotRegistered))
    }
}

impl Route {
    /// What of it a call to a sips URI may ring: only what is reached over an encrypted flow (RFC 3261
    /// §26.2.2, RFC 5630 §5).
    #[must_use]
    pub fn only_secure(mut self) -> Self {
        for mut target in std::mem::take(&mut self.targets) {
            target.spares.retain(|spare| spare.flow.transport.is_secure());
            if target.flow.transport.is_secure() {
                self.targets.push(target);
            } else if target.spares.is_empty() {
                self.passed_over.push(PassedOver { device: Some(target.device), reason: Reason::NotSecure });
            } else {
                let first = target.spares.remove(0);
                self.targets.push(Target { spares: target.spares, ..first });
            }
        }
        self
    }
}

/// Decides who rings for a call to `called` (`None`: there is no such number).
#[must_use]
pub fn route(called: Option<Called<'_>>, now: Wall) -> Route {
    route_to(called, Which::All, now)
}

/// As [`route`], to all devices or to one.
#[must_use]
pub fn route_to(called: Option<Called<'_>>, which: Which, now: Wall) -> Route {
    let mut route = Route::default();
    let Some(called) = called else { return Route::nobody(Reason::UnknownNumber) };
    if let Some(refused) = called.refused() {
        return refused;
    }
    if !called.licence.enabled {
        return Route::nobody(Reason::AppDisabled);
    }
    if which == Which::None {
        return Route::nobody(Reason::UnknownDevice);
    }
    let wanted = |device: DeviceId| which == Which::All || which == Which::One(device);
    for device in called.licence.devices.iter().filter(|device| wanted(device.id)) {
        let mut own = called.bindings.iter().filter(|binding| binding.device == device.id).peekable();
        if device.revoked || own.peek().is_none() {
            let reason = if device.revoked { Reason::DeviceRevoked } else { Reason::NotRegistered };
            route.passed_over.push(PassedOver { device: Some(device.id), reason });
            continue;
        }
        let mut flows: SmallVec<[&Binding; 4]> = SmallVec::new();
        for binding in own {
            if !binding.is_live(now) {
                route
                    .passed_over
                    .push(PassedOver { device: Some(device.id), reason: Reason::BindingExpired });
            } else if !binding.is_reachable(now) {
                route.passed_over.push(PassedOver { device: Some(device.id), reason: Reason::FlowDead });
            } else if binding.reg_id() != 0 {
                flows.push(binding);
            } else {
                route.targets.push(target(binding));
            }
        }
        flows.sort_by_key(|binding| {
            let heard = binding.extra.as_ref().map(|extra| extra.heard);
            (binding.proof.is_suspect(), Reverse((binding.q, heard, binding.number)))
        });
        if let Some((first, others)) = flows.split_first() {
            let spares = others.iter().map(|binding| target(binding)).collect();
            route.targets.push(Target { spares, ..target(first) });
        }
    }
    // Latest registration last in the list, so newest first among equals (RFC 3261 §10.3, q).
    let q = |target: &Target| {
        let found = called.bindings.iter().find(|binding| binding.number == target.number);
        found.map_or((0, 0), |binding| (binding.q, binding.number))
    };
    route.targets.sort_by_key(|target| (target.suspect, Reverse(q(target))));
    route.targets.truncate(limit::FORKS_MAX);
    route
}

fn target(binding: &Binding) -> Target {
    Target {
        device: binding.device,
        number: binding.number,
        contact: binding.contact.clone(),
        routes: binding.routes(),
        flow: binding.flow(),
        suspect: binding.proof.is_suspect(),
        spares: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::flow::{FlowId, Transport};
    use crate::licence::{Device, Keys};

    pub(super) const NOW: Wall = Wall::from_secs(1000);

    fn device(id: u32, revoked: bool) -> Device {
        Device {
            id: DeviceId(id),
            revoked,
            keys: Keys::default(),
            name: String::new(),
            model: String::new(),
            first_seen: NOW,
            last_seen: NOW,
            address: String::new(),
            sha256: false,
            trails: Box::default(),
        }
    }

    pub(super) fn binding(number: u32, device: u32, expires_s: u64, transport: Transport) -> Binding {
        Binding {
            number,
            turn: 0,
            device: DeviceId(device),
            contact: format!("sip:{number}@h").into_bytes().into(),
            call_id: b"c"[..].into(),
            cseq: 1,
            expires: Wall::from_secs(expires_s),
            transport,
            listener: 0,
            remote: ([192, 0, 2, 1], 5060).into(),
            stream: None,
            q: 1000,
            proof: Default::default(),
            extra: None,
        }
    }

    pub(super) fn licence(enabled: bool) -> Licence {
        Licence {
            enabled,
            generation: 1,
            devices: vec![device(1, false), device(2, true), device(3, false)],
            next_device: 4,
        }
    }

    #[test]
    fn each_reason_on_its_own() {
        let (on, off) = (licence(true), licence(false));
        let live = [binding(1, 1, 1001, Transport::Udp)];
        let expired = [binding(1, 1, 1000, Transport::Udp)];
        let dead = [binding(1, 1, 1001, Transport::Tcp)];
        let revoked = [binding(1, 2, 1001, Transport::Udp)];
        let called =
            |tenant_active, life, licence, bindings| Some(Called { tenant_active, life, licence, bindings });
        for (name, called, refusal) in [
            ("no such number", None, Some(Reason::UnknownNumber)),
            ("suspended", called(false, Life::Active, &on, &live[..]), Some(Reason::TenantSuspended)),
            ("invite", called(true, Life::Invite, &on, &live[..]), Some(Reason::ExtensionPending)),
            ("pending", called(true, Life::Pending, &on, &live[..]), Some(Reason::ExtensionPending)),
            ("disabled", called(true, Life::Disabled, &on, &live[..]), Some(Reason::ExtensionDisabled)),
            ("app disabled", called(true, Life::Active, &off, &live[..]), Some(Reason::AppDisabled)),
            ("nobody there", called(true, Life::Active, &on, &[][..]), Some(Reason::NotRegistered)),
            ("revoked device", called(true, Life::Active, &on, &revoked[..]), Some(Reason::NotRegistered)),
            ("expired", called(true, Life::Active, &on, &expired[..]), Some(Reason::BindingExpired)),
            ("dead stream", called(true, Life::Active, &on, &dead[..]), Some(Reason::FlowDead)),
            ("live", called(true, Life::Active, &on, &live[..]), None),
        ] {
            assert_eq!(route(called, NOW).refusal(), refusal, "{name}");
        }
    }

    #[test]
    fn all_live_bindings_ring_by_q_then_newest_first_and_no_more_than_allowed() {
        let on = licence(true);
        let mut bindings: Vec<_> = (1..=3).map(|number| binding(number, 1, 2000, Transport::Udp)).collect();
        bindings[0].q = 500;
        let mut stream = binding(4, 3, 2000, Transport::Tcp);
        stream.stream = Some(FlowId { shard: Default::default(), slot: 0, generation: 0 });
        bindings.push(stream);
        let called = Called { tenant_active: true, life: Life::Active, licence: &on, bindings: &bindings };
        let found = route(Some(called), NOW);
        let contacts: Vec<_> = found.targets.iter().map(|target| &target.contact[..]).collect();
        assert_eq!(contacts, [b"sip:4@h", b"sip:3@h", b"sip:2@h", b"sip:1@h"]);

        let many: Vec<_> = (1..40).map(|number| binding(number, 1, 2000, Transport::Udp)).collect();
        let called = Called { tenant_active: true, life: Life::Active, licence: &on, bindings: &many };
        assert_eq!(route(Some(called), NOW).targets.len(), limit::FORKS_MAX);
    }

    fn flow(number: u32, device: u32, heard_s: u64) -> Binding {
        let extra = crate::registrar::Extra {
            reg_id: number,
            heard: Wall::from_secs(heard_s),
            path: b"<sip:p;lr>, <sip:q;lr>"[..].into(),
            ..Default::default()
        };
        Binding { extra: Some(Box::new(extra)), ..binding(number, device, 2000, Transport::Udp) }
    }

    #[test]
    fn of_several_flows_the_last_heard_rings_and_the_others_stand_by() {
        let on = licence(true);
        let mut bindings = vec![flow(1, 1, 30), flow(2, 1, 10), flow(3, 1, 20), flow(4, 3, 5)];
        bindings.push(binding(5, 3, 2000, Transport::Udp));
        let ring = |bindings: &[Binding]| {
            let called = Called { tenant_active: true, life: Life::Active, licence: &on, bindings };
            let targets = route(Some(called), NOW).targets;
            let spares = |target: &Target| target.spares.iter().map(|spare| spare.number).collect::<Vec<_>>();
            targets.iter().map(|target| (target.number, spares(target))).collect::<Vec<_>>()
        };
        assert_eq!(ring(&bindings), [(5, vec![]), (4, vec![]), (1, vec![3, 2])]);
        bindings[0].expires = NOW;
        assert_eq!(ring(&bindings), [(5, vec![]), (4, vec![]), (3, vec![2])]);
        let called = Called { tenant_active: true, life: Life::Active, licence: &on, bindings: &bindings };
        let found = route(Some(called), NOW);
        assert_eq!(&*found.targets[1].routes, b"Route: <sip:p;lr>\r\nRoute: <sip:q;lr>\r\n");
        assert!(found.targets[0].routes.is_empty());
    }

    #[test]
    fn a_sips_call_rings_what_is_encrypted() {
        let on = licence(true);
        let over = |transport: Transport, binding: Binding| {
            let stream = Some(FlowId { shard: Default::default(), slot: 0, generation: 0 });
            Binding { transport, stream: stream.filter(|_| transport.is_reliable()), ..binding }
        };
        let bindings = vec![
            over(Transport::Tcp, flow(1, 1, 30)),
            over(Transport::Wss, flow(2, 1, 20)),
            over(Transport::Udp, flow(3, 1, 10)),
            over(Transport::Ws, binding(4, 3, 2000, Transport::Ws)),
            over(Transport::Tls, binding(5, 3, 2000, Transport::Tls)),
        ];
        let called = Called { tenant_active: true, life: Life::Active, licence: &on, bindings: &bindings };
        let found = route(Some(called), NOW).only_secure();
        let numbers: Vec<_> = found.targets.iter().map(|t| (t.number, t.spares.len())).collect();
        assert_eq!((numbers, found.refusal()), (vec![(5, 0), (2, 0)], None));
        let called =
            Called { tenant_active: true, life: Life::Active, licence: &on, bindings: &bindings[3..4] };
        assert_eq!(route(Some(called), NOW).only_secure().refusal(), Some(Reason::NotSecure));
    }

    #[test]
    fn what_is_suspect_comes_last() {
        let on = licence(true);
        let mut bindings = vec![flow(1, 1, 30), flow(2, 1, 10), binding(3, 3, 2000, Transport::Udp)];
        bindings.push(Binding { q: 500, ..binding(4, 3, 2000, Transport::Udp) });
        for suspect in [0, 2] {
            bindings[suspect].proof = bindings[suspect].proof.doubted();
        }
        let called = Called { tenant_active: true, life: Life::Active, licence: &on, bindings: &bindings };
        let targets = route(Some(called), NOW).targets;
        let found: Vec<_> = targets.iter().map(|target| (target.number, target.suspect)).collect();
        assert_eq!(found, [(2, false), (4, false), (3, true)]);
        assert_eq!((targets[0].spares[0].number, targets[0].spares[0].suspect), (1, true));
    }

    #[test]
    fn one_device_alone() {
        let on = licence(true);
        let bindings = [binding(1, 1, 2000, Transport::Udp), binding(2, 3, 2000, Transport::Udp)];
        for (which, rings, refusal) in [
            (Which::All, vec![2, 1], None),
            (Which::One(DeviceId(1)), vec![1], None),
            (Which::One(DeviceId(3)), vec![2], None),
            (Which::One(DeviceId(2)), vec![], Some(Reason::DeviceRevoked)),
            (Which::None, vec![], Some(Reason::UnknownDevice)),
        ] {
            let called =
                Called { tenant_active: true, life: Life::Active, licence: &on, bindings: &bindings };
            let found = route_to(Some(called), which, NOW);
            assert_eq!(found.targets.iter().map(|t| t.number).collect::<Vec<_>>(), rings, "{which:?}");
            assert_eq!(found.refusal(), refusal, "{which:?}");
        }
    }
}
