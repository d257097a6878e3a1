//! REGISTER (RFC 3261 §10.3): challenged, judged, licensed and bound in one pass.
//!
//! | the request                              | answer                                    |
//! |------------------------------------------|-------------------------------------------|
//! | To is no SIP URI                         | 400                                       |
//! | no credentials                           | 401, nothing kept                         |
//! | stale nonce                              | 401 `stale=true`, response not looked at  |
//! | same bytes as judged before              | the same answer from the present bindings |
//! | wrong password, unknown user             | 401, counted                              |
//! | locked, banned                           | 403 with Retry-After                      |
//! | right, refreshes what is there           | 200 at once                               |
//! | right, activates, binds or unbinds       | 200 once it is durable                    |
//! | right, while memory is in doubt          | as the store says; if it is unavailable, 200 to a refresh beyond doubt, else 503 ([`crate::directory::Doubt`]) |
//! | right, but not allowed                   | the refusal                               |

use super::Core;
use super::auth::{Fresh, Presented};
use super::boundary::{self, Durable, Event, Output};
use super::meters::RegisterOutcome;
use super::refusal::Refusal;
use super::settings::Settings;
use super::waiting::Judged;
use crate::account::LoginName;
use crate::base::flow::Flow;
use crate::base::time::{Now, Wall};
use crate::digest::challenge::Stale;
use crate::digest::{Algorithm, Credentials, Outcome, Role};
use crate::directory::sign_in::{Attempt, Verdict, evidence};
use crate::directory::{Entry, Kind};
use crate::licence::{self, Admission, Device, DeviceId, Who, admit};
use crate::lockout::{Bar, Origin};
use crate::registrar::history::{Happened, Happening};
use crate::registrar::{self, Asked, AskedContact, Binding, Op, Plan, Refresh, RegisterError, Seen, Wanted};
use crate::sip::{Message, Scheme, Uri};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// What is decided under the entry's lock.
enum Decision {
    /// Done in memory: answer now, and tell the journal.
    Done {
        /// Whose request it was, if a known device's.
        device: Option<DeviceId>,
        /// For the journal.
        refreshed: SmallVec<[Refresh; 1]>,
        /// Whether it shows that several phones use one key.
        cloned: bool,
        /// Whether it came by another way than the one before.
        moved: bool,
        /// What its history is to have, which is hardly ever anything.
        news: Option<Box<Happened>>,
    },
    /// It must be durable first.
    Commit {
        /// Whose.
        login: LoginName,
        /// The epoch of the password that was right.
        epoch: u32,
    },
    /// Refused.
    Refused(Refusal),
}

impl Core {
    pub(super) fn register(&mut self, now: Now, flow: Flow, message: &Message) {
        if self.refuse_extensions(message, flow) {
            return;
        }
        // An address-of-record is a SIP or SIPS URI, whoever asks (§10.3 step 5, RFC 4475 §3.3.4).
        if !Uri::parse(message.to().uri).is_some_and(|uri| uri.scheme != Scheme::Tel) {
            self.meters.register(RegisterOutcome::Malformed);
            return self.answer(message, flow, 400, Some(b"Bad Address-Of-Record"), |_| {});
        }
        let presented = self.presented(now, flow, message, Role::Server);
        if !matches!(presented, Presented::Again { .. }) && self.turned_away(message, flow) {
            if let Presented::Fresh(fresh) = presented {
                let outcome = Outcome::Refused(Refusal::Draining.number());
                self.nonces.settle(fresh.nonce, fresh.hash, outcome);
            }
            return self.meters.register(RegisterOutcome::Draining);
        }
        let unproven = matches!(presented, Presented::Nothing | Presented::Stale);
        if unproven && self.refuse_again(now, flow, message) {
            return;
        }
        match presented {
            Presented::Nothing => {
                self.meters.register(RegisterOutcome::Challenged);
                self.challenge(now, flow, message, Role::Server, Stale::No);
            }
            Presented::Stale => {
                self.meters.register(RegisterOutcome::Stale);
                self.challenge(now, flow, message, Role::Server, Stale::Yes);
            }
            Presented::Broken(error) => {
                self.meters.register(RegisterOutcome::Malformed);
                self.refuse_credentials(flow, message, error);
            }
            Presented::Again { outcome, credentials } => {
                self.meters.retransmission();
                match outcome {
                    Outcome::Pending => {} // the answer is on its way
                    Outcome::Right(_) => {
                        let login = credentials.username.text();
                        let device = self.device_of(outcome, &login);
                        self.accept(now, flow, message, &login, device);
                    }
                    Outcome::Wrong(_) => self.challenge(now, flow, message, Role::Server, Stale::No),
                    Outcome::Refused(number) => {
                        self.refuse(flow, message, Refusal::from_number(number));
                    }
                }
            }
            Presented::Fresh(fresh) => self.judge_register(now, flow, message, &fresh),
        }
    }

    fn judge_register(&mut self, now: Now, flow: Flow, message: &Message, fresh: &Fresh<'_>) {
        let username = fresh.credentials.username.text();
        let jitter = self.jitter();
        let verdict = {
            let settings = &*self.settings;
            let asked = Asked::of(message, &settings.terms);
            let attempt = fresh.attempt(message, &username, flow, settings);
            let request = Request { message, flow, asked: &asked, attempt: &attempt, settings };
            let evidence = evidence(message, asked.as_ref().ok(), flow, fresh.device);
            let recognise = |entry: &Entry| entry.identify(&evidence, now.wall);
            self.directory.sign_in(now, &attempt, recognise, |entry, who| {
                (request.decide(entry, who, jitter, now.wall), entry.revision)
            })
        };
        match verdict {
            Verdict::Good((Decision::Done { device, refreshed, cloned, moved, news }, _)) => {
                self.tell_news(&username, news);
                self.nonces.settle(fresh.nonce, fresh.hash, self.right(&username, device));
                self.meters.register(RegisterOutcome::Refreshed);
                if cloned {
                    self.meters.cloned();
                }
                self.out.extend(refreshed.into_iter().map(Output::Refresh));
                self.accept(now, flow, message, &username, device);
                if moved {
                    self.keep(now, flow, &username);
                }
            }
            Verdict::Good((Decision::Commit { login, epoch }, _)) => {
                let register = boundary::Register {
                    login,
                    epoch,
                    message: message.detached(),
                    flow,
                    sha256: fresh.credentials.algorithm() == Algorithm::Sha256,
                    nonce_device: fresh.device,
                    jitter,
                };
                self.wait_for(now, flow, message, &username, fresh, Durable::Register(Box::new(register)));
            }
            Verdict::Good((Decision::Refused(refusal), revision)) => {
                self.nonces.settle(fresh.nonce, fresh.hash, Outcome::Refused(refusal.number()));
                self.keep_refusal(now, flow, message, Some(revision), refusal);
                self.refuse_register(now, flow, message, &username, refusal);
            }
            Verdict::Locked(remains, by) => {
                self.tell_barred(now, &username, flow, by);
                let refusal = Refusal::Locked(remains);
                self.nonces.settle(fresh.nonce, fresh.hash, Outcome::Refused(refusal.number()));
                self.refuse_register(now, flow, message, &username, refusal);
            }
            Verdict::Downgrade(sha256) => {
                self.nonces.settle(fresh.nonce, fresh.hash, Outcome::Wrong(0));
                self.meters.register(RegisterOutcome::Challenged);
                self.challenge_as(now, flow, message, Role::Server, Stale::No, sha256);
            }
            Verdict::Wrong(consequence) => {
                self.meters.register(RegisterOutcome::Wrong);
                self.after_wrong(now, flow, message, fresh, Role::Server, consequence);
            }
        }
    }

    /// The store was asked about a REGISTER and is unavailable: does in memory what memory may do
    /// alone. Says whether it did; then it is answered.
    pub(super) fn refreshed_alone(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        login: &str,
        judged: &Judged,
    ) -> bool {
        let Ok(Some(credentials)) = Credentials::find(message, Role::Server, self.settings.realm.as_bytes())
        else {
            return false;
        };
        let Judged { nonce, hash, device, epoch } = *judged;
        let (settings, directory) = (Arc::clone(&self.settings), Arc::clone(&self.directory));
        let asked = Asked::of(message, &settings.terms);
        let attempt = Fresh { credentials, nonce, hash, device }.attempt(message, login, flow, &settings);
        let request = Request { message, flow, asked: &asked, attempt: &attempt, settings: &settings };
        let evidence = evidence(message, asked.as_ref().ok(), flow, device);
        let jitter = self.jitter();
        let decision = directory.with(login, |entry| {
            let who = entry.identify(&evidence, now.wall);
            request.decide_alone(entry, who, epoch, jitter, now.wall)
        });
        let Some(Decision::Done { device, refreshed, moved, news, .. }) = decision else { return false };
        self.tell_news(login, news);
        self.nonces.settle(nonce, hash, self.right(login, device));
        self.meters.register(RegisterOutcome::Refreshed);
        self.out.extend(refreshed.into_iter().map(Output::Refresh));
        self.accept(now, flow, message, login, device);
        if moved {
            self.keep(now, flow, login);
        }
        true
    }
}

impl Core {
    /// Refuses a REGISTER, counts it and tells the log.
    pub(super) fn refuse_register(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        login: &str,
        refusal: Refusal,
    ) {
        self.meters.register(outcome_of(refusal));
        if let Ok(login) = LoginName::of_account(login) {
            self.tell_refused(now, &login, flow, refusal);
            self.out.push_back(Output::Event(Box::new(Event::RegisterRefused { login, refusal, flow })));
        }
        self.refuse(flow, message, refusal);
    }
}

impl Core {
    fn tell_news(&self, login: &str, news: Option<Box<Happened>>) {
        if let (Some(news), Ok(login)) = (news, LoginName::of_account(login)) {
            self.directory.news.tell(login, *news);
        }
    }

    /// What a lock or a ban refuses belongs in the history of whoever is there, counted.
    fn tell_barred(&self, now: Now, login: &str, flow: Flow, by: Bar) {
        let Ok(login) = LoginName::of_account(login) else { return };
        let why = match by {
            Bar::Identity => Refusal::Locked(Duration::ZERO).phrase(),
            Bar::Source => "Source Banned",
        };
        if self.directory.knows(&login) {
            self.directory.news.tell_barred(login, now.wall, flow.remote, why);
        }
    }

    /// Any other refusal belongs there if its phone had the right password: else anybody could cause it.
    /// What only says that we are busy says nothing of the phone.
    fn tell_refused(&self, now: Now, login: &LoginName, flow: Flow, refusal: Refusal) {
        if matches!(refusal, Refusal::Locked(_)) || refusal.status() == 503 {
            return;
        }
        let what = Happening::Refused(refusal.phrase().into());
        let happened = Happened { at: now.wall, device: None, address: Some(flow.remote), what };
        self.directory.news.tell(login.clone(), happened);
    }
}

const fn outcome_of(refusal: Refusal) -> RegisterOutcome {
    match refusal {
        Refusal::Locked(_) => RegisterOutcome::Locked,
        Refusal::CapReached => RegisterOutcome::CapReached,
        Refusal::AppDisabled => RegisterOutcome::AppDisabled,
        Refusal::DeviceRevoked => RegisterOutcome::DeviceRevoked,
        Refusal::ExtensionNotActive | Refusal::TenantSuspended => RegisterOutcome::NotActive,
        Refusal::NotYours => RegisterOutcome::NotYours,
        Refusal::Register(_) | Refusal::DeviceNotRegistered | Refusal::NoAgent => RegisterOutcome::Invalid,
        Refusal::StoreUnavailable => RegisterOutcome::Unavailable,
        Refusal::Overload => RegisterOutcome::Overload,
        Refusal::Draining => RegisterOutcome::Draining,
    }
}

/// What a REGISTER comes to by what memory knows.
enum Weighed {
    /// It refreshes bindings of this device, and does nothing else.
    Refresh { device: DeviceId, plan: Plan },
    /// It changes what must be durable.
    Commit,
    /// It changes nothing.
    Otherwise(Decision),
}

/// One REGISTER with good credentials.
struct Request<'a, 'm> {
    message: &'m Message,
    flow: Flow,
    asked: &'a Result<Asked<'m>, RegisterError>,
    attempt: &'a Attempt<'m>,
    settings: &'a Settings,
}

impl Request<'_, '_> {
    /// What becomes of it; changes the entry only for a refresh.
    fn decide(&self, entry: &mut Entry, who: Who, jitter: u8, now: Wall) -> Decision {
        if !names(self.message.to().uri, self.attempt.login, self.settings) {
            return Decision::Refused(Refusal::NotYours);
        }
        if let Err(refusal) = entry.may_sign_in() {
            return Decision::Refused(refusal.into());
        }
        let asked = match self.asked {
            Ok(asked) => asked,
            Err(error) => return Decision::Refused(Refusal::Register(*error)),
        };
        if let Some(error) = asked.brief.or_else(|| self.unwelcome(asked)) {
            return Decision::Refused(Refusal::Register(error));
        }
        // While commits are under way the store decides, in the order of their coming.
        if entry.doubt.is_any() && !entry.doubt.is_open() {
            return commit(entry, self.attempt.login);
        }
        let weighed = self.weigh(entry, asked, who, jitter, now);
        match weighed {
            Weighed::Refresh { device, plan } if beyond_doubt(entry, asked, &plan) => {
                self.refresh(entry, asked, device, &plan, now)
            }
            Weighed::Otherwise(decision) if !entry.doubt.is_any() => decision,
            Weighed::Refresh { .. } | Weighed::Commit | Weighed::Otherwise(_) => {
                commit(entry, self.attempt.login)
            }
        }
    }

    /// What stands in the request and may not, whoever sends it.
    fn unwelcome(&self, asked: &Asked<'_>) -> Option<RegisterError> {
        // A proxy that is not trusted has put itself in the way of a phone that does not know of it.
        if !asked.path.is_empty() && !asked.options.path && self.attempt.origin != Origin::Listed {
            return Some(RegisterError::PathUnsupported);
        }
        let Wanted::Contacts(contacts) = &asked.wanted else { return None };
        if !self.flow.transport.is_secure() {
            let sips = |contact: &AskedContact<'_>| {
                let likely = matches!(contact.uri.get(3), Some(b's' | b'S'));
                likely && contact.expires_s > 0 && Scheme::of(contact.uri) == Some(Scheme::Sips)
            };
            if contacts.iter().any(sips) {
                return Some(RegisterError::NotSecure);
            }
        }
        let ours = contacts.iter().any(|contact| {
            let uri = memchr::memmem::find(contact.uri, b"gr").and_then(|_| Uri::parse(contact.uri));
            uri.is_some_and(|uri| uri.gruu().is_some() && self.settings.is_ours(&uri))
        });
        ours.then_some(RegisterError::ContactIsOurs)
    }

    /// As [`decide`](Self::decide), when the store has been asked and cannot say: what only refreshes
    /// bindings beyond doubt is done in memory, and nothing else.
    fn decide_alone(&self, entry: &mut Entry, who: Who, epoch: u32, jitter: u8, now: Wall) -> Decision {
        let unchanged = entry.credentials.as_ref().is_some_and(|credentials| credentials.epoch == epoch);
        if let (Ok(asked), Ok(()), true) = (self.asked, entry.may_sign_in(), unchanged)
            && let Weighed::Refresh { device, plan } = self.weigh(entry, asked, who, jitter, now)
            && beyond_doubt(entry, asked, &plan)
        {
            return self.refresh(entry, asked, device, &plan, now);
        }
        Decision::Refused(Refusal::StoreUnavailable)
    }

    /// What it comes to by what memory knows; changes nothing.
    fn weigh(&self, entry: &Entry, asked: &Asked<'_>, who: Who, jitter: u8, now: Wall) -> Weighed {
        let refused = |refusal| Weighed::Otherwise(Decision::Refused(refusal));
        let nothing_to_do = asked.only_removes() || matches!(asked.wanted, Wanted::Query);
        let device = match admit(&entry.licence, who, entry.devices_max(self.settings.devices_max)) {
            Admission::Known(device) => device,
            Admission::Refuse(licence::Refusal::AppDisabled) => return refused(Refusal::AppDisabled),
            Admission::Refuse(licence::Refusal::DeviceRevoked) => return refused(Refusal::DeviceRevoked),
            // From a device that is not known there is nothing to end: 200, and no effect.
            Admission::Activate | Admission::Refuse(_) if nothing_to_do => {
                return Weighed::Otherwise(Decision::Done {
                    device: None,
                    refreshed: SmallVec::new(),
                    cloned: false,
                    moved: false,
                    news: None,
                });
            }
            Admission::Refuse(licence::Refusal::CapReached { .. }) => return refused(Refusal::CapReached),
            Admission::Adopt(_) | Admission::Activate => return Weighed::Commit,
        };
        let known = entry.licence.device(device);
        let sha256 = self.attempt.credentials.algorithm() == Algorithm::Sha256;
        if sha256 && known.is_some_and(|known| !known.sha256) {
            return Weighed::Commit;
        }
        let replaces = entry.kind == Kind::Station || known.is_some_and(Device::has_good_key);
        match registrar::plan(&entry.bindings, device, asked, self.flow, replaces, jitter, now) {
            Err(error) => refused(Refusal::Register(error)),
            Ok(plan) if !plan.is_refresh() => Weighed::Commit,
            Ok(plan) => Weighed::Refresh { device, plan },
        }
    }

    /// Refreshes in memory.
    fn refresh(
        &self,
        entry: &mut Entry,
        asked: &Asked<'_>,
        device: DeviceId,
        plan: &Plan,
        now: Wall,
    ) -> Decision {
        for binding in entry.bindings.iter_mut().filter(|_| entry.doubt.is_open()) {
            if plan.ops.iter().any(|op| matches!(op, Op::Refresh { number, .. } if *number == binding.number))
            {
                binding.turn = entry.doubt.latest_turn(binding.number, binding.turn);
            }
        }
        let refreshed = self.journal(&entry.bindings, plan, asked);
        let cloned = plan.seen != Seen::Usual;
        let (moved, news) = self.news(&entry.bindings, plan, now);
        registrar::apply(&mut entry.bindings, &mut 0, plan, device, asked, self.flow);
        Decision::Done { device: Some(device), refreshed, cloned, moved, news }
    }

    /// Whether a refresh of these bindings comes by another way than the one before, and what the history
    /// is to have of it: nothing, if its phone is where it was and has been there.
    fn news(&self, bindings: &[Binding], plan: &Plan, now: Wall) -> (bool, Option<Box<Happened>>) {
        let (mut moved, mut news) = (false, None);
        for op in &plan.ops {
            let Op::Refresh { number, .. } = op else { continue };
            let Some(binding) = bindings.iter().find(|binding| binding.number == *number) else { continue };
            let elsewhere = binding.remote != self.flow.remote;
            let ended = !binding.is_live(now);
            moved |= elsewhere;
            if elsewhere || ended {
                let what = if ended {
                    Happening::Returned(binding.expires)
                } else {
                    Happening::Moved(binding.remote)
                };
                let (device, address) = (Some(binding.device), Some(self.flow.remote));
                news = Some(Box::new(Happened { at: now, device, address, what }));
            }
        }
        (moved, news)
    }

    /// What the journal keeps of a refresh of these bindings, before it is carried out.
    fn journal(&self, bindings: &[Binding], plan: &Plan, asked: &Asked<'_>) -> SmallVec<[Refresh; 1]> {
        let refreshed = plan.ops.iter().filter_map(|op| {
            let Op::Refresh { number, expires } = op else { return None };
            let binding = bindings.iter().find(|binding| binding.number == *number)?;
            Some(Refresh {
                login: self.attempt.login.into(),
                number: *number,
                turn: binding.turn.wrapping_add(1),
                call_id: (*binding.call_id != *asked.call_id).then(|| asked.call_id.into()),
                expires: *expires,
                cseq: asked.cseq,
                remote: self.flow.remote,
            })
        });
        refreshed.collect()
    }
}

/// Whether memory may answer for all that a plan is about. In doubt each contact must be one that
/// memory has: of another it cannot even say that there is nothing to end.
fn beyond_doubt(entry: &Entry, asked: &Asked<'_>, plan: &Plan) -> bool {
    let Wanted::Contacts(contacts) = &asked.wanted else { return !entry.doubt.is_any() };
    let sure = |op: &Op| matches!(op, Op::Refresh { number, .. } if !entry.doubt.touches(*number));
    !entry.doubt.is_any() || (plan.ops.len() == contacts.len() && plan.ops.iter().all(sure))
}

/// Lets the store decide; until it has, it decides about every REGISTER of the extension.
fn commit(entry: &mut Entry, login: &str) -> Decision {
    match (LoginName::of_account(login), &entry.credentials) {
        (Ok(login), Some(credentials)) => {
            entry.doubt.begin();
            Decision::Commit { login, epoch: credentials.epoch }
        }
        _ => Decision::Refused(Refusal::ExtensionNotActive),
    }
}

/// Whether a URI names this extension: its login name as user part, and a host that is ours (§10.3
/// step 5).
pub(super) fn names(uri: &[u8], login: &str, settings: &Settings) -> bool {
    Uri::parse(uri).is_some_and(|uri| *uri.user_decoded() == *login.as_bytes() && settings.is_ours(&uri))
}
