//! Who a call comes from: the device, by what its request shows, and whether it may call (ARCHITECTURE §4
//! "The licence holds on calls too"). A station calls as the agent who is logged in to it.

use super::refusal::Refusal;
use super::settings::Settings;
use crate::account::LoginName;
use crate::base::flow::Flow;
use crate::base::time::Wall;
use crate::directory::{Entry, Kind};
use crate::licence::{DeviceId, Rung, Who};
use crate::sip::{Contacts, Message, Name, Uri};
use compact_str::CompactString;

/// The caller, as the directory knows it.
pub(super) struct Caller {
    pub(super) device: DeviceId,
    pub(super) display: CompactString,
    pub(super) anonymous: bool,
    /// Whose call it is, if it is a station's: the agent's who is logged in there.
    pub(super) agent: Option<LoginName>,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wants {
    /// To call somebody, which a station does as its agent only.
    Call,
    /// The phone menu, where an agent logs in.
    Menu,
}

impl Caller {
    /// Whose call it is; `username` is that of the credentials.
    pub(super) fn login(&self, username: &str) -> Option<LoginName> {
        self.agent.clone().or_else(|| LoginName::parse(username).ok())
    }

    /// Whether it is this party of a call; `username` is that of the credentials.
    pub(super) fn is(&self, username: &[u8], peer: &str) -> bool {
        self.agent.as_ref().map_or(username, |agent| agent.as_str().as_bytes()) == peer.as_bytes()
    }
}

/// The device an out-of-dialog request comes from: that of the live binding with its flow, else with
/// its Contact, else with its instance; by the last also one that was revoked, which has no bindings.
pub(super) fn calling_device(entry: &Entry, message: &Message, flow: Flow, now: Wall) -> Who {
    let live = || entry.bindings.iter().filter(|binding| binding.is_live(now));
    let known = |device: DeviceId, by, known_flow| match entry.licence.device(device) {
        Some(device) if device.revoked => Who::Revoked(device.id),
        Some(device) => Who::Known { device: device.id, by, known_flow },
        None => Who::New,
    };
    // The flow of a proxy is that of many phones.
    let direct = message.values(Name::Via).nth(1).is_none();
    let over = live().filter(|binding| direct && !binding.is_by_proxy()).find(|binding| {
        if flow.stream.is_some() {
            binding.stream == flow.stream
        } else {
            binding.stream.is_none() && binding.remote == flow.remote
        }
    });
    if let Some(binding) = over {
        return known(binding.device, Rung::Flow, true);
    }
    let Some(Contacts::Some(contacts)) = Contacts::of(message) else { return Who::New };
    let Some(contact) = contacts.first() else { return Who::New };
    if let Some(binding) = live().find(|binding| *binding.contact == *contact.uri) {
        return known(binding.device, Rung::CallId, false);
    }
    // A phone may give its GRUU as its Contact (RFC 5627 §4.4.1).
    let instance = contact.param("+sip.instance").flatten();
    let instance = instance.or_else(|| Uri::parse(contact.uri)?.gruu()?);
    let same = entry.licence.devices.iter().find_map(|device| Some((device, device.shown_by(instance)?)));
    match same.filter(|(device, _)| device.revoked || live().any(|binding| binding.device == device.id)) {
        Some((device, rung)) => known(device.id, rung, false),
        None => Who::New,
    }
}

/// Whether this sender may call, its secret being right.
pub(super) fn may_call(
    entry: &Entry,
    who: Who,
    message: &Message,
    login: &str,
    wants: Wants,
    settings: &Settings,
    now: Wall,
) -> Result<Caller, Refusal> {
    entry.may_sign_in()?;
    if !entry.licence.enabled {
        return Err(Refusal::AppDisabled);
    }
    let live = |device| entry.bindings.iter().any(|binding| binding.device == device && binding.is_live(now));
    let device = match who {
        Who::Revoked(_) => return Err(Refusal::DeviceRevoked),
        Who::Known { device, .. } if live(device) => device,
        _ => return Err(Refusal::DeviceNotRegistered),
    };
    let agent = entry.paired.as_deref().filter(|_| entry.kind == Kind::Station);
    if entry.kind == Kind::Station && agent.is_none() && wants == Wants::Call {
        return Err(Refusal::NoAgent);
    }
    let from = Uri::parse(message.from().uri);
    let anonymous = from.is_some_and(|uri| uri.host.eq_ignore_ascii_case(b"anonymous.invalid"));
    let own = from.is_some_and(|uri| {
        let user = uri.user_decoded();
        let names = |login: &str| {
            let number = login.split('-').next().unwrap_or_default();
            *user == *login.as_bytes() || *user == *number.as_bytes()
        };
        settings.is_ours(&uri) && (names(login) || agent.is_some_and(|agent| names(agent.as_str())))
    });
    if !own && !anonymous {
        return Err(Refusal::NotYours);
    }
    Ok(Caller { device, display: (*entry.name).into(), anonymous, agent: agent.cloned() })
}
