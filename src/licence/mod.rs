//! The softphone licence of an extension: which devices there are, who a REGISTER comes from, and
//! the cap (PRODUCT §4, ARCHITECTURE §4 "Who is a device").
//!
//! [`ladder`] says which device a REGISTER comes from, [`cap`] what that device may do, and [`keys`]
//! what a device shows of itself. All of it is pure, and all of it is called under the lock of an
//! extension's entry: recognising a known device allocates nothing.

pub mod cap;
pub mod keys;
pub mod ladder;
mod mac;
mod push;

pub use cap::{Admission, Newcomer, Refusal, admit};
pub use keys::Evidence;
pub use ladder::{Rung, Trace, Traced, Who, identify};
pub use mac::Mac;
pub use push::Push;

use crate::base::flow::Transport;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

#[cfg(test)]
mod cap_tests;
#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod rung_tests;
#[cfg(test)]
mod tests;

/// Traces kept of a revoked device; more of its bindings are forgotten.
pub const TRAILS_MAX: usize = 4;

/// A device of one extension; unique in it, never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct DeviceId(pub u32);

/// The licence: the softphone app of an extension.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Licence {
    /// Whether the app is enabled.
    pub enabled: bool,
    /// Raised by each enabling; 1 for the first.
    pub generation: u32,
    /// The devices of this generation, revoked ones included; the revoked ones in the order of
    /// their revocation.
    pub devices: Vec<Device>,
    /// The id that the next device gets.
    pub next_device: u32,
}

/// One activated (or since revoked) device.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// A revoked device keeps being refused until the app is enabled anew.
    pub revoked: bool,
    /// By what it is known again.
    pub keys: Keys,
    /// What people call it; the model at first.
    pub name: String,
    /// Product and version from the User-Agent.
    pub model: String,
    /// First sign-in.
    pub first_seen: Wall,
    /// Latest durable change; refreshes show in its bindings.
    pub last_seen: Wall,
    /// The address (`IP:PORT`) it was last seen at, when it was written.
    pub address: String,
    /// Whether it has used SHA-256, after which MD5 is not accepted from it.
    pub sha256: bool,
    /// Where a revoked device was when it was revoked, so that it is known again although its
    /// bindings are gone; empty for all others; at most [`TRAILS_MAX`].
    pub trails: Box<[Trail]>,
}

/// What a device shows of itself that lasts (rungs 2–4 and 6 of the ladder).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    /// `+sip.instance`, normalised (lower case, without `<>`); RFC 5626 §4.1. A weak one is kept
    /// too: it proves nothing, but another weak one proves another device.
    pub instance: Option<Box<str>>,
    /// Rung 6.
    pub fingerprint: Fingerprint,
    /// Rungs 3 and 4, which most devices have none of.
    pub more: Option<Box<MoreKeys>>,
}

/// The keys of rungs 3 and 4.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct MoreKeys {
    /// The MAC address it last told.
    pub mac: Option<Mac>,
    /// The push identity it last had.
    pub push: Option<Push>,
}

/// What look-alikes share (product without version, Contact user, `line`), and where this one lives.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// User-Agent up to its version, lower case.
    pub product: Box<str>,
    /// User part of the Contact.
    pub contact_user: Box<str>,
    /// Host and port of the Contact as the phone wrote them.
    pub contact_host: Box<str>,
    /// The `line` parameter of the Contact, if any.
    pub line: Box<str>,
}

/// What a revoked device was doing when it was revoked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    /// Over what it was heard.
    pub transport: Transport,
    /// From where.
    pub remote: SocketAddr,
    /// The Contact URI of its binding.
    pub contact: Box<[u8]>,
    /// The Call-ID of its REGISTER.
    pub call_id: Box<[u8]>,
}

impl Licence {
    /// A device by its id.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }

    /// A device by its id, to be changed.
    #[must_use]
    pub fn device_mut(&mut self, id: DeviceId) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.id == id)
    }

    /// The earliest that the bindings of a device may have begun: each that begins is a durable change.
    #[must_use]
    pub fn bound_at(&self, device: DeviceId) -> Wall {
        self.device(device).map_or(Wall::default(), |device| device.last_seen)
    }

    /// How many places are taken: the devices of this generation that are not revoked.
    #[must_use]
    pub fn activated(&self) -> usize {
        self.devices.iter().filter(|device| !device.revoked).count()
    }
}
