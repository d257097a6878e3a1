//! Credentials of a request: from none to ready to be judged.

use super::Core;
use super::boundary::{Durable, Event, Output};
use super::meters::LockScope;
use super::refusal::Refusal;
use super::settings::Settings;
use crate::account::LoginName;
use crate::base::flow::Flow;
use crate::base::time::Now;
use crate::digest::challenge::{self, Stale};
use crate::digest::{Credentials, CredentialsError, Judgement, NonceRef, Outcome, Role, Sha256};
use crate::directory::sign_in::{Attempt, Consequence};
use crate::licence::DeviceId;
use crate::sip::{Message, Name};

/// The number of an accepted request of no device.
const NO_DEVICE: u64 = u64::MAX >> 2;

/// What a request shows.
pub(super) enum Presented<'m> {
    /// No credentials for our realm.
    Nothing,
    /// Credentials that break the grammar, or need what was not offered.
    Broken(CredentialsError),
    /// An expired, unknown or replayed nonce: the response is not looked at.
    Stale,
    /// The very bytes that were judged before.
    Again {
        /// What came of them.
        outcome: Outcome,
        /// Who they said they were.
        credentials: Credentials<'m>,
    },
    /// A response to a live nonce: it is judged, once.
    Fresh(Fresh<'m>),
}

/// Credentials that may be judged, and the place to keep what comes of it.
#[derive(Clone, Copy)]
pub(super) struct Fresh<'m> {
    pub(super) credentials: Credentials<'m>,
    pub(super) nonce: NonceRef,
    pub(super) hash: u64,
    /// The device that used the nonce before.
    pub(super) device: Option<DeviceId>,
}

impl<'m> Fresh<'m> {
    /// The sign-in that these credentials are. `login` is their user name.
    pub(super) fn attempt<'a>(
        &self,
        message: &'a Message,
        login: &'a str,
        flow: Flow,
        settings: &'a Settings,
    ) -> Attempt<'a>
    where
        'm: 'a,
    {
        Attempt {
            login,
            method: message.method_token(),
            credentials: self.credentials,
            flow,
            agent: message.field(Name::UserAgent).unwrap_or_default(),
            algorithms: &settings.algorithms,
            origin: settings.origin(flow.source()),
            policy: settings.lockout,
        }
    }
}

impl Core {
    /// Reads a request's credentials and claims its nonce.
    pub(super) fn presented<'m>(
        &self,
        now: Now,
        flow: Flow,
        message: &'m Message,
        role: Role,
    ) -> Presented<'m> {
        let credentials = match Credentials::find(message, role, self.settings.realm.as_bytes()) {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return Presented::Nothing,
            Err(error) if error.status() == 0 => return Presented::Nothing,
            Err(error) => return Presented::Broken(error),
        };
        if credentials.nc().is_none() && !self.settings.allow_without_qop {
            return Presented::Broken(CredentialsError::Qop);
        }
        let hash = self.nonces.request_hash(message.bytes());
        match self.nonces.check(credentials.nonce, credentials.nc(), hash, now.mono, &flow) {
            Judgement::Stale => Presented::Stale,
            Judgement::Retransmission(outcome) => Presented::Again { outcome, credentials },
            Judgement::Fresh { nonce, before } => {
                let device = before.and_then(|before| self.device_of(before, &credentials.username.text()));
                Presented::Fresh(Fresh { credentials, nonce, hash, device })
            }
        }
    }

    /// The outcome of an accepted request: from it the next use of the nonce knows its device. The
    /// login is part of it, since devices of two extensions may have the same id.
    pub(super) fn right(&self, login: &str, device: Option<DeviceId>) -> Outcome {
        let whose = self.hash.hash_one(login) >> 34 << 32;
        Outcome::Right(device.map_or(NO_DEVICE, |device| whose | u64::from(device.0)))
    }

    pub(super) fn device_of(&self, before: Outcome, login: &str) -> Option<DeviceId> {
        let Outcome::Right(number) = before else { return None };
        let device = DeviceId(number as u32);
        (self.right(login, Some(device)) == before && number != NO_DEVICE).then_some(device)
    }

    /// Answers with a fresh challenge.
    pub(super) fn challenge(&mut self, now: Now, flow: Flow, request: &Message, role: Role, stale: Stale) {
        self.challenge_as(now, flow, request, role, stale, Sha256::Unknown);
    }

    /// As `challenge`, of whom that is known of SHA-256.
    pub(super) fn challenge_as(
        &mut self,
        now: Now,
        flow: Flow,
        request: &Message,
        role: Role,
        stale: Stale,
        sha256: Sha256,
    ) {
        let nonce = self.nonces.mint(self.shard, now.mono, &flow);
        let offered = self.settings.algorithms.offer(request.field(Name::UserAgent), sha256);
        self.answer_by(request, flow, role.status(), None, |core, writer| {
            challenge::write(writer, role, &core.settings.realm, &nonce, offered, stale);
        });
    }

    /// A wrong secret: a fresh challenge; if the failure began a lock or a ban, once that is durable.
    ///
    /// A lock of an unknown user is not written, but waits for the store like any other: else the
    /// time of the answer would tell which users there are.
    pub(super) fn after_wrong(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        fresh: &Fresh<'_>,
        role: Role,
        consequence: Consequence,
    ) {
        let login = fresh.credentials.username.text();
        let failed = match consequence {
            Consequence::Counted | Consequence::TrustEnded => {
                if matches!(consequence, Consequence::TrustEnded) {
                    self.meters.lock_started(LockScope::Device);
                }
                self.nonces.settle(fresh.nonce, fresh.hash, Outcome::Wrong(0));
                return self.challenge(now, flow, message, role, Stale::No);
            }
            Consequence::Locked(lock) => {
                self.meters.lock_started(LockScope::Identity);
                self.out.push_back(Output::Event(Box::new(Event::Locked {
                    login: login.clone().into_owned(),
                    lock: lock.clone(),
                })));
                Durable::Locked { role, login: LoginName::of_account(&login).ok(), lock }
            }
            Consequence::Banned(begun) => {
                self.meters.lock_started(LockScope::Source);
                self.out.push_back(Output::Event(Box::new(Event::Banned(begun.ban))));
                Durable::Banned { role, begun }
            }
        };
        self.wait_for(now, flow, message, &login, fresh, failed);
    }

    /// Refuses a request as the one table says.
    pub(super) fn refuse(&mut self, flow: Flow, request: &Message, refusal: Refusal) {
        let mut rng = self.rng.clone();
        self.answer(request, flow, refusal.status(), Some(refusal.phrase().as_bytes()), |writer| {
            refusal.write(writer, &mut rng);
        });
        self.rng = rng;
    }

    /// Refuses credentials that cannot be read.
    pub(super) fn refuse_credentials(&mut self, flow: Flow, request: &Message, error: CredentialsError) {
        self.answer(request, flow, 400, Some(error.to_string().as_bytes()), |_| {});
    }
}
