//! A sign-in: who it is, whether the secret may be looked at, whether it is right, and what a
//! failure begins. One pass under one entry's lock, the same work for known and unknown users.

use super::{Directory, Entry};
use crate::base::flow::Flow;
use crate::base::time::Now;
use crate::digest::{Algorithms, Credentials, Ha1};
use crate::licence::{DeviceId, Evidence, Who, identify};
use crate::lockout::{Ban, Lock};
use crate::registrar::Asked;
use crate::sip::{Message, Name};
use std::time::Duration;

/// What sign-ins share: counters of strangers and sources, and the decoy of unknown users.
#[derive(Debug)]
pub struct Guard {
    decoy: Ha1,
}

impl Guard {
    /// A guard without any failures yet.
    #[must_use]
    pub const fn new(decoy: Ha1) -> Self {
        Self { decoy }
    }
}

/// A request with credentials that may be judged.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Who it says it is.
    pub login: &'a str,
    /// Its method.
    pub method: &'a [u8],
    /// Its credentials.
    pub credentials: Credentials<'a>,
    /// What it shows of its device.
    pub evidence: Evidence<'a>,
    /// Which algorithms may be used.
    pub algorithms: &'a Algorithms,
}

impl<'a> Attempt<'a> {
    /// What a request shows. `asked` is what it asks for, if it is a REGISTER.
    #[must_use]
    pub fn new(
        message: &'a Message,
        login: &'a str,
        credentials: Credentials<'a>,
        asked: Option<&Asked<'a>>,
        flow: Flow,
        nonce_device: Option<DeviceId>,
        algorithms: &'a Algorithms,
    ) -> Self {
        Self {
            login,
            method: message.method_token(),
            credentials,
            evidence: evidence(message, asked, flow, nonce_device),
            algorithms,
        }
    }
}

/// What a request shows of its device. `asked` is what it asks for, if it is a REGISTER.
#[must_use]
pub fn evidence<'a>(
    message: &'a Message,
    asked: Option<&Asked<'a>>,
    flow: Flow,
    nonce_device: Option<DeviceId>,
) -> Evidence<'a> {
    let contact = asked.and_then(Asked::main_contact);
    Evidence {
        sip_instance: contact.and_then(|contact| contact.instance),
        user_agent: message.field(Name::UserAgent).unwrap_or_default(),
        contact_uri: contact.map(|contact| contact.uri).unwrap_or_default(),
        call_id: message.call_id(),
        cseq: message.cseq().number,
        flow,
        same_nonce_chain: nonce_device,
    }
}

/// What a failure began.
#[derive(Clone, Debug, Default)]
pub struct Consequence {
    /// The identity is locked from now on; whether it is a known one does not show.
    pub lock: Option<Lock>,
    /// The source is banned from now on.
    pub ban: Option<Ban>,
}

/// What came of a sign-in.
#[derive(Debug)]
pub enum Verdict<T> {
    /// The secret is right; what was decided with the entry.
    Good(T),
    /// The secret is wrong, or the user unknown.
    Wrong(Consequence),
    /// The secret was not looked at, for this much longer.
    Locked(Duration),
    /// The secret is right, but by MD5 from a device that has used SHA-256: no failure, no sign-in.
    Downgrade,
}

impl Directory {
    /// Judges a sign-in; `good` runs on the entry, still under its lock, if the secret is right.
    pub fn sign_in<T>(
        &self,
        now: Now,
        attempt: &Attempt<'_>,
        good: impl FnOnce(&mut Entry, Who) -> T,
    ) -> Verdict<T> {
        let Some(mut entry) = self.entries.get_mut(attempt.login) else {
            let _ = self.guard.decoy.verify(&attempt.credentials, attempt.method);
            return Verdict::Wrong(Consequence::default());
        };
        let who = identify(&attempt.evidence, &entry.licence, &entry.bindings, now.wall);
        if let Some(lock) = entry.lock.as_ref().filter(|lock| lock.until > now.wall) {
            return Verdict::Locked(lock.until.since(now.wall));
        }
        let ha1 = entry.credentials.as_ref().map_or(&self.guard.decoy, |credentials| &credentials.ha1);
        if !ha1.verify(&attempt.credentials, attempt.method) || entry.credentials.is_none() {
            return Verdict::Wrong(Consequence::default());
        }
        let sha256 = who.device().and_then(|id| entry.licence.device(id)).is_some_and(|device| device.sha256);
        if !attempt.algorithms.accepts(attempt.credentials.algorithm(), sha256) {
            return Verdict::Downgrade;
        }
        Verdict::Good(good(&mut entry, who))
    }
}
