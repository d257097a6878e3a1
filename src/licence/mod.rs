//! The softphone licence of an extension: which devices there are, who a REGISTER comes from, and
//! the cap (PRODUCT §4, ARCHITECTURE §4 "Who is a device").

use crate::base::time::Wall;
use serde::{Deserialize, Serialize};

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
    /// The devices of this generation, revoked ones included.
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
    /// The address it was last seen at, when it was written.
    pub address: String,
    /// Whether it has used SHA-256, after which MD5 is not accepted from it.
    pub sha256: bool,
}

/// What a device shows of itself that lasts (rungs 2–4 and 6 of the ladder).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    /// `+sip.instance`, normalised (lower case, without `<>`); RFC 5626 §4.1.
    pub instance: Option<Box<str>>,
    /// Rung 6.
    pub fingerprint: Fingerprint,
}

/// What look-alikes share: product without version, Contact user, private host and port, `line`.
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
