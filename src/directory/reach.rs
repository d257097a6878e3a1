//! What is known of whether the phones of bindings can be reached ([`Proof`]), and the flows that must
//! be kept open for them.

use super::{Directory, Entry, Way};
use crate::account::LoginName;
use crate::base::flow::{Flow, Transport};
use crate::base::time::Wall;
use crate::licence::DeviceId;
use crate::registrar::{Binding, Proof};
use smallvec::SmallVec;

/// A binding whose flow must be kept open.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Kept {
    /// Whose.
    pub login: LoginName,
    /// Its number.
    pub number: u32,
    /// By which listen address it was heard.
    pub listener: u8,
    /// From where.
    pub remote: std::net::SocketAddr,
}

impl Directory {
    /// All bindings whose flow must be kept open, in the order of their names; looks at every entry, so
    /// once at start.
    #[must_use]
    pub fn to_keep(&self, now: Wall) -> Vec<Kept> {
        let mut kept = Vec::new();
        self.each(|login, entry| {
            let bindings = entry.bindings.iter();
            let behind_nat = bindings.filter(|binding| binding.is_live(now) && binding.is_behind_nat());
            kept.extend(behind_nat.map(|binding| Kept {
                login: login.clone(),
                number: binding.number,
                listener: binding.listener,
                remote: binding.remote,
            }));
        });
        kept.sort_unstable();
        kept
    }

    /// By which connection a device is reached now that was reached by another one; `None` if it is still
    /// bound to that, or to none. One of the same kind goes first, of these the one heard last.
    #[must_use]
    pub fn moved(&self, login: &str, device: DeviceId, from: &Flow) -> Option<Flow> {
        self.with(login, |entry| {
            let own = || entry.bindings.iter().filter(|binding| binding.device == device);
            if from.stream.is_none() || own().any(|binding| binding.stream == from.stream) {
                return None;
            }
            let bound = own().filter(|binding| binding.stream.is_some());
            let best = bound.max_by_key(|binding| (binding.transport == from.transport, binding.expires));
            best.map(Binding::flow)
        })?
    }

    /// The bindings of an extension that were heard over this flow, which must be kept open for them.
    pub fn kept_over(&self, login: &str, flow: Flow, now: Wall) -> SmallVec<[u32; 2]> {
        let over = |entry: &mut Entry| {
            let bindings = entry.bindings.iter().filter(|binding| is_over(binding, flow, now));
            bindings.filter(|binding| binding.is_behind_nat()).map(|binding| binding.number).collect()
        };
        self.with(login, over).unwrap_or_default()
    }

    /// The way to a binding over this flow, if the flow is still to be kept open for it: it lives there,
    /// behind a NAT or in doubt; and what is known of it.
    #[must_use]
    pub fn way_to_kept(&self, login: &str, number: u32, flow: Flow, now: Wall) -> Option<(Way, Proof)> {
        self.with(login, |entry| {
            let binding = entry.bindings.iter().find(|binding| binding.number == number)?;
            let kept = is_over(binding, flow, now) && (binding.proof.is_suspect() || binding.is_behind_nat());
            let way =
                || Way { contact: binding.contact.clone(), routes: binding.routes(), flow: binding.flow() };
            kept.then(|| (way(), binding.proof))
        })?
    }

    /// The phone of a binding was heard of at this time, over this flow. A binding that has moved since
    /// is proven by what it came with.
    pub fn prove(&self, login: &str, number: u32, flow: Flow, at: Wall) {
        self.with(login, |entry| {
            let binding = entry.bindings.iter_mut().find(|binding| binding.number == number);
            if let Some(binding) = binding.filter(|binding| binding.flow() == flow) {
                binding.proof = Proof::at(at);
            }
        });
    }

    /// The phone of a binding could not be reached over this flow, whether its end was told or not. True
    /// if it was not in doubt before.
    pub fn doubt_reach(&self, login: &str, number: u32, flow: Flow) -> bool {
        let doubt = |entry: &mut Entry| {
            let binding = entry.bindings.iter_mut().find(|binding| binding.number == number);
            binding.filter(|binding| same_way(binding, flow)).is_some_and(|binding| {
                let new = !binding.proof.is_suspect();
                binding.proof = binding.proof.doubted();
                new
            })
        };
        self.with(login, doubt).unwrap_or(false)
    }
}

fn is_over(binding: &Binding, flow: Flow, now: Wall) -> bool {
    binding.is_live(now) && binding.transport == Transport::Udp && binding.flow() == flow
}

/// Whether a binding is still where a request was sent: a connection that has ended since is no more in it.
fn same_way(binding: &Binding, flow: Flow) -> bool {
    (binding.transport, binding.remote) == (flow.transport, flow.remote)
        && (binding.stream.is_none() || binding.stream == flow.stream)
}
