//! Calls: who may call, whom, and which phones ring (ARCHITECTURE §4 "The licence holds on calls
//! too"). The calls themselves are [`crate::call`]'s.
//!
//! | an INVITE outside a dialog                     | answer                          |
//! |------------------------------------------------|---------------------------------|
//! | a copy by another path of one that is served   | 482 (RFC 3261 §8.2.2.2)         |
//! | one of ours that has come back                 | 482 (RFC 5393)                  |
//! | no credentials, wrong ones, unknown user       | 407                             |
//! | from no device with a live binding             | 403 Device Not Registered       |
//! | from a station that no agent is logged in to   | 403 No Agent Logged In; else the call is the agent's |
//! | app disabled, device revoked, not active       | 403, each with its phrase       |
//! | From names somebody else                       | 403 Not Your Address            |
//! | a code of the phone menu is dialled            | the menu's: [`super::menu`]; also from a station that no agent is logged in to |
//! | nobody to ring                                 | 404 or 480, the reason recorded |
//! | else                                           | a call                          |
//!
//! | a request in a dialog                          | answer                          |
//! |------------------------------------------------|---------------------------------|
//! | from the leg's peer                            | the call's                      |
//! | INVITE, UPDATE, REFER from elsewhere           | 407; the call's once the credentials are those of the leg's extension, 403 if they are another's |
//! | any other from elsewhere                       | 481                             |

use super::Core;
use super::auth::{Fresh, Presented};
use super::boundary::{Event, Output};
use super::caller::{Caller, Wants, calling_device, may_call};
use super::meters::CoreShed;
use super::refusal::Refusal;
use crate::account::{LoginName, tenant};
use crate::base::flow::Flow;
use crate::base::time::{Now, Wall};
use crate::call::{
    self, CallRecord, Device, End, InviteAccepted, LegRef, Party, Received, Target, same_peer,
};
use crate::digest::challenge::Stale;
use crate::digest::{Outcome, Role};
use crate::directory::Entry;
use crate::directory::sign_in::Verdict;
use crate::licence::{self, DeviceId};
use crate::registrar::Temporary;
use crate::route::{self, Agent, Reason, Route, Which, route_to};
use crate::sip::uri::percent_decoded;
use crate::sip::{Message, Method, Name, NameAddr, Scheme, Uri};
use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;
use std::sync::Arc;

/// A GRUU of ours that is called (RFC 5627).
enum Gruu {
    /// With this instance.
    Public(Box<[u8]>),
    Temporary(Temporary),
}

impl Gruu {
    fn which(&self, entry: &Entry, now: Wall) -> Which {
        let device = match self {
            Self::Public(instance) => {
                let has = |device: &&licence::Device| device.shown_by(Some(instance)).is_some();
                entry.licence.devices.iter().find(has).map(|device| device.id)
            }
            Self::Temporary(temporary) => temporary.device(&entry.bindings, now),
        };
        device.map_or(Which::None, Which::One)
    }
}

impl Core {
    /// A request that belongs to a call, or would begin one.
    pub(super) fn call_request(&mut self, now: Now, flow: Flow, message: &Message) {
        match self.calls.receive_request(now, message, flow) {
            Received::Done => {}
            Received::InDialog(leg) => self.in_dialog(now, flow, message, leg),
            Received::NoDialog => self.answer(message, flow, 481, None, |_| {}),
            Received::Merged => self.answer(message, flow, 482, None, |_| {}),
            Received::New if message.method() == Method::Invite => {
                if self.settings.has_sent(message) {
                    self.answer(message, flow, 482, None, |_| {});
                } else if !self.turned_away(message, flow) {
                    self.invite(now, flow, message);
                }
            }
            Received::New => self.answer(message, flow, 481, None, |_| {}),
        }
        self.drain_calls(now);
    }

    /// A response to a request of a call.
    pub(super) fn call_response(&mut self, now: Now, message: &Message) {
        if self.probe_response(now, message) || self.keep_alive_response(now, message) {
            return;
        }
        if !self.calls.response(now, message) {
            self.meters.stray_response();
        }
        self.drain_calls(now);
    }

    /// Passes on what the calls want done.
    pub(super) fn drain_calls(&mut self, now: Now) {
        while let Some(output) = self.calls.poll_output() {
            match output {
                call::Output::Send { flow, bytes } => self.out.push_back(Output::Send { flow, bytes }),
                call::Output::Ended(record) => self.call_over(record, None),
                call::Output::Inside { call, what } => self.inside(now, call, what),
                call::Output::Unreachable { aor, binding, flow } => {
                    self.unreachable(now, &aor, binding, flow);
                }
                call::Output::Reached { aor, binding, flow } => self.reached(now, &aor, binding, flow),
            }
        }
    }

    pub(super) fn call_over(&mut self, record: CallRecord, reason: Option<Reason>) {
        self.meters.call(record.end);
        if let Some(setup_ms) = record.setup_ms {
            self.meters.call_set_up_after(std::time::Duration::from_millis(setup_ms));
        }
        self.out.push_back(Output::Event(Box::new(Event::Call { record, reason })));
    }

    /// A request in a dialog is taken from the leg's peer only. A foreign request that gives the
    /// dialog a new target, or hands it on, may be of the phone on a new network: its credentials
    /// show that. Nobody else's business is 481, above all a foreign BYE.
    fn in_dialog(&mut self, now: Now, flow: Flow, message: &Message, leg: LegRef) {
        let Some(view) = self.calls.leg(leg) else { return self.answer(message, flow, 481, None, |_| {}) };
        let now_at = |device: &Device| {
            let login = std::str::from_utf8(&device.login).ok()?;
            self.directory.moved(login, device.id, &view.flow)
        };
        if same_peer(&view.flow, &flow)
            || view.device.and_then(now_at).is_some_and(|there| there.stream == flow.stream)
        {
            return self.calls.in_dialog(now, leg, message, flow);
        }
        if !matches!(message.method(), Method::Invite | Method::Update | Method::Refer) {
            return self.answer(message, flow, 481, None, |_| {});
        }
        let peer = CompactString::from(view.aor);
        let Some((fresh, verdict)) = self.judge_caller(now, flow, message, Wants::Call) else { return };
        let settled = |core: &Self, outcome| core.nonces.settle(fresh.nonce, fresh.hash, outcome);
        match verdict {
            Verdict::Good(Ok(caller)) if caller.is(&fresh.credentials.username.plain(), &peer) => {
                settled(self, self.right(&fresh.credentials.username.text(), Some(caller.device)));
                self.calls.in_dialog(now, leg, message, flow);
            }
            Verdict::Good(Ok(_)) => {
                settled(self, Outcome::Refused(Refusal::NotYours.number()));
                self.refuse(flow, message, Refusal::NotYours);
            }
            other => self.refuse_caller(now, flow, message, &fresh, other),
        }
    }

    fn invite(&mut self, now: Now, flow: Flow, message: &Message) {
        let dialled = self.code_dialled(message);
        let wants = if dialled.is_some() { Wants::Menu } else { Wants::Call };
        let Some((fresh, verdict)) = self.judge_caller(now, flow, message, wants) else { return };
        match verdict {
            Verdict::Good(Ok(caller)) => {
                let username = fresh.credentials.username.text();
                self.nonces.settle(fresh.nonce, fresh.hash, self.right(&username, Some(caller.device)));
                if let Some(dialled) = dialled {
                    if let Ok(account) = LoginName::of_account(&username) {
                        self.call_menu(now, flow, message, &account, &caller, dialled);
                    }
                } else if let Some(login) = caller.login(&username) {
                    let device = registered(&username, caller.device, flow);
                    self.place(now, flow, message, &login, &caller, device);
                }
            }
            other => self.refuse_caller(now, flow, message, &fresh, other),
        }
    }

    /// Challenges or judges the credentials of a request; `None` if it was answered.
    fn judge_caller<'m>(
        &mut self,
        now: Now,
        flow: Flow,
        message: &'m Message,
        wants: Wants,
    ) -> Option<(Fresh<'m>, Verdict<Result<Caller, Refusal>>)> {
        let fresh = match self.presented(now, flow, message, Role::Proxy) {
            Presented::Fresh(fresh) => fresh,
            Presented::Nothing => {
                self.challenge(now, flow, message, Role::Proxy, Stale::No);
                return None;
            }
            Presented::Stale => {
                self.challenge(now, flow, message, Role::Proxy, Stale::Yes);
                return None;
            }
            Presented::Broken(error) => {
                self.refuse_credentials(flow, message, error);
                return None;
            }
            Presented::Again { outcome, .. } => {
                self.meters.retransmission();
                match outcome {
                    Outcome::Pending => {} // its answer waits for the store
                    // Its transaction would have absorbed it: there was no room for one.
                    Outcome::Right(_) => self.refuse(flow, message, Refusal::Overload),
                    Outcome::Wrong(_) => self.challenge(now, flow, message, Role::Proxy, Stale::No),
                    Outcome::Refused(number) => self.refuse(flow, message, Refusal::from_number(number)),
                }
                return None;
            }
        };
        let username = fresh.credentials.username.text();
        let attempt = fresh.attempt(message, &username, flow, &self.settings);
        let verdict = self.directory.sign_in(
            now,
            &attempt,
            |entry| calling_device(entry, message, flow, now.wall),
            |entry, who| may_call(entry, who, message, &username, wants, &self.settings, now.wall),
        );
        let verdict = match verdict {
            Verdict::Good(Ok(caller)) => Verdict::Good(self.as_agent(caller, &username, wants)),
            other => other,
        };
        Some((fresh, verdict))
    }

    /// A station calls as its agent, who must still be logged in there, and may call; the phone menu as
    /// nobody, if there is none.
    fn as_agent(&self, caller: Caller, station: &str, wants: Wants) -> Result<Caller, Refusal> {
        let Some(agent) = &caller.agent else { return Ok(caller) };
        let display = self.directory.with(agent.as_str(), |entry| {
            let here = entry.paired.as_ref().is_some_and(|paired| paired.as_str() == station);
            if here {
                entry.may_sign_in().map(|()| (*entry.name).into()).map_err(Refusal::from)
            } else {
                Err(Refusal::NoAgent)
            }
        });
        match display.unwrap_or(Err(Refusal::NoAgent)) {
            Ok(display) => Ok(Caller { display, ..caller }),
            Err(_) if wants == Wants::Menu => Ok(Caller { agent: None, ..caller }),
            Err(refusal) => Err(refusal),
        }
    }

    fn refuse_caller(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        fresh: &Fresh<'_>,
        verdict: Verdict<Result<Caller, Refusal>>,
    ) {
        let refusal = match verdict {
            Verdict::Good(Ok(_)) => return, // not refused
            Verdict::Good(Err(refusal)) => refusal,
            Verdict::Locked(remains, _) => Refusal::Locked(remains),
            Verdict::Downgrade(sha256) => {
                self.nonces.settle(fresh.nonce, fresh.hash, Outcome::Wrong(0));
                return self.challenge_as(now, flow, message, Role::Proxy, Stale::No, sha256);
            }
            Verdict::Wrong(consequence) => {
                return self.after_wrong(now, flow, message, fresh, Role::Proxy, consequence);
            }
        };
        self.nonces.settle(fresh.nonce, fresh.hash, Outcome::Refused(refusal.number()));
        if message.to_tag().is_none() {
            self.meters.call(End::Refused(refusal.status()));
        }
        self.refuse(flow, message, refusal);
    }

    /// Rings for a call of this caller.
    fn place(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        caller: &LoginName,
        known: &Caller,
        device: Option<Arc<Device>>,
    ) {
        let (called, gruu) = self.dialled(caller, message).unzip();
        let (mut found, name, station) = self.who_rings(called.as_ref(), gruu.flatten().as_ref(), now.wall);
        if Scheme::of(self.asked_for(message)) == Some(Scheme::Sips) {
            found = found.only_secure();
            if !flow.transport.is_secure() {
                // It has come here in the clear: there is nothing to be kept any more.
                found = Route::nobody(Reason::NotSecure);
            }
        }
        for passed in &found.passed_over {
            self.meters.passed_over(passed.reason);
        }
        let text = |login: &LoginName| CompactString::from(login.as_str());
        if let Some(reason) = found.refusal() {
            let dialled = Uri::parse(self.asked_for(message)).map(|uri| uri.user).unwrap_or_default();
            let called = called.as_ref().map_or_else(|| CompactString::from_utf8_lossy(dialled), text);
            return self.nobody_rings(now, flow, message, [text(caller), called], reason);
        }
        let Some(called) = called else { return };
        let owner = station.as_ref().unwrap_or(&called).as_str();
        let host = self.settings.host();
        let shown = self.directory.shown_elsewhere(caller, &called);
        let user = shown.as_deref().unwrap_or(caller.number().as_bytes());
        let (display, host) = (known.display.as_bytes(), host.as_bytes());
        let mut from = Party { aor: text(caller), display, user, host };
        if known.anonymous {
            (from.display, from.user, from.host) = (b"Anonymous", b"anonymous", b"anonymous.invalid");
        }
        let (display, user) = (name.as_bytes(), called.number().as_bytes());
        let to = Party { aor: text(&called), display, user, host };
        let targets = found.targets.into_iter().map(|target| self.target(target, &to.aor, owner));
        let accepted = InviteAccepted {
            caller: from,
            targets: targets.collect(),
            called: to,
            sent_by: self.sent_by(flow),
            device,
            ring_max: None,
        };
        if self.calls.invite(now, message, flow, accepted) == Err(call::Refused::Full) {
            self.meters.shed(CoreShed::Calls);
            self.refuse(flow, message, Refusal::Overload);
        }
    }

    /// Whom a request is for: the Request-URI. A strict router, or a phone whose outbound proxy we are
    /// without `lr`, puts our own address there, and what it would be as the last Route (§16.4, §16.12).
    pub(super) fn asked_for<'m>(&self, message: &'m Message) -> &'m [u8] {
        let uri = message.request_uri();
        let is_us = Uri::parse(uri).is_some_and(|uri| uri.user.is_empty() && self.settings.is_ours(&uri));
        let last = message.values(Name::Route).last().filter(|_| is_us);
        last.and_then(NameAddr::parse).map_or(uri, |last| last.uri)
    }

    /// A phone that rings, and its other flows; `owner` is the account it registered with.
    fn target(&self, target: route::Target, aor: &CompactString, owner: &str) -> Target {
        Target {
            contact: target.contact.into(),
            routes: target.routes.into(),
            flow: target.flow,
            sent_by: self.sent_by(target.flow),
            aor: aor.clone(),
            device: registered(owner, target.device, target.flow),
            binding: target.number,
            suspect: target.suspect,
            spares: target.spares.into_iter().map(|spare| self.target(spare, aor, owner)).collect(),
        }
    }

    /// The extension that the Request-URI dials from the caller's tenant, and the device if it is a GRUU.
    fn dialled(&self, caller: &LoginName, message: &Message) -> Option<(LoginName, Option<Gruu>)> {
        let uri = Uri::parse(self.asked_for(message))?;
        let code = crate::account::TenantCode::parse(caller.tenant()).ok()?;
        if !uri.host.is_empty() && !self.settings.is_ours(&uri) {
            return None;
        }
        match uri.gruu() {
            Some(None) => {
                let temporary = self.gruus.open(&uri.user_decoded())?;
                let own = temporary.login.tenant() == code.as_str();
                own.then(|| (temporary.login.clone(), Some(Gruu::Temporary(temporary))))
            }
            Some(Some(instance)) => {
                let instance = percent_decoded(instance).into();
                Some((tenant::dial(&code, &uri.user_decoded()).ok()?, Some(Gruu::Public(instance))))
            }
            None => Some((self.directory.dialled(&code, &uri.user_decoded())?, None)),
        }
    }

    /// Who rings for an extension, its display name, and the station that rings in place of its devices.
    fn who_rings(
        &self,
        called: Option<&LoginName>,
        gruu: Option<&Gruu>,
        now: Wall,
    ) -> (Route, CompactString, Option<LoginName>) {
        let found = called.and_then(|login| {
            self.directory.with(login.as_str(), |entry| {
                let which = gruu.map_or(Which::All, |gruu| gruu.which(entry, now));
                let (found, station) = match entry.paired.as_deref() {
                    None => (route_to(Some(entry.called()), which, now), None),
                    Some(station) => match route::of_agent(entry.called(), which, now) {
                        Agent::AtStation(passed) => (passed, Some(station.clone())),
                        Agent::Refused(refused) => (refused, None),
                    },
                };
                (found, station, CompactString::from(&*entry.name))
            })
        });
        match (found, called) {
            (Some((passed, Some(station), name)), Some(agent)) => {
                (passed.and(self.station_rings(&station, agent, now)), name, Some(station))
            }
            (Some((found, _, name)), _) => (found, name, None),
            (None, _) => (route_to(None, Which::All, now), CompactString::default(), None),
        }
    }

    /// Whether the station of an agent rings.
    fn station_rings(&self, station: &LoginName, agent: &LoginName, now: Wall) -> Route {
        let found = self.directory.with(station.as_str(), |entry| {
            let his = entry.paired.as_deref() == Some(agent);
            route::at_station(his.then(|| entry.called()), now)
        });
        found.unwrap_or_else(|| route::at_station(None, now))
    }

    /// Ends a call that nobody rings for: its record, and the refusal that says why.
    pub(super) fn nobody_rings(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        [caller, called]: [CompactString; 2],
        reason: Reason,
    ) {
        let record = CallRecord {
            caller,
            called,
            service: None,
            began: now.wall,
            ringing_ms: None,
            setup_ms: None,
            talked_ms: 0,
            end: End::NobodyThere,
            status: reason.status(),
            candidates: SmallVec::new(),
        };
        self.call_over(record, Some(reason));
        let host = self.settings.host();
        self.calls.refuse(now, message, flow, reason.status(), None, |writer| {
            if reason == Reason::NotSecure {
                // RFC 5630 §5.1.1.
                let warning = format!("380 {host} \"SIPS Not Allowed\"");
                writer.field(Name::Warning, warning.as_bytes());
            }
        });
    }

    /// How a phone at the end of this flow reaches us.
    pub(super) fn sent_by(&self, flow: Flow) -> Bytes {
        self.settings.sent_by(flow)
    }
}

/// A phone that is reached by a connection of its own.
pub(super) fn registered(login: &str, id: DeviceId, flow: Flow) -> Option<Arc<Device>> {
    flow.stream.map(|_| Arc::new(Device { login: Bytes::copy_from_slice(login.as_bytes()), id }))
}
