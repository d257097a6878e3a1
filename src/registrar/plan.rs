//! What becomes of a REGISTER: RFC 3261 §10.3 steps 6 and 7 as a decision.

use super::{Asked, AskedContact, Binding, Chain, Extra, Proof, RegisterError, Wanted};
use crate::base::flow::Flow;
use crate::base::limit;
use crate::base::time::Wall;
use crate::licence::DeviceId;
use crate::sip::Uri;
use smallvec::SmallVec;
use std::time::Duration;

/// One step of a [`Plan`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Op {
    /// The binding of this number lives on, heard from here, until then.
    Refresh {
        /// Which.
        number: u32,
        /// Its new end.
        expires: Wall,
    },
    /// A new binding of this contact.
    Add {
        /// Index into the request's contacts.
        contact: usize,
        /// Its end.
        expires: Wall,
    },
    /// The binding of this number ends.
    Remove(u32),
}

/// What a REGISTER does, decided as a whole before anything is changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// In the order of the request's contacts, removals of what they replace behind them.
    pub ops: SmallVec<[Op; 2]>,
    /// What it shows of the device.
    pub seen: Seen,
    /// When it was made.
    at: Wall,
    /// What a binding that begins or is refreshed has of those before it.
    heir: Heir,
}

/// What a REGISTER shows of a device with a lasting key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Seen {
    /// Nothing special.
    #[default]
    Usual,
    /// There are several phones with its key ([`Extra`]); this shows for the first time.
    Cloned,
    /// The same again.
    ClonedAgain,
}

/// What goes on from one binding of a device to the next.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Heir {
    before: Option<Chain>,
    clones: u16,
    born: u32,
}

impl Plan {
    /// Whether a binding begins.
    #[must_use]
    pub fn begins(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Add { .. }))
    }

    /// Whether no binding begins or ends, and no clone is found: then nothing need be durable before the answer.
    #[must_use]
    pub fn is_refresh(&self) -> bool {
        self.seen != Seen::Cloned && self.ops.iter().all(|op| matches!(op, Op::Refresh { .. }))
    }
}

/// Decides what `asked`, sent by `device` over `flow`, does to the extension's `bindings`.
///
/// `jitter` (0–255) shortens what is granted by up to a twentieth, so that phones that came back
/// together do not march in step. A device with a lasting key (`replaces`) has one contact: what
/// it had before and does not name now ends, since it is where the phone was, not where it is.
///
/// # Errors
/// `TooBrief`, `OutOfOrder` and `TooMany`; nothing is then changed.
pub fn plan(
    bindings: &[Binding],
    device: DeviceId,
    asked: &Asked<'_>,
    flow: Flow,
    replaces: bool,
    jitter: u8,
    now: Wall,
) -> Result<Plan, RegisterError> {
    if let Some(brief) = asked.brief {
        return Err(brief);
    }
    let own = || bindings.iter().filter(|binding| binding.device == device);
    let in_order = |binding: &Binding| {
        &*binding.call_id != asked.call_id || binding.cseq < asked.cseq || !binding.is_live(now)
    };
    let mut plan = Plan { at: now, ..Plan::default() };
    match &asked.wanted {
        Wanted::Query => {}
        Wanted::RemoveAll => {
            for binding in own() {
                if !in_order(binding) {
                    return Err(RegisterError::OutOfOrder);
                }
                plan.ops.push(Op::Remove(binding.number));
            }
        }
        Wanted::Contacts(contacts) => {
            for (index, contact) in contacts.iter().enumerate() {
                let twice = |earlier: &AskedContact<'_>| {
                    earlier.reg_id == contact.reg_id && same_uri(earlier.uri, contact.uri)
                };
                if contacts.iter().take(index).any(twice) {
                    continue; // named twice: the first counts
                }
                // Its flow; else the like contact without a flow, of which there is at most one.
                let present = own()
                    .find(|binding| is_flow(binding, contact))
                    .or_else(|| own().find(|binding| binding.reg_id() == 0 && same_contact(binding, contact)))
                    .or_else(|| own().find(|binding| same_contact(binding, contact)));
                if present.is_some_and(|binding| !in_order(binding)) {
                    return Err(RegisterError::OutOfOrder);
                }
                let expires = now + granted(contact.expires_s, jitter);
                match present {
                    Some(binding) if contact.expires_s == 0 => plan.ops.push(Op::Remove(binding.number)),
                    Some(binding) if same_path(binding, contact, asked, flow) => {
                        plan.ops.push(Op::Refresh { number: binding.number, expires });
                    }
                    Some(binding) => {
                        plan.ops.push(Op::Remove(binding.number));
                        plan.ops.push(Op::Add { contact: index, expires });
                    }
                    None if contact.expires_s == 0 => {}
                    None => plan.ops.push(Op::Add { contact: index, expires }),
                }
            }
            if plan.ops.iter().any(|op| matches!(op, Op::Add { .. })) {
                drop_what_is_replaced(&mut plan, bindings, device, contacts, replaces, now);
            }
            if replaces && let Some(contact) = contacts.iter().find(|contact| contact.expires_s > 0) {
                inherit(&mut plan, bindings, device, contact, asked, flow, now);
            }
        }
    }
    let adds = plan.ops.iter().filter(|op| matches!(op, Op::Add { .. })).count();
    let removes = plan.ops.iter().filter(|op| matches!(op, Op::Remove(_))).count();
    if adds > 0 && bindings.len() + adds > limit::BINDINGS_MAX + removes {
        return Err(RegisterError::TooMany);
    }
    Ok(plan)
}

/// Adding a binding is a durable change anyway: expired ones of the extension, and those that the
/// new one replaces, go with it.
fn drop_what_is_replaced(
    plan: &mut Plan,
    bindings: &[Binding],
    device: DeviceId,
    contacts: &[AskedContact<'_>],
    replaces: bool,
    now: Wall,
) {
    for binding in bindings {
        let named = binding.device == device && contacts.iter().any(|contact| same_contact(binding, contact));
        let beside = binding.reg_id() != 0 && contacts.iter().any(|contact| contact.reg_id != 0);
        let gone = !binding.is_live(now) || (replaces && binding.device == device && !beside);
        let planned = plan.ops.iter().any(
            |op| matches!(op, Op::Remove(number) | Op::Refresh { number, .. } if *number == binding.number),
        );
        if gone && !named && !planned {
            plan.ops.push(Op::Remove(binding.number));
        }
    }
}

/// What the binding of a device with a lasting key has of those before it, and whether the device shows
/// to be several.
fn inherit(
    plan: &mut Plan,
    bindings: &[Binding],
    device: DeviceId,
    contact: &AskedContact<'_>,
    asked: &Asked<'_>,
    flow: Flow,
    now: Wall,
) {
    let own = || bindings.iter().filter(|binding| binding.device == device && binding.is_live(now));
    let chain = own().find(|binding| *binding.call_id == *asked.call_id);
    if let Some(binding) = chain {
        let born = binding.extra.as_ref().map_or(0, |extra| extra.born);
        plan.heir.born = if born == 0 { binding.number } else { born };
    }
    let last =
        own().filter(|binding| binding.reg_id() == contact.reg_id).max_by_key(|binding| binding.number);
    let Some(last) = last else { return };
    let before = last.extra.as_ref().and_then(|extra| extra.before);
    plan.heir.clones = last.clones();
    if *last.call_id == *asked.call_id {
        plan.heir.before = before;
        return;
    }
    plan.heir.before = Some(Chain::new(&last.call_id, last.cseq));
    let returns = before.is_some_and(|before| before.is_continued_by(asked.call_id, asked.cseq));
    if returns && last.remote != flow.remote {
        plan.heir.clones = last.clones().saturating_add(1);
        plan.seen = if last.clones() == 0 { Seen::Cloned } else { Seen::ClonedAgain };
    }
}

/// Carries a plan out. `next_number` numbers new bindings and is raised.
pub fn apply(
    bindings: &mut Vec<Binding>,
    next_number: &mut u32,
    plan: &Plan,
    device: DeviceId,
    asked: &Asked<'_>,
    flow: Flow,
) {
    for op in &plan.ops {
        match op {
            Op::Remove(gone) => bindings.retain(|binding| binding.number != *gone),
            Op::Refresh { number, expires } => {
                if let Some(binding) = bindings.iter_mut().find(|binding| binding.number == *number) {
                    refresh(binding, plan, asked, flow, *expires);
                }
            }
            Op::Add { contact, expires } => {
                let Wanted::Contacts(contacts) = &asked.wanted else { continue };
                let Some(contact) = contacts.get(*contact) else { continue };
                bindings.push(Binding {
                    number: *next_number,
                    turn: 0,
                    device,
                    contact: contact.uri.into(),
                    call_id: asked.call_id.into(),
                    cseq: asked.cseq,
                    expires: *expires,
                    transport: flow.transport,
                    listener: flow.listener,
                    remote: flow.remote,
                    stream: flow.stream,
                    q: contact.q,
                    proof: Proof::at(plan.at),
                    extra: inherited(Extra::of(contact, asked, plan.at), &plan.heir),
                });
                *next_number += 1;
            }
        }
    }
}

/// With what goes on from the bindings before; nothing is made for nothing.
fn inherited(extra: Option<Box<Extra>>, heir: &Heir) -> Option<Box<Extra>> {
    let mut extra = match extra {
        Some(extra) => extra,
        None if heir.before.is_some() || heir.clones > 0 => Box::default(),
        None => return None,
    };
    (extra.before, extra.clones, extra.born) = (heir.before, heir.clones, heir.born);
    Some(extra)
}

fn refresh(binding: &mut Binding, plan: &Plan, asked: &Asked<'_>, flow: Flow, expires: Wall) {
    if let Some(extra) = &mut binding.extra {
        extra.heard = plan.at;
    }
    if &*binding.call_id != asked.call_id && plan.heir.before.is_some() {
        let extra = binding.extra.get_or_insert_default();
        (extra.before, extra.clones, extra.born) = (plan.heir.before, plan.heir.clones, plan.heir.born);
    }
    binding.turn = binding.turn.wrapping_add(1);
    binding.expires = expires;
    binding.proof = Proof::at(plan.at);
    binding.cseq = asked.cseq;
    binding.remote = flow.remote;
    binding.stream = flow.stream;
    if &*binding.call_id != asked.call_id {
        binding.call_id = asked.call_id.into();
    }
}

/// Whether a contact is that of a binding: the same flow, or the same URI and not another flow.
fn same_contact(binding: &Binding, contact: &AskedContact<'_>) -> bool {
    is_flow(binding, contact)
        || ((binding.reg_id() == 0 || contact.reg_id == 0) && same_uri(&binding.contact, contact.uri))
}

fn is_flow(binding: &Binding, contact: &AskedContact<'_>) -> bool {
    contact.reg_id != 0 && binding.reg_id() == contact.reg_id
}

fn same_uri(first: &[u8], second: &[u8]) -> bool {
    first == second
        || match (Uri::parse(first), Uri::parse(second)) {
            (Some(first), Some(second)) => first.same(&second),
            _ => false,
        }
}

/// Whether only what the journal carries has changed.
fn same_path(binding: &Binding, contact: &AskedContact<'_>, asked: &Asked<'_>, flow: Flow) -> bool {
    binding.transport == flow.transport
        && binding.listener == flow.listener
        && binding.q == contact.q
        && &*binding.contact == contact.uri
        && Extra::is_kept_in(binding, contact, asked)
}

fn granted(expires_s: u32, jitter: u8) -> Duration {
    let expires = Duration::from_secs(expires_s.into());
    // From a minute up: below, a twentieth is no spread and a second matters.
    if expires_s <= 60 { expires } else { expires - expires / 20 * u32::from(jitter) / 256 }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
