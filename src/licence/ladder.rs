//! The identity ladder: which device a REGISTER comes from (ARCHITECTURE §4 "Who is a device").
//!
//! The first rung that holds decides, within one extension:
//!
//! | Rung | What the request shows | Verdict |
//! |------|------------------------|---------|
//! | 2 | a good `+sip.instance` that a device has | that device |
//! | 2 | a good `+sip.instance` that no device has | a new device, whatever else it shows |
//! | 3 | no good instance, a MAC address that a device has, or that none has | that device; a new one |
//! | 4 | neither, a push identity that a device has, or that none has | that device; a new one |
//! | 5 | Call-ID of a binding with a higher CSeq (an equal one only from the same flow), same product | its device |
//! | 5 | the stream connection of a binding, same product | its device, if it is but one |
//! | 5 | a nonce that a device used before, same product | that device |
//! | 5 | flow (transport, address, port) and Contact URI of a binding; same product if that one is dead | its device |
//! | 5 | as above, of a device before it was revoked | revoked |
//! | 6 | the looks of a device without a good key: see below | that device takes the new place |
//! | – | anything else | a new device |
//!
//! *Good* is an instance that is neither nil nor of a known weak make. A weak one proves nothing, but
//! it disproves: a device with another one is never taken for this.
//!
//! **Why the product stands beside each proof of continuity.** A Call-ID with a rising CSeq can come
//! about by chance (phones that count their Call-IDs from 1), a stream or a nonce can be shared by
//! phones behind one proxy. Another product is then another phone. The product without its version
//! survives an update of the app, so no phone is lost by asking for it. Neither the address nor the
//! Contact is asked for: both change when a phone moves, and it stays the same device. Flow and Contact
//! URI together cannot be shared by two living phones, so nothing more is asked while the binding lives.
//!
//! **Rung 6** looks at the devices without a good key that have the same product, Contact user and
//! `line`, and no other weak instance:
//! - one that lives (has a live binding whose flow can be used) is taken only if it has the same private
//!   host and port behind the same public address; else it is another phone;
//! - of those that are dead the nearest is taken: with the same private host and port at the same
//!   public address, then with the same host and port, the same host, the same public address, any.
//!
//! It must be the only one of its nearness, or there is no knowing which it is. A revoked one among
//! them refuses the request, since a revoked device stays refused. Without a User-Agent only the same
//! private host and port behind the same public address will do. A device with a good key is never
//! taken over: it may come back with its key, and two phones would share one place of the licence.
//! Who had a place that was adopted could share it likewise, by a nonce; so the device that moved has a
//! new id, and the nonce is one of a device that is no more.
//!
//! **Through a proxy** the flow is the proxy's: phones behind it share its address, its stream and, if
//! they have the same private address behind two NATs, even the Contact URI. So then neither flow nor
//! stream proves anything, no flow counts as known, and no look-alike that lives is taken.
//!
//! **Why a key decides alone.** If a known MAC or push identity vouched for an unknown instance, a phone
//! could share a place of the licence with each phone that says its MAC. So who shows a better key
//! anew is a new device. A device remembers each key it shows, so that it is still known when it
//! shows less. A key that a revoked device has, too, refuses.
//!
//! **Revoked** devices keep their place on the ladder; all that differs is the verdict.

use super::keys::{Instance, Looks, rung_of, same_uri};
use super::{Device, DeviceId, Evidence, Licence};
use crate::base::flow::{Flow, Transport};
use crate::base::time::Wall;
use std::net::{IpAddr, SocketAddr};

/// A binding, as the ladder sees it.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// Whose it is.
    pub device: DeviceId,
    /// Its Contact URI as the phone wrote it.
    pub contact: &'a [u8],
    /// The Call-ID of its last REGISTER.
    pub call_id: &'a [u8],
    /// The CSeq of that.
    pub cseq: u32,
    /// Where that came from.
    pub flow: Flow,
    /// Whether that came through a proxy, whose flow it then is.
    pub by_proxy: bool,
    /// When it ends.
    pub expires: Wall,
}

/// Something that leaves a trace: a binding.
pub trait Traced {
    /// Its trace.
    fn trace(&self) -> Trace<'_>;
}

/// By what a device was known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rung {
    /// 2: a good `+sip.instance` that nobody can guess.
    Instance,
    /// 2: a good `+sip.instance` that can be known by others: made of a MAC address, or of anything
    /// but chance. It says which device it is, but earns no trust.
    PlainInstance,
    /// 3: a MAC address. It stands on the phone's label: it earns no trust either.
    Mac,
    /// 4: a push identity, which nobody can guess.
    Push,
    /// 5: Call-ID and rising CSeq.
    CallId,
    /// 5: the same stream connection.
    Stream,
    /// 5: the same chain of nonces.
    NonceChain,
    /// 5: the same flow with the same Contact URI.
    Flow,
}

/// Who a REGISTER comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    /// An activated device.
    Known {
        /// Which.
        device: DeviceId,
        /// By what.
        by: Rung,
        /// Whether it comes over the flow of one of this device's bindings.
        known_flow: bool,
    },
    /// An activated device that comes back changed (rung 6). What was left of its bindings ends, and
    /// so does its chain of nonces if it has moved ([`Licence::adopt`]), or the phone it was might come
    /// back by them and share its place.
    Adopt(DeviceId),
    /// A revoked device.
    Revoked(DeviceId),
    /// None of them.
    New,
}

impl Who {
    /// The device, unless it is new.
    #[must_use]
    pub const fn device(self) -> Option<DeviceId> {
        match self {
            Self::Known { device, .. } | Self::Adopt(device) | Self::Revoked(device) => Some(device),
            Self::New => None,
        }
    }
}

impl Trace<'_> {
    /// Whether the phone is there: the binding has not ended, nor its connection.
    fn is_alive(&self, now: Wall) -> bool {
        self.expires > now && (!self.flow.transport.is_reliable() || self.flow.stream.is_some())
    }

    fn is_over(&self, transport: Transport, remote: SocketAddr) -> bool {
        self.flow.transport == transport && self.flow.remote == remote
    }
}

/// Says who a REGISTER comes from.
///
/// Looks at no secret and changes nothing; it may be asked before the credentials are judged (to
/// know whether the device is trusted) and is asked again after. Allocates nothing.
///
/// Source: ARCHITECTURE §4 "Who is a device"; RFC 5626 §4.1.
#[must_use]
pub fn identify<B: Traced>(evidence: &Evidence<'_>, licence: &Licence, bindings: &[B], now: Wall) -> Who {
    let look = Look { evidence, licence, bindings, now };
    if let Instance::Good(instance) = Instance::of(evidence.sip_instance) {
        return look.by_key(rung_of(instance), |device| Instance::is_of(instance, device));
    }
    if let Some(mac) = evidence.mac() {
        return look.by_key(Rung::Mac, |device| device.has_mac(mac));
    }
    if let Some(push) = evidence.push() {
        return look.by_key(Rung::Push, |device| device.has_push(push));
    }
    look.continuity().or_else(|| look.trail()).or_else(|| look.fingerprint()).unwrap_or(Who::New)
}

/// One question, with all it is asked about.
struct Look<'a, B> {
    evidence: &'a Evidence<'a>,
    licence: &'a Licence,
    bindings: &'a [B],
    now: Wall,
}

impl<B: Traced> Look<'_, B> {
    /// Rungs 2 to 4: the device that has the key, and nobody else.
    fn by_key(&self, by: Rung, has: impl Fn(&Device) -> bool) -> Who {
        let mut own = self.licence.devices.iter().filter(|device| has(device));
        let Some(first) = own.next() else { return Who::New };
        let revoked = std::iter::once(first).chain(own).find(|device| device.revoked);
        self.verdict(revoked.unwrap_or(first), by)
    }

    fn verdict(&self, device: &Device, by: Rung) -> Who {
        if device.revoked {
            return Who::Revoked(device.id);
        }
        let flow = &self.evidence.flow;
        let known_flow = !self.evidence.by_proxy
            && self
                .traces_of(device.id)
                .any(|trace| !trace.by_proxy && trace.is_over(flow.transport, flow.remote));
        Who::Known { device: device.id, by, known_flow }
    }

    fn traces_of(&self, device: DeviceId) -> impl Iterator<Item = Trace<'_>> {
        self.bindings.iter().map(Traced::trace).filter(move |trace| trace.device == device)
    }

    /// The device that left a trace, if it is still one and nothing speaks against it.
    fn sound(&self, device: DeviceId) -> Option<&Device> {
        self.licence.device(device).filter(|device| device.is_not_belied_by(self.evidence))
    }

    /// Rung 5.
    fn continuity(&self) -> Option<Who> {
        let device = |by| move |device: &Device| self.verdict(device, by);
        self.by_call_id()
            .map(device(Rung::CallId))
            .or_else(|| self.by_stream().map(device(Rung::Stream)))
            .or_else(|| {
                self.evidence.same_nonce_chain.and_then(|id| self.sound(id)).map(device(Rung::NonceChain))
            })
            .or_else(|| self.by_flow().map(device(Rung::Flow)))
    }

    fn by_call_id(&self) -> Option<&Device> {
        let Evidence { call_id, cseq, flow, .. } = *self.evidence;
        if call_id.is_empty() {
            return None;
        }
        let traces = self.bindings.iter().map(Traced::trace).filter(|trace| trace.call_id == call_id);
        traces
            .filter(|trace| {
                cseq > trace.cseq || (cseq == trace.cseq && trace.is_over(flow.transport, flow.remote))
            })
            .find_map(|trace| self.sound(trace.device))
    }

    /// A stream that several devices share (a proxy's) tells them apart only by their Contact.
    fn by_stream(&self) -> Option<&Device> {
        let stream = self.evidence.flow.stream.filter(|_| !self.evidence.by_proxy)?;
        let mut found: Option<&Device> = None;
        let mut several = false;
        for binding in self.bindings {
            let trace = binding.trace();
            if trace.flow.stream != Some(stream) || trace.by_proxy {
                continue;
            }
            let Some(device) = self.sound(trace.device) else { continue };
            if same_uri(trace.contact, self.evidence.contact_uri) {
                return Some(device);
            }
            several |= found.is_some_and(|other| other.id != device.id);
            found = Some(device);
        }
        found.filter(|_| !several)
    }

    fn by_flow(&self) -> Option<&Device> {
        let Evidence { flow, contact_uri, by_proxy, .. } = *self.evidence;
        if by_proxy {
            return None;
        }
        let traces = self.bindings.iter().map(Traced::trace);
        traces
            .filter(|trace| {
                !trace.by_proxy
                    && trace.is_over(flow.transport, flow.remote)
                    && same_uri(trace.contact, contact_uri)
            })
            .find_map(|trace| {
                let device = self.licence.device(trace.device)?;
                let holds = if trace.is_alive(self.now) {
                    !device.has_another_instance(self.evidence)
                } else {
                    device.is_not_belied_by(self.evidence)
                };
                holds.then_some(device)
            })
    }

    /// Rung 5 for the revoked, whose bindings are gone.
    fn trail(&self) -> Option<Who> {
        let Evidence { call_id, flow, contact_uri, by_proxy, .. } = *self.evidence;
        let mut revoked = self.licence.devices.iter().filter(|device| device.revoked);
        revoked
            .find(|device| {
                device.trails.iter().any(|trail| {
                    (!by_proxy
                        && trail.transport == flow.transport
                        && trail.remote == flow.remote
                        && same_uri(&trail.contact, contact_uri)
                        && !device.has_another_instance(self.evidence))
                        || (!call_id.is_empty()
                            && *trail.call_id == *call_id
                            && device.is_not_belied_by(self.evidence))
                })
            })
            .map(|device| Who::Revoked(device.id))
    }

    /// Rung 6.
    fn fingerprint(&self) -> Option<Who> {
        let looks = Looks::of(self.evidence);
        if !looks.has_place() {
            return None;
        }
        let mut nearest: Option<(Nearness, Who)> = None;
        let mut alone = true;
        for device in &self.licence.devices {
            let like = looks.are_like(&device.keys.fingerprint)
                && !device.has_good_key()
                && !device.has_another_instance(self.evidence);
            let Some(near) = like.then(|| self.nearness(device, &looks)).flatten() else { continue };
            let who = if device.revoked { Who::Revoked(device.id) } else { Who::Adopt(device.id) };
            match &nearest {
                Some((best, _)) if *best < near => {}
                Some((best, held)) if *best == near => {
                    alone = false;
                    if !matches!(held, Who::Revoked(_)) {
                        nearest = Some((near, who));
                    }
                }
                _ => {
                    alone = true;
                    nearest = Some((near, who));
                }
            }
        }
        nearest.map(|(_, who)| who).filter(|who| alone || matches!(who, Who::Revoked(_)))
    }

    /// How near a look-alike is; `None` if it is another phone.
    fn nearness(&self, device: &Device, looks: &Looks<'_>) -> Option<Nearness> {
        let public = self.evidence.flow.remote.ip().to_canonical();
        let print = &device.keys.fingerprint;
        let (mut alive, mut here) = (false, false);
        for trace in self.traces_of(device.id).filter(|trace| trace.is_alive(self.now)) {
            alive = true;
            here |= !(trace.by_proxy || self.evidence.by_proxy)
                && trace.flow.remote.ip().to_canonical() == public
                && looks.same_place_as(trace.contact);
        }
        if alive {
            return here.then_some(Nearness::LivesHere);
        }
        let same_public = ip_of(&device.address) == Some(public);
        let near = match (looks.same_place(print), looks.same_host(print), same_public) {
            (true, _, true) => Nearness::PlaceAndAddress,
            (true, _, false) => Nearness::Place,
            (false, true, _) => Nearness::Host,
            (false, false, true) => Nearness::Address,
            (false, false, false) => Nearness::Looks,
        };
        (looks.has_product() || near == Nearness::PlaceAndAddress).then_some(near)
    }
}

/// How near a look-alike is, nearest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Nearness {
    /// Alive, at the same private host and port behind the same public address.
    LivesHere,
    /// Dead; the same private host and port, and the same public address.
    PlaceAndAddress,
    /// Dead; the same private host and port.
    Place,
    /// Dead; the same private host.
    Host,
    /// Dead; the same public address.
    Address,
    /// Dead; nothing but the looks.
    Looks,
}

/// The address of an `IP:PORT` or `IP`.
pub(super) fn ip_of(address: &str) -> Option<IpAddr> {
    let ip = address.parse::<SocketAddr>().map(|address| address.ip());
    ip.or_else(|_| address.parse::<IpAddr>()).ok().map(|ip| ip.to_canonical())
}
