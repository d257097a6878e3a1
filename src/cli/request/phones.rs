//! What the verbs of devices, bindings, locks, access keys and the audit ask for.

use super::Stop;
use crate::cli::grammar::{Binding, Device, Key, Lock, Narrowed};
use crate::cli::who::Place;
use crate::service::admin::{Narrow, Request};

pub(super) fn device(verb: &Device) -> Result<Request, Stop> {
    Ok(match verb {
        Device::List(who) => Request::DeviceList { login: who.login()? },
        Device::History(who) => {
            let (login, device) = who.device()?;
            Request::DeviceHistory { login, device }
        }
        Device::Rename(who) => {
            let (login, device, name) = who.device_name()?;
            Request::DeviceRename { login, device, name }
        }
        Device::Revoke(who) => {
            let (login, device) = who.device()?;
            Request::DeviceRevoke { login, device }
        }
        Device::Set { who, .. } => {
            let (login, device) = who.device()?;
            Request::DeviceAnyAlgorithm { login, device }
        }
    })
}

pub(super) fn lock(verb: &Lock) -> Result<Request, Stop> {
    Ok(match verb {
        Lock::List(place) => {
            let (tenant, number) = place.narrowed()?;
            Request::LockList { tenant, number }
        }
        Lock::Clear { source: Some(source), .. } => Request::BanClear { source: *source },
        Lock::Clear { place, source: None } => Request::LockClear { login: place.login()? },
    })
}

pub(super) fn binding(verb: Binding) -> Result<Request, Stop> {
    Ok(match verb {
        Binding::List(who) => Request::BindingList { login: who.login()? },
        Binding::Remove { who, contact } => Request::BindingRemove { login: who.login()?, contact },
    })
}

pub(super) fn audit_list(place: &Place, narrow: Narrowed, last: u16) -> Result<Request, Stop> {
    let (tenant, number) = place.narrowed()?;
    Ok(Request::AuditList { tenant, number, narrow: narrow.into(), last: usize::from(last) })
}

impl From<Narrowed> for Narrow {
    fn from(narrowed: Narrowed) -> Self {
        let Narrowed { since, until, by, action } = narrowed;
        Self { since, until, by, action }
    }
}

pub(super) fn key(verb: Key) -> Result<Request, Stop> {
    Ok(match verb {
        Key::Add { operator: Some(name), .. } => Request::KeyAdd { login: None, name },
        Key::Add { place, name, operator: None } => {
            Request::KeyAdd { login: Some(place.login()?), name: name.unwrap_or_default() }
        }
        Key::List(place) => Request::KeyList { login: place.login_if_any()? },
        Key::Remove { place, id } => Request::KeyRemove { login: place.login_if_any()?, id },
    })
}
