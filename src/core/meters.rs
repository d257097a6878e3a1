//! Handles to the metrics of a shard; made once, so that the hot path looks nothing up.

use crate::call::End;
use crate::menu::Service;
use crate::route::Reason;
use crate::sip::{Fault, ParseError};
use metrics::{Counter, Histogram};
use std::time::Duration;

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[allow(missing_docs)] // the labels say it
        pub enum $name {
            $($variant,)*
        }

        impl $name {
            /// Each of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The label.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}

labels!(
    /// `stationmaster_register_total{outcome}`: what a REGISTER came to, one per answered request.
    RegisterOutcome {
        Challenged = "challenged",
        Stale = "stale",
        Malformed = "malformed",
        Refreshed = "refreshed",
        Bound = "bound",
        Wrong = "wrong_credentials",
        Locked = "locked",
        CapReached = "cap_reached",
        AppDisabled = "app_disabled",
        DeviceRevoked = "device_revoked",
        NotActive = "not_active",
        NotYours = "not_yours",
        Invalid = "invalid",
        Unavailable = "store_unavailable",
        Overload = "overload",
        RefusedAgain = "refused_again",
        Draining = "draining",
    }
);

labels!(
    /// `stationmaster_locks_started_total{scope}`.
    LockScope {
        Identity = "identity",
        Source = "source",
        Device = "device",
    }
);

labels!(
    /// What a shard refuses to shed load, in `stationmaster_shed_total{why}`.
    CoreShed {
        CommitsWaiting = "commits_waiting_full",
        Transactions = "transactions_full",
        Calls = "calls_full",
        Draining = "draining",
        KeepAlives = "keep_alives_full",
        Menu = "menu_full",
    }
);

labels!(
    /// `stationmaster_keep_alives_total{what}`.
    KeepAlive {
        Asked = "asked",
        Answered = "answered",
        Silent = "silent",
    }
);

/// The metrics of what shards decide.
#[derive(Clone)]
pub struct Meters {
    register: Vec<Counter>,
    faults: Vec<Counter>,
    unreadable: [Counter; 2],
    stray_responses: Counter,
    retransmissions: Counter,
    unreachable: Counter,
    clones: Counter,
    keep_alives: Vec<Counter>,
    locks_started: Vec<Counter>,
    calls: Vec<Counter>,
    route_refused: Vec<Counter>,
    menu_calls: Vec<Counter>,
    shed: Vec<Counter>,
    register_seconds: Histogram,
    call_setup_seconds: Histogram,
}

impl Meters {
    /// Describes and registers them.
    #[must_use]
    pub fn register_all() -> Self {
        use metrics::{counter, describe_counter, describe_histogram, histogram};
        describe_counter!("stationmaster_register_total", "REGISTER requests answered, by outcome");
        describe_counter!("stationmaster_parse_errors_total", "What could not be read, by kind");
        describe_counter!("stationmaster_retransmissions_total", "Requests that were received again");
        describe_counter!(
            "stationmaster_contacts_unreachable_total",
            "Phones that did not answer a call at all"
        );
        describe_counter!(
            "stationmaster_device_clones_total",
            "REGISTER requests that show several phones with the instance of one device"
        );
        describe_counter!(
            "stationmaster_keep_alives_total",
            "Keep-alives to phones behind NAT: sent, answered, and phones that left several unanswered"
        );
        describe_counter!("stationmaster_locks_started_total", "Locks that failures began, by scope");
        describe_counter!("stationmaster_calls_total", "Calls, by how they ended");
        describe_counter!("stationmaster_route_refused_total", "Candidates passed over, by reason");
        describe_counter!("stationmaster_menu_calls_total", "Calls to the phone menu, by what was dialled");
        describe_counter!("stationmaster_shed_total", "What was dropped or refused to shed load");
        describe_histogram!(
            "stationmaster_register_seconds",
            "REGISTER requests that wait for the store, until answered"
        );
        describe_histogram!("stationmaster_call_setup_seconds", "From INVITE to its 2xx");
        let fault = |kind: &'static str| counter!("stationmaster_parse_errors_total", "kind" => kind);
        Self {
            register: RegisterOutcome::ALL
                .iter()
                .map(|outcome| counter!("stationmaster_register_total", "outcome" => outcome.label()))
                .collect(),
            faults: Fault::ALL.iter().map(|found| fault(found.label())).collect(),
            unreadable: [fault("start_line"), fault("too_long")],
            stray_responses: fault("stray_response"),
            retransmissions: counter!("stationmaster_retransmissions_total"),
            unreachable: counter!("stationmaster_contacts_unreachable_total"),
            clones: counter!("stationmaster_device_clones_total"),
            keep_alives: KeepAlive::ALL
                .iter()
                .map(|what| counter!("stationmaster_keep_alives_total", "what" => what.label()))
                .collect(),
            locks_started: LockScope::ALL
                .iter()
                .map(|scope| counter!("stationmaster_locks_started_total", "scope" => scope.label()))
                .collect(),
            calls: End::LABELS
                .iter()
                .map(|end| counter!("stationmaster_calls_total", "end" => *end))
                .collect(),
            route_refused: Reason::ALL
                .iter()
                .map(|reason| counter!("stationmaster_route_refused_total", "reason" => reason.label()))
                .collect(),
            menu_calls: Service::ALL
                .iter()
                .map(|service| counter!("stationmaster_menu_calls_total", "service" => service.label()))
                .collect(),
            shed: CoreShed::ALL
                .iter()
                .map(|why| counter!("stationmaster_shed_total", "why" => why.label()))
                .collect(),
            register_seconds: histogram!("stationmaster_register_seconds"),
            call_setup_seconds: histogram!("stationmaster_call_setup_seconds"),
        }
    }

    /// Handles that count nothing, for simulation.
    #[must_use]
    pub fn noop() -> Self {
        let none = |count: usize| vec![Counter::noop(); count];
        Self {
            register: none(RegisterOutcome::ALL.len()),
            faults: none(Fault::ALL.len()),
            unreadable: [Counter::noop(), Counter::noop()],
            stray_responses: Counter::noop(),
            retransmissions: Counter::noop(),
            unreachable: Counter::noop(),
            clones: Counter::noop(),
            keep_alives: none(KeepAlive::ALL.len()),
            locks_started: none(LockScope::ALL.len()),
            calls: none(End::LABELS.len()),
            route_refused: none(Reason::ALL.len()),
            menu_calls: none(Service::ALL.len()),
            shed: none(CoreShed::ALL.len()),
            register_seconds: Histogram::noop(),
            call_setup_seconds: Histogram::noop(),
        }
    }

    pub(super) fn register(&self, outcome: RegisterOutcome) {
        bump(&self.register, outcome as usize);
    }

    pub(super) fn unreadable(&self, error: ParseError) {
        match error {
            ParseError::StartLine => self.unreadable[0].increment(1),
            ParseError::TooLong => self.unreadable[1].increment(1),
        }
    }

    pub(super) fn fault(&self, fault: Fault) {
        bump(&self.faults, fault as usize);
    }

    pub(super) fn stray_response(&self) {
        self.stray_responses.increment(1);
    }

    pub(super) fn unreachable(&self) {
        self.unreachable.increment(1);
    }

    pub(super) fn cloned(&self) {
        self.clones.increment(1);
    }

    pub(super) fn keep_alive(&self, what: KeepAlive) {
        bump(&self.keep_alives, what as usize);
    }

    pub(super) fn retransmission(&self) {
        self.retransmissions.increment(1);
    }

    pub(super) fn lock_started(&self, scope: LockScope) {
        bump(&self.locks_started, scope as usize);
    }

    pub(super) fn call(&self, end: End) {
        if let Some(at) = End::LABELS.iter().position(|label| *label == end.label()) {
            bump(&self.calls, at);
        }
    }

    pub(super) fn passed_over(&self, reason: Reason) {
        bump(&self.route_refused, reason as usize);
    }

    pub(super) fn menu_call(&self, service: Service) {
        bump(&self.menu_calls, service as usize);
    }

    pub(super) fn shed(&self, why: CoreShed) {
        bump(&self.shed, why as usize);
    }

    pub(super) fn registered_after(&self, waited: Duration) {
        self.register_seconds.record(waited.as_secs_f64());
    }

    pub(super) fn call_set_up_after(&self, waited: Duration) {
        self.call_setup_seconds.record(waited.as_secs_f64());
    }
}

fn bump(counters: &[Counter], at: usize) {
    if let Some(counter) = counters.get(at) {
        counter.increment(1);
    }
}
