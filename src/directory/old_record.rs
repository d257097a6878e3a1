//! Records of extensions as earlier schemas wrote them.
//!
//! | schema | what it had not |
//! |--------|-----------------|
//! | 4      | where codes by SMS go, what names an edit, the answer to the last one |
//! | 3      | these, and what the portal knows, direct numbers, the station, the locks of other sign-ins than SIP, what people were told lately |
//! | 2      | these, and the keys of rungs 3 and 4 of a device, what only some bindings have |
//! | 1      | these, and the invitation and the mails at its end |
//!
//! postcard has no names, so what stood between has to be read as it was.

use super::record::{ExtensionRecord, Notice, SealedCredentials};
use crate::account::{Answered, Life, LoginName, Mobile, Portal, Role, Told};
use crate::base::flow::Transport;
use crate::base::time::Wall;
use crate::licence::{Device, DeviceId, Fingerprint, Keys, Licence, Trail};
use crate::lockout::Lock;
use crate::registrar::Binding;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

#[derive(Serialize, Deserialize)]
struct OldExtension {
    login: LoginName,
    name: String,
    email: Option<String>,
    role: Role,
    life: Life,
    credentials: Option<SealedCredentials>,
    previous: Option<SealedCredentials>,
    licence: OldLicence,
    bindings: Vec<OldBinding>,
    next_binding: u32,
    lock: Option<Lock>,
    outbox: Vec<Notice>,
}

#[derive(Serialize, Deserialize)]
struct OldLicence {
    enabled: bool,
    generation: u32,
    devices: Vec<OldDevice>,
    next_device: u32,
}

#[derive(Serialize, Deserialize)]
struct OldDevice {
    id: DeviceId,
    revoked: bool,
    instance: Option<Box<str>>,
    fingerprint: Fingerprint,
    name: String,
    model: String,
    first_seen: Wall,
    last_seen: Wall,
    address: String,
    sha256: bool,
    trails: Box<[Trail]>,
}

#[derive(Serialize, Deserialize)]
struct OldBinding {
    number: u32,
    turn: u32,
    device: DeviceId,
    contact: Box<[u8]>,
    call_id: Box<[u8]>,
    cseq: u32,
    expires: Wall,
    transport: Transport,
    listener: u8,
    remote: SocketAddr,
    q: u16,
}

/// The record that these bytes are of an older schema; `None` if they are not.
pub(super) fn read(schema: u16, bytes: &[u8]) -> Option<ExtensionRecord> {
    match schema {
        3 => return third(bytes),
        4 => return with_end(bytes, &FOURTH_END),
        _ => {}
    }
    let (old, rest) = postcard::take_from_bytes::<OldExtension>(bytes).ok()?;
    let mut record = ExtensionRecord::from(old);
    let rest = match schema {
        1 => rest,
        2 => {
            let (end, rest) = postcard::take_from_bytes(rest).ok()?;
            (record.invitation, record.mails) = end;
            rest
        }
        _ => return None,
    };
    rest.is_empty().then_some(record)
}

/// What a record of the fourth schema ends without.
const FOURTH_END: (Option<Mobile>, u64, Option<Answered>) = (None, 0, None);

/// A record of the third schema.
fn third(bytes: &[u8]) -> Option<ExtensionRecord> {
    let end = (None::<Portal>, Vec::<Box<str>>::new(), None::<Box<str>>, Vec::<Lock>::new(), Told::default());
    with_end(bytes, &(end, FOURTH_END))
}

/// The present record without what stands at its end, which is then this.
fn with_end(bytes: &[u8], end: &impl Serialize) -> Option<ExtensionRecord> {
    let whole = [bytes, &postcard::to_stdvec(end).ok()?].concat();
    let (record, rest) = postcard::take_from_bytes(&whole).ok()?;
    rest.is_empty().then_some(record)
}

impl From<OldExtension> for ExtensionRecord {
    fn from(old: OldExtension) -> Self {
        Self {
            role: old.role,
            life: old.life,
            credentials: old.credentials,
            previous: old.previous,
            licence: Licence {
                enabled: old.licence.enabled,
                generation: old.licence.generation,
                devices: old.licence.devices.into_iter().map(Device::from).collect(),
                next_device: old.licence.next_device,
            },
            bindings: old.bindings.into_iter().map(Binding::from).collect(),
            next_binding: old.next_binding,
            lock: old.lock,
            outbox: old.outbox,
            ..Self::new(old.login, old.name, old.email)
        }
    }
}

impl From<OldDevice> for Device {
    fn from(old: OldDevice) -> Self {
        let keys = Keys { instance: old.instance, fingerprint: old.fingerprint, more: None };
        let OldDevice { id, revoked, name, model, first_seen, last_seen, address, sha256, trails, .. } = old;
        Self { id, revoked, keys, name, model, first_seen, last_seen, address, sha256, trails }
    }
}

impl From<OldBinding> for Binding {
    fn from(old: OldBinding) -> Self {
        let OldBinding {
            number,
            turn,
            device,
            contact,
            call_id,
            cseq,
            expires,
            transport,
            listener,
            remote,
            q,
        } = old;
        Self {
            number,
            turn,
            device,
            contact,
            call_id,
            cseq,
            expires,
            transport,
            listener,
            remote,
            stream: None,
            q,
            proof: Default::default(),
            extra: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::OwedMails;
    use crate::directory::record::What;
    use crate::licence::MoreKeys;
    use crate::registrar::Extra;

    fn old() -> OldExtension {
        let trail = Trail {
            transport: Transport::Udp,
            remote: ([192, 0, 2, 1], 5060).into(),
            contact: b"sip:a@h"[..].into(),
            call_id: b"c"[..].into(),
        };
        let device = OldDevice {
            id: DeviceId(1),
            revoked: true,
            instance: Some("urn:uuid:x".into()),
            fingerprint: Fingerprint { product: "acme".into(), ..Fingerprint::default() },
            name: "Desk".into(),
            model: "Acme 1.0".into(),
            first_seen: Wall::from_secs(1),
            last_seen: Wall::from_secs(2),
            address: "192.0.2.1:5060".into(),
            sha256: true,
            trails: [trail].into(),
        };
        let binding = OldBinding {
            number: 3,
            turn: 4,
            device: DeviceId(1),
            contact: b"sip:a@h"[..].into(),
            call_id: b"c"[..].into(),
            cseq: 5,
            expires: Wall::from_secs(6),
            transport: Transport::Tcp,
            listener: 1,
            remote: ([192, 0, 2, 1], 5060).into(),
            q: 500,
        };
        OldExtension {
            login: LoginName::parse("201-acme").unwrap(),
            name: "Ada".into(),
            email: Some("ada@example.test".into()),
            role: Role::Admin,
            life: Life::Active,
            credentials: Some(SealedCredentials { epoch: 7, sealed: vec![1, 2], set_at: Wall::from_secs(8) }),
            previous: None,
            licence: OldLicence { enabled: true, generation: 9, devices: vec![device], next_device: 2 },
            bindings: vec![binding],
            next_binding: 4,
            lock: None,
            outbox: vec![Notice {
                at: Wall::from_secs(1),
                what: What::Activated { device: 1, address: "192.0.2.1".into() },
            }],
        }
    }

    #[test]
    fn a_record_of_the_first_schema_is_read_whole_and_written_as_the_present_one() {
        let bytes = postcard::to_stdvec(&old()).unwrap();
        let record = read(1, &bytes).unwrap();
        assert_eq!((record.name.as_str(), record.role, record.life), ("Ada", Role::Admin, Life::Active));
        assert_eq!(record.credentials.as_ref().unwrap().epoch, 7);
        assert_eq!((record.next_binding, record.outbox.len()), (4, 1));
        let device = &record.licence.devices[0];
        assert_eq!((device.keys.instance.as_deref(), device.keys.more.is_none()), (Some("urn:uuid:x"), true));
        assert_eq!((device.name.as_str(), device.trails.len(), device.sha256), ("Desk", 1, true));
        let binding = &record.bindings[0];
        assert_eq!((binding.number, binding.turn, binding.q, binding.cseq), (3, 4, 500, 5));
        assert!(binding.extra.is_none());

        let mut record = record;
        record.bindings[0].extra = Some(Box::new(Extra { reg_id: 2, ..Extra::default() }));
        record.licence.devices[0].keys.more = Some(Box::new(MoreKeys::default()));
        let again: ExtensionRecord = postcard::from_bytes(&postcard::to_stdvec(&record).unwrap()).unwrap();
        assert_eq!((&again.bindings, &again.licence), (&record.bindings, &record.licence));
    }

    #[test]
    fn a_record_of_the_second_schema_keeps_what_stands_at_its_end() {
        let mut record = read(1, &postcard::to_stdvec(&old()).unwrap()).unwrap();
        record.mails = OwedMails::default();
        let bytes = postcard::to_stdvec(&(old(), &record.invitation, &record.mails)).unwrap();
        let again = read(2, &bytes).unwrap();
        assert_eq!((again.invitation, again.mails), (record.invitation, record.mails));
        assert_eq!(again.licence, record.licence);
        assert!(read(1, &bytes).is_none() && read(2, &bytes[..bytes.len() - 1]).is_none());
    }

    #[test]
    fn a_record_of_the_third_schema_has_nothing_at_its_end() {
        let mut record = read(1, &postcard::to_stdvec(&old()).unwrap()).unwrap();
        let today = postcard::to_stdvec(&record).unwrap();
        let bytes = today.strip_suffix(&[0; 8]).expect("what is absent costs a byte each");
        let again = read(3, bytes).unwrap();
        assert_eq!(postcard::to_stdvec(&again).unwrap(), today);
        assert!(read(3, &bytes[..bytes.len() - 1]).is_none() && read(3, &today).is_none());

        record.portal = Some(Box::default());
        record.numbers.push("+16045550199".into());
        record.station = Some("lobby".into());
        let bytes = postcard::to_stdvec(&record).unwrap();
        let again: ExtensionRecord = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(
            (again.portal, again.numbers, again.station),
            (record.portal, record.numbers, record.station)
        );
    }

    #[test]
    fn a_record_of_the_fourth_schema_names_no_edit_and_no_mobile() {
        let mut record = read(1, &postcard::to_stdvec(&old()).unwrap()).unwrap();
        record.portal = Some(Box::default());
        record.station = Some("lobby".into());
        let today = postcard::to_stdvec(&record).unwrap();
        let bytes = today.strip_suffix(&[0; 3]).unwrap();
        let again = read(4, bytes).unwrap();
        assert_eq!(postcard::to_stdvec(&again).unwrap(), today);
        assert!(read(4, &bytes[..bytes.len() - 1]).is_none() && read(4, &today).is_none());
    }

    #[test]
    fn what_is_cut_too_long_or_of_no_known_schema_is_refused() {
        let bytes = postcard::to_stdvec(&old()).unwrap();
        assert!(read(1, &bytes[..bytes.len() - 1]).is_none());
        assert!(read(1, &[&bytes[..], b"x"].concat()).is_none());
        assert!([0, 3, 4, 5].into_iter().all(|schema| read(schema, &bytes).is_none()));
    }
}
