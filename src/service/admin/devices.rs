//! Devices of an extension; bindings of an extension or a station.

use super::check::{self, bad};
use super::view::{BindingView, DeviceView, HistoryView, Response};
use super::{Admin, By, Refusal, no_extension, row};
use crate::account::LoginName;
use crate::base::time::Wall;
use crate::core::refusal::Refusal as Refused;
use crate::directory::ExtensionRecord;
use crate::licence::{Device, DeviceId, Traced};
use crate::registrar::Binding;
use crate::registrar::history::{DeviceHistory, Event, Happened, Happening, Kept};
use crate::service::history;
use crate::service::tables::account;
use crate::store::{Revision, View};
use std::time::Duration;

impl Admin {
    /// The activated devices; revoked ones have no place any more.
    pub(super) async fn device_list(&self, login: LoginName) -> Result<Response, Refusal> {
        let of = login.clone();
        let _ = history::settle(&self.services).await; // what is lost is counted
        let look = move |view: View<'_>| Ok((row(&view, &login)?, history::of(&view, &login)?));
        let (row, history) = self.look(look).await?;
        self.terms.scope.saw(Revision(row.value.edited));
        let record = row.value;
        let bindings =
            self.services.directory.with(of.as_str(), |entry| entry.bindings.clone()).unwrap_or_default();
        let (now, expires_max) = (self.now(), self.defaults.expires_max);
        let rows = record.licence.devices.iter().filter(|device| !device.revoked);
        let show = |device: &Device| DeviceView {
            flapping: history.flapping(device.id, now).map(Wall::rfc3339),
            previous_password: history.previous_password(device.id).map(Wall::rfc3339),
            ..show_device(device, &bindings, expires_max, now)
        };
        Ok(Response::Devices(rows.map(show).collect()))
    }

    /// What became of the registrations of an extension's devices, or of one, or of a station's phones;
    /// the newest last.
    pub(super) async fn device_history(
        &self,
        login: LoginName,
        device: Option<u32>,
    ) -> Result<Response, Refusal> {
        let _ = history::settle(&self.services).await; // what is lost is counted
        let whose = login.clone();
        let history = self
            .look(move |view| {
                if account(&view, &whose)?.is_none() {
                    return Err(no_extension(&view, &whose));
                }
                Ok(history::of(&view, &whose)?)
            })
            .await?;
        let now = self.now();
        // Nobody tells when a binding ends by time; whoever asks sees that it has.
        let ended = self.services.directory.with(login.as_str(), |entry| {
            let ended = entry.bindings.iter().filter(|binding| !binding.is_live(now));
            ended.map(|binding| (Some(binding.device), ended_event(binding))).collect::<Vec<_>>()
        });
        let of_device = |history: DeviceHistory| {
            let device = history.device;
            history.events.into_iter().map(move |event| (device, event))
        };
        let mut events: Vec<_> = history.devices.into_iter().flat_map(of_device).collect();
        events.extend(ended.unwrap_or_default());
        events.retain(|(id, _)| device.is_none() || id.map(|id| id.0) == device);
        events.sort_by_key(|(_, event)| event.at);
        Ok(Response::History(events.into_iter().map(show_event).collect()))
    }

    /// Names a device; an empty name gives it its model's back.
    pub(super) async fn device_rename(
        &self,
        by: By,
        login: LoginName,
        device: u32,
        name: String,
    ) -> Result<Response, Refusal> {
        check::device_name(&name).map_err(|reason| bad("name", reason))?;
        self.change(by, login, move |record, _| {
            known(record, device)?;
            record.licence.rename(DeviceId(device), &name);
            Ok(Response::Done.into())
        })
        .await
    }

    /// Revokes a device: its bindings end, its place is free, and it stays refused.
    pub(super) async fn device_revoke(
        &self,
        by: By,
        login: LoginName,
        device: u32,
    ) -> Result<Response, Refusal> {
        self.change(by, login, move |record, txn| {
            known(record, device)?;
            let ExtensionRecord { licence, bindings, .. } = record;
            licence.revoke(DeviceId(device), bindings.iter().map(Traced::trace), txn.now());
            bindings.retain(|binding| binding.device != DeviceId(device));
            Ok(Response::Done.into())
        })
        .await
    }

    /// Lets a device that has used SHA-256 use MD5 again, as after a firmware rollback.
    pub(super) async fn device_any_algorithm(
        &self,
        by: By,
        login: LoginName,
        device: u32,
    ) -> Result<Response, Refusal> {
        self.change(by, login, move |record, _| {
            known(record, device)?;
            if let Some(device) = record.licence.device_mut(DeviceId(device)) {
                device.sha256 = false;
            }
            Ok(Response::Done.into())
        })
        .await
    }

    /// The live bindings, as the shards know them.
    pub(super) fn binding_list(&self, login: &LoginName) -> Result<Response, Refusal> {
        let now = self.now();
        let rows = self.services.directory.with(login.as_str(), |entry| {
            let live = entry.bindings.iter().filter(|binding| binding.is_live(now));
            live.map(|binding| show_binding(binding, now)).collect()
        });
        rows.map(Response::Bindings).ok_or_else(|| no_extension(&self.services.store.view(), login))
    }

    pub(super) async fn binding_remove(
        &self,
        by: By,
        login: LoginName,
        contact: Option<String>,
    ) -> Result<Response, Refusal> {
        self.change_account(by, login, move |record, _| {
            let before = record.bindings.len();
            record
                .bindings
                .retain(|binding| contact.as_ref().is_some_and(|uri| *binding.contact != *uri.as_bytes()));
            if contact.is_some() && record.bindings.len() == before {
                return Err(Refusal::NoSuchBinding(record.login.to_string()));
            }
            Ok(Response::Done.into())
        })
        .await
    }
}

fn ended_event(binding: &Binding) -> Event {
    let (at, address) = (binding.expires, Some(binding.remote));
    Event { at, last: at, times: 1, address, what: Kept::Expired }
}

fn show_event((device, event): (Option<DeviceId>, Event)) -> HistoryView {
    HistoryView {
        at: event.at.rfc3339(),
        device: device.map(|device| device.0.to_string()),
        event: event.what.label().to_owned(),
        address: event.address.map(|address| address.to_string()),
        detail: event.what.detail(),
        way_out: match &event.what {
            Kept::Refused { why } => Refused::way_out_of(why).map(str::to_owned),
            _ => None,
        },
        times: event.times.into(),
        last: event.last.rfc3339(),
    }
}

/// What the history is to have of bindings that a command ended.
pub(super) fn removed(before: &[Binding], after: &[Binding], by: &By, now: Wall) -> Vec<Happened> {
    let ended = before
        .iter()
        .filter(|binding| binding.is_live(now) && !after.iter().any(|other| other.number == binding.number));
    let event = |binding: &Binding| Happened {
        at: now,
        device: Some(binding.device),
        address: Some(binding.remote),
        what: Happening::Removed(format!("{} ({})", by.who, by.command).into()),
    };
    ended.map(event).collect()
}

/// A device that has not been revoked.
fn known(record: &ExtensionRecord, device: u32) -> Result<(), Refusal> {
    match record.licence.device(DeviceId(device)) {
        Some(known) if !known.revoked => Ok(()),
        _ => Err(Refusal::NoSuchDevice { login: record.login.to_string(), device }),
    }
}

/// A device with its latest sign of life: no later than its latest binding began, which is no more
/// than the longest binding before that one ends.
fn show_device(device: &Device, bindings: &[Binding], expires_max: Duration, now: Wall) -> DeviceView {
    let latest = bindings.iter().filter(|binding| binding.device == device.id && binding.is_live(now));
    let latest = latest.max_by_key(|binding| binding.expires);
    let heard = latest.map_or(device.last_seen, |binding| binding.expires - expires_max);
    DeviceView {
        id: device.id.0.to_string(),
        name: device.name.clone(),
        model: device.model.clone(),
        instance: device.keys.instance.as_deref().map(str::to_owned),
        first_seen: device.first_seen.rfc3339(),
        last_seen: heard.max(device.last_seen).rfc3339(),
        address: latest.map_or_else(|| device.address.clone(), |binding| binding.remote.to_string()),
        clones: bindings
            .iter()
            .filter(|binding| binding.device == device.id && binding.is_live(now))
            .map(|binding| binding.clones().into())
            .max()
            .unwrap_or(0),
        flapping: None,
        previous_password: None,
    }
}

/// A stream contact whose connection is gone rings no more, though it has not expired; its flow says so.
fn show_binding(binding: &Binding, now: Wall) -> BindingView {
    let closed = if binding.is_reachable(now) { "" } else { " (closed)" };
    BindingView {
        state: if binding.proof.is_suspect() { "suspect" } else { "live" }.to_owned(),
        heard: binding.proof.last().map(Wall::rfc3339),
        contact: String::from_utf8_lossy(&binding.contact).into_owned(),
        device: binding.device.0.to_string(),
        flow: format!("{}{closed}", binding.flow()),
        expires_s: binding.expires.since(now).as_secs(),
    }
}
