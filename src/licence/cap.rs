//! The cap: what a licence lets a device do, and how devices come and go (PRODUCT §4).
//!
//! | App | Who | Places | Admission |
//! |-----|-----|--------|-----------|
//! | disabled | anyone | – | refused: app disabled |
//! | enabled | revoked | – | refused: device revoked |
//! | enabled | known | – | known, even above a cap that was lowered |
//! | enabled | look-alike | – | adopted: same device; if it has moved, under a new id |
//! | enabled | new | free | activated |
//! | enabled | new | none free | refused: cap reached |
//!
//! A place is taken by each device of the present generation that is not revoked; neither the end of a
//! binding nor time frees it. The cap is kept here, where the device is added, and not only where it is
//! asked for.

use super::ladder::ip_of;
use super::{Device, DeviceId, Keys, Licence, TRAILS_MAX, Trace, Trail, Who};
use crate::base::limit::{DEVICE_NAME_CHARS_MAX, DEVICES_MAX};
use crate::base::time::Wall;

/// Why a licence refuses a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The softphone app of the extension is not enabled.
    #[error("the softphone app is disabled")]
    AppDisabled,
    /// An administrator revoked this device.
    #[error("this device was revoked")]
    DeviceRevoked,
    /// All places are taken.
    #[error("all {max} devices are activated")]
    CapReached {
        /// How many places there are.
        max: u16,
    },
}

/// What a licence says to a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It is activated already; nothing changes.
    Known(DeviceId),
    /// It is activated already, but comes back changed: [`Licence::adopt`] it, and end what was left
    /// of its bindings.
    Adopt(DeviceId),
    /// It is new and there is a place: [`Licence::activate`] it, durably before the answer.
    Activate,
    /// No.
    Refuse(Refusal),
}

/// What is kept of a device that is activated.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// By what it is known again.
    pub keys: Keys,
    /// Product and version.
    pub model: String,
    /// `IP:PORT` it comes from.
    pub address: String,
}

/// Says whether a device may sign in; `devices_max` places, at most [`DEVICES_MAX`].
#[must_use]
pub fn admit(licence: &Licence, who: Who, devices_max: u16) -> Admission {
    if !licence.enabled {
        return Admission::Refuse(Refusal::AppDisabled);
    }
    let places = usize::from(devices_max).min(DEVICES_MAX);
    match who {
        Who::Known { device, .. } => Admission::Known(device),
        Who::Adopt(device) => Admission::Adopt(device),
        Who::Revoked(_) => Admission::Refuse(Refusal::DeviceRevoked),
        Who::New if licence.activated() < places => Admission::Activate,
        Who::New => Admission::Refuse(Refusal::CapReached { max: devices_max }),
    }
}

impl Licence {
    /// Adds a device. With [`DEVICES_MAX`] remembered, the one revoked longest ago is forgotten.
    ///
    /// # Errors
    /// If the app is disabled or no place is free: then nothing has changed.
    pub fn activate(&mut self, newcomer: Newcomer, devices_max: u16, now: Wall) -> Result<DeviceId, Refusal> {
        if let Admission::Refuse(refusal) = admit(self, Who::New, devices_max) {
            return Err(refusal);
        }
        let full = self.devices.len() >= DEVICES_MAX;
        if let Some(oldest) = self.devices.iter().position(|device| full && device.revoked) {
            self.devices.remove(oldest);
        }
        let id = self.next_id();
        self.devices.push(Device {
            id,
            revoked: false,
            keys: newcomer.keys,
            name: newcomer.model.clone(),
            model: newcomer.model,
            first_seen: now,
            last_seen: now,
            address: newcomer.address,
            sha256: false,
            trails: Box::default(),
        });
        Ok(id)
    }

    fn next_id(&mut self) -> DeviceId {
        let id = DeviceId(self.next_device.max(1));
        self.next_device = id.0.saturating_add(1);
        id
    }

    /// Gives the place of a device to a phone that looks like it; says the id of the device from now
    /// on, `None` if there is no such device. From another private host and port, or another public
    /// address, it may be another phone: then the id is a new one, so that the phone which had the place
    /// and remembers the old id, by a nonce, is judged anew and does not share it.
    pub fn adopt(&mut self, id: DeviceId, seen: Newcomer, now: Wall) -> Option<DeviceId> {
        let before = self.device(id)?;
        let stayed = before.keys.fingerprint.contact_host == seen.keys.fingerprint.contact_host
            && ip_of(&before.address).is_some_and(|ip| Some(ip) == ip_of(&seen.address));
        if !self.recognise(id, seen, now) {
            return None;
        }
        if stayed {
            return Some(id);
        }
        let fresh = self.next_id();
        self.device_mut(id)?.id = fresh;
        Some(fresh)
    }

    /// Keeps what a known or adopted device shows of itself now. A name that people gave it stays, and
    /// so does what it does not show this time. Says whether there is such a device.
    pub fn recognise(&mut self, id: DeviceId, mut seen: Newcomer, now: Wall) -> bool {
        let Some(device) = self.device_mut(id).filter(|device| !device.revoked) else { return false };
        device.take_keys(&mut seen.keys);
        let mut print = seen.keys.fingerprint;
        if print.contact_host.is_empty() {
            let product = std::mem::take(&mut print.product);
            print = std::mem::take(&mut device.keys.fingerprint);
            print.product = product;
        }
        device.keys.fingerprint = print;
        if device.name == device.model {
            device.name.clone_from(&seen.model);
        }
        device.model = seen.model;
        device.address = seen.address;
        device.last_seen = now;
        true
    }

    /// Revokes a device, which frees its place; `traces` are the bindings of the extension, of which
    /// this device's are to be removed. Says whether there is such a device; one already revoked stays
    /// as it is.
    pub fn revoke<'a>(&mut self, id: DeviceId, traces: impl Iterator<Item = Trace<'a>>, now: Wall) -> bool {
        let Some(at) = self.devices.iter().position(|device| device.id == id) else { return false };
        if self.devices.get(at).is_some_and(|device| device.revoked) {
            return true;
        }
        let mut device = self.devices.remove(at);
        device.revoked = true;
        device.last_seen = now;
        device.trails = traces.filter(|trace| trace.device == id).take(TRAILS_MAX).map(Trail::of).collect();
        self.devices.push(device);
        true
    }

    /// Gives a device a name of at most [`DEVICE_NAME_CHARS_MAX`] (the rest is cut: whoever asks people has
    /// refused it); an empty one gives it its model back. Says whether there is such a device.
    pub fn rename(&mut self, id: DeviceId, name: &str) -> bool {
        let Some(device) = self.device_mut(id) else { return false };
        let name: String =
            name.chars().filter(|char| !char.is_control()).take(DEVICE_NAME_CHARS_MAX).collect();
        device.name = if name.trim().is_empty() { device.model.clone() } else { name.trim().to_owned() };
        true
    }

    /// Disables the app and clears its activations. The bindings of its devices are to be removed. An app
    /// that was never enabled counts as one that was, so that the first password does not enable it.
    pub fn disable(&mut self) {
        self.enabled = false;
        self.generation = self.generation.max(1);
        self.devices = Vec::new();
    }

    /// Enables the app: a new generation without devices. The ids of earlier devices are not used
    /// again.
    pub fn enable(&mut self) {
        self.enabled = true;
        self.generation = self.generation.saturating_add(1);
        self.devices = Vec::new();
        self.next_device = self.next_device.max(1);
    }
}

impl Trail {
    fn of(trace: Trace<'_>) -> Self {
        Self {
            transport: trace.flow.transport,
            remote: trace.flow.remote,
            contact: trace.contact.into(),
            call_id: trace.call_id.into(),
        }
    }
}
