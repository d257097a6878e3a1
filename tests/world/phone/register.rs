//! The registering half of a phone (RFC 3261 §10.2).

use super::{Alarm, Ids, Phone, Setup};
use crate::world::digest::Challenge;
use crate::world::sip::{self, Text, param};
use crate::world::txn::Purpose;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use std::net::SocketAddr;
use std::time::Duration;

/// What a phone wants of the registrar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ask {
    /// Its contact bound for so many seconds, and refreshed.
    Bind(u32),
    /// Its contact removed.
    Unbind,
    /// `Contact: *`.
    UnbindAll,
    /// The list of bindings.
    Query,
}

/// What a phone knows of its binding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Claim {
    /// It never registered.
    Nothing,
    /// It was told that it is bound.
    Bound {
        /// When that ends if nobody refreshes it.
        until: Mono,
        /// The address it registered from.
        from: SocketAddr,
        /// When it was told.
        told: Mono,
    },
    /// It was told that it is not bound.
    Unbound,
    /// It asked for a removal, or came up at another address, and has no answer yet.
    Unknown,
}

/// How a phone stands with the registrar.
#[derive(Debug)]
pub(crate) struct Registration {
    /// Its Contact URI.
    pub(crate) contact: String,
    /// What it was told.
    pub(crate) claim: Claim,
    /// Whether it was ever told 200 to a binding: then it has a place among the devices.
    pub(crate) activated: bool,
    /// Whether it ever sent good credentials with a binding: then it may have one.
    pub(crate) attempted: bool,
    /// The answer that ended its latest attempt, with its reason phrase; `None` while it goes on.
    pub(crate) ended: Option<String>,
    /// What it wants.
    pub(crate) goal: Option<Ask>,
    /// Whether a binding was answered 200 with the present Call-ID.
    introduced: bool,
    call_id: String,
    tag: String,
    cseq: u32,
    expires_in_field: bool,
    in_flight: bool,
    queued: Option<Ask>,
    nonce: Option<(Challenge, u32)>,
    /// Challenges in a row that led to no answer.
    challenged: u8,
    tries: u8,
    min_expires_s: u32,
}

/// Attempts to reach one goal; a store may be down for a while.
const TRIES_MAX: u8 = 20;

impl Registration {
    pub(super) fn new(setup: &Setup, rng: &mut Rng) -> Self {
        Self {
            contact: format!(
                "sip:{}@{}{}",
                setup.login,
                setup.private,
                if setup.tcp { ";transport=tcp" } else { "" }
            ),
            claim: Claim::Nothing,
            activated: false,
            attempted: false,
            ended: None,
            goal: None,
            introduced: false,
            call_id: format!("{:016x}", rng.bits()),
            tag: format!("{:08x}", rng.below(1 << 32)),
            cseq: 1,
            expires_in_field: rng.below(2) == 0,
            in_flight: false,
            queued: None,
            nonce: None,
            challenged: 0,
            tries: 0,
            min_expires_s: 0,
        }
    }

    pub(super) fn reboot(&mut self, rng: &mut Rng) {
        self.call_id = format!("{:016x}", rng.bits());
        self.tag = format!("{:08x}", rng.below(1 << 32));
        self.cseq = 1 + u32::try_from(rng.below(1000)).unwrap_or(0);
        self.nonce = None;
        self.introduced = false;
    }

    /// What is asked may be done whatever the answer is.
    fn doubt(&mut self, now: Mono, ask: Ask, public: SocketAddr) {
        self.claim = match (ask, self.claim) {
            (Ask::Query, claim) => claim,
            (Ask::Bind(expires_s), Claim::Bound { until, from, told }) if from == public => {
                let least = Duration::from_secs(expires_s.into()).mul_f64(0.9);
                Claim::Bound { until: until.min(now + least), from, told }
            }
            (Ask::Bind(_), Claim::Nothing) => Claim::Nothing,
            _ => Claim::Unknown,
        };
    }

    /// Whether it wants to be bound and does not ask for it at present.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.goal, Some(Ask::Bind(_))) && !self.in_flight
    }

    /// The connection is gone, and a contact dies with it.
    pub(super) fn disconnected(&mut self) {
        if let Claim::Bound { .. } = self.claim {
            self.claim = Claim::Unknown;
        }
    }

    /// What was asked and not answered may or may not have been done.
    pub(super) fn lost_power(&mut self) {
        let removing = matches!(self.goal, Some(Ask::Unbind | Ask::UnbindAll));
        if self.in_flight && (removing || !matches!(self.claim, Claim::Bound { .. })) {
            self.claim = Claim::Unknown;
        }
        self.in_flight = false;
        self.queued = None;
    }
}

impl Phone {
    pub(super) fn register(&mut self, now: Mono, ask: Ask) {
        if self.registration.in_flight {
            self.registration.queued = Some(ask);
            return;
        }
        self.alarms.retain(|(_, alarm)| *alarm != Alarm::Register);
        let registration = &mut self.registration;
        registration.goal = Some(ask);
        registration.tries = 0;
        self.try_register(now);
    }

    /// One attempt: at first with a nonce that is kept, if the phone does so.
    pub(super) fn try_register(&mut self, now: Mono) {
        let Some(ask) = self.registration.goal else { return };
        self.registration.tries += 1;
        self.registration.ended = None;
        self.registration.challenged = 0;
        let nonce = if self.setup.keeps_nonce { self.registration.nonce.take() } else { None };
        self.send_register(now, ask, nonce);
    }

    fn send_register(&mut self, now: Mono, ask: Ask, nonce: Option<(Challenge, u32)>) {
        let aor = format!("<sip:{}@{}>", self.setup.login, self.setup.domain);
        let uri = format!("sip:{}", self.setup.domain);
        self.registration.cseq += 1;
        let (from, call_id) =
            (format!("{aor};tag={}", self.registration.tag), self.registration.call_id.clone());
        let ids = Ids { from: &from, to: &aor, call_id: &call_id, cseq: self.registration.cseq };
        let mut request = self.blank("REGISTER", &uri, ids);
        let instance =
            self.setup.instance.as_ref().map_or(String::new(), |id| format!(";+sip.instance=\"<{id}>\""));
        let contact = format!("<{}>{instance}", self.registration.contact);
        request = match ask {
            Ask::Bind(expires_s) => {
                let expires_s = expires_s.max(self.registration.min_expires_s);
                self.bind_fields(request, contact, expires_s)
            }
            Ask::Unbind => self.bind_fields(request, contact, 0),
            Ask::UnbindAll => request.with("Contact", "*").with("Expires", "0"),
            Ask::Query => request,
        };
        if let Some((challenge, nc)) = nonce {
            let cnonce = self.token();
            let answer =
                challenge.answer(&self.setup.login, &self.setup.password, "REGISTER", &uri, nc, &cnonce);
            request = request.with("Authorization", answer);
            self.registration.nonce = Some((challenge, nc + 1));
            self.registration.attempted |= matches!(ask, Ask::Bind(_));
            self.registration.doubt(now, ask, self.setup.public);
        }
        self.registration.in_flight = true;
        self.send(now, request, Purpose::Register);
    }

    fn bind_fields(&self, request: Text, contact: String, expires_s: u32) -> Text {
        if self.registration.expires_in_field {
            request.with("Contact", contact).with("Expires", expires_s.to_string())
        } else {
            request.with("Contact", format!("{contact};expires={expires_s}"))
        }
    }

    pub(super) fn register_answered(&mut self, now: Mono, request: &Text, response: &Text) {
        if response.code() < 200 {
            if response.code() == 100 {
                // RFC 4320 §4.1 forbids it before T2; nothing here needs it later.
                self.wrong("100 to a REGISTER");
            }
            return;
        }
        self.registration.in_flight = false;
        let Some(ask) = self.registration.goal else { return };
        match response.code() {
            401 => self.challenged(now, ask, request, response),
            200 => self.register_done(now, ask, response),
            423 if response.field("min-expires").is_some() => {
                self.registration.min_expires_s = response.text("min-expires").parse().unwrap_or(3600);
                self.try_again(now, Duration::ZERO, response);
            }
            500 | 503 => {
                match response.text("retry-after").split([' ', ';', '(']).next().and_then(|s| s.parse().ok())
                {
                    Some(secs) => self.try_again(now, Duration::from_secs(secs), response),
                    None => {
                        self.wrong(&format!("{} without Retry-After", response.start));
                        self.give_up(now, response);
                    }
                }
            }
            _ => self.give_up(now, response),
        }
        self.next_in_queue(now);
    }

    fn challenged(&mut self, now: Mono, ask: Ask, request: &Text, response: &Text) {
        let Some(challenge) = Challenge::of(response, self.setup.sha256) else {
            self.wrong("a challenge without an algorithm it knows");
            return self.give_up(now, response);
        };
        let looked_at = request.field("authorization").is_some() && !challenge.stale;
        self.registration.challenged += 1;
        // A stale answer may be stale again after a restart, not for ever.
        if looked_at || self.registration.challenged > 4 {
            return self.give_up(now, response);
        }
        self.send_register(now, ask, Some((challenge, 1)));
    }

    fn register_done(&mut self, now: Mono, ask: Ask, response: &Text) {
        let own = response
            .fields("contact")
            .flat_map(sip::list)
            .find(|contact| sip::uri(contact) == self.registration.contact)
            .map(|contact| param(contact, "expires").and_then(|s| s.parse::<u64>().ok()).unwrap_or(0));
        let from = self.setup.public;
        let registration = &mut self.registration;
        registration.ended = Some(response.start.clone());
        match (ask, own) {
            (Ask::Bind(_), Some(granted_s)) if granted_s > 0 => {
                registration.claim =
                    Claim::Bound { until: now + Duration::from_secs(granted_s), from, told: now };
                registration.activated = true;
                registration.introduced = true;
                if !self.quiet {
                    self.wake(now + Duration::from_secs(granted_s) / 2, Alarm::Register);
                }
            }
            (Ask::Unbind | Ask::UnbindAll, None) => registration.claim = Claim::Unbound,
            (Ask::Query, _) => {}
            // `*` shows no instance: the sender is known by its Call-ID alone, and only if that has
            // registered, which a crash may forget.
            (Ask::UnbindAll, Some(_)) if !registration.introduced => {}
            (Ask::UnbindAll, Some(_)) => {
                self.contradictions
                    .push(format!("{}: * was answered 200 and removed nothing", self.setup.label));
            }
            (Ask::Bind(_), None) => {
                registration.claim = Claim::Unknown;
                self.overlooked.push(format!("{}: 200, and it is not bound", self.setup.label));
            }
            (ask, own) => self.wrong(&format!("{ask:?} was answered 200 with its own contact {own:?}")),
        }
        if self.registration.goal != Some(Ask::Query) {
            self.registration.tries = 0;
        }
    }

    pub(super) fn register_unanswered(&mut self, now: Mono) {
        self.registration.in_flight = false;
        let wait = self.rng.between(Duration::from_secs(1), Duration::from_secs(10));
        let nothing = Text { start: "no answer".to_owned(), ..Text::default() };
        self.try_again(now, wait, &nothing);
        self.next_in_queue(now);
    }

    fn try_again(&mut self, now: Mono, wait: Duration, response: &Text) {
        if self.registration.tries >= TRIES_MAX {
            return self.give_up(now, response);
        }
        self.wake(now + wait, Alarm::Register);
    }

    fn give_up(&mut self, _now: Mono, response: &Text) {
        self.registration.nonce = None;
        self.registration.ended = Some(response.start.clone());
    }

    fn next_in_queue(&mut self, now: Mono) {
        if !self.registration.in_flight
            && let Some(ask) = self.registration.queued.take()
        {
            self.register(now, ask);
        }
    }
}
