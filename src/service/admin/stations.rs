//! Stations: desk phones with an ID and a password of their own, and the agents at them (PRODUCT §5).
//!
//! An agent is at a station if both name each other: the station its agent, the extension its station.
//! The station is written first, as a claim; the extension's record decides. So an agent who logs in
//! elsewhere leaves only a claim behind that counts for nothing, and a crash between the two writes
//! changes nothing.
//!
//! | asked                                        | answer                          |
//! |----------------------------------------------|---------------------------------|
//! | log in to a station that there is not        | refused: unknown station        |
//! | to one whose phone is not registered         | refused: not registered         |
//! | to one at which another agent is             | refused: in use, by whom        |
//! | to the one the agent is at                   | done                            |
//! | to another than the one the agent is at      | the agent moves                 |
//! | log out, wherever                            | done; no station rings any more |

use super::app::set_password;
use super::check::{self, bad};
use super::extensions::put;
use super::view::{Response, StationView};
use super::{Admin, By, Changed, NewPassword, Refusal, end, no_extension, shut_out, tenant, tenant_of};
use crate::account::life::Event;
use crate::account::{Life, LoginName, StationId, TenantCode};
use crate::base::limit;
use crate::base::private::Secret;
use crate::directory::{Credentials, Directory, ExtensionRecord};
use crate::service::audit::{About, Known, of_extension};
use crate::service::tables::{STATIONS, account, extension, overlay, put_edited};
use crate::store::{self, Row as Stored, Txn, View};
use std::sync::Arc;

impl Admin {
    /// Adds a station, ready to register.
    pub(super) async fn station_add(
        &self,
        by: By,
        login: LoginName,
        name: String,
        password: NewPassword,
    ) -> Result<Response, Refusal> {
        check::name(&name).map_err(|reason| bad("--name", reason))?;
        check::room(self.services.directory.len(), 1)?;
        if !login.is_station() {
            return Err(Refusal::NoSuchStation(login.to_string()));
        }
        let (services, terms) = (self.services.clone(), self.terms.clone());
        let job = move |txn: &mut Txn<'_>| {
            tenant_of(txn, &login)?;
            if let Some(row) = account(txn, &login)? {
                terms.scope.recall(&services, txn, row.value.answered.as_deref())?;
                return Err(Refusal::StationExists(login.to_string()));
            }
            let mut record = ExtensionRecord::new(login, name, None);
            // Not 1, as with extensions: the journal may still hold refreshes of one that was removed.
            record.next_binding = u32::try_from(txn.now().as_secs()).unwrap_or(u32::MAX / 2);
            let (credentials, told) =
                set_password(&services, &mut record, txn, &password, Event::SetPassword)?;
            record.licence.enable();
            by.note(txn, About::Extension(record.login.clone()), &Known::new(), &of_extension(&record))?;
            terms.scope.seal(&services, &terms.once, txn, &mut record.answered, told.clone())?;
            terms.scope.saw(put_edited(txn, &mut record, store::Expect::Absent)?);
            Ok((record, credentials, told))
        };
        let apply = |directory: &Directory, new: &(ExtensionRecord, Credentials, Response)| {
            put(directory, &new.0, Some(new.1.clone()));
        };
        let told = |new: &(ExtensionRecord, Credentials, Response)| Some(new.2.clone());
        self.commit_telling(job, apply, told).await.map(|(_, _, told)| told)
    }

    pub(super) async fn station_show(&self, login: LoginName) -> Result<Response, Refusal> {
        let row = self.look(move |view| station(&view, &login)).await?;
        self.terms.scope.saw(store::Revision(row.value.edited));
        Ok(Response::Station(self.show_station(&row)))
    }

    pub(super) async fn station_list(
        &self,
        of: Option<TenantCode>,
        after: Option<LoginName>,
    ) -> Result<Response, Refusal> {
        let page = self
            .look(move |view| {
                if let Some(code) = &of {
                    tenant(&view, code)?;
                }
                let after = after.map(|login| STATIONS.key(&[login.tenant(), login.number()])).transpose()?;
                let within: Vec<&str> = of.iter().map(TenantCode::as_str).collect();
                Ok(STATIONS.scan(&view, &within, after.as_ref(), limit::ADMIN_PAGE_ROWS)?)
            })
            .await?;
        let rows: Vec<_> = page.iter().map(|(_, row)| self.show_station(row)).collect();
        let full = rows.len() == limit::ADMIN_PAGE_ROWS;
        let next = rows.last().filter(|_| full).map(|last| last.login.clone());
        Ok(Response::Stations { rows, next })
    }

    /// The one station of a tenant whose ID is spelled so on the keys of a phone.
    pub(in crate::service) async fn station_spelled(
        &self,
        of: &TenantCode,
        keys: &str,
    ) -> Result<Option<StationId>, Refusal> {
        let (of, keys) = (of.clone(), Secret::new(keys.to_owned()));
        self.look(move |view| {
            let rows = STATIONS.scan(&view, &[of.as_str()], None, limit::ADMIN_PAGE_ROWS)?;
            let ids = rows.iter().filter_map(|(_, row)| StationId::parse(row.value.login.number()).ok());
            let mut found = ids.filter(|id| id.on_keys() == *keys.expose());
            let first = found.next();
            Ok(first.filter(|_| found.next().is_none()))
        })
        .await
    }

    /// Another name or another password; the latter ends what its phone was bound by.
    pub(super) async fn station_set(
        &self,
        by: By,
        login: LoginName,
        name: Option<String>,
        password: Option<NewPassword>,
    ) -> Result<Response, Refusal> {
        if let Some(name) = &name {
            check::name(name).map_err(|reason| bad("--name", reason))?;
        }
        if !login.is_station() {
            return Err(Refusal::NoSuchStation(login.to_string()));
        }
        let services = self.services.clone();
        self.change_account(by, login, move |record, txn| {
            if let Some(name) = name {
                record.name = name;
            }
            let Some(password) = password else { return Ok(Response::Done.into()) };
            let (credentials, told) = set_password(&services, record, txn, &password, Event::SetPassword)?;
            Ok(Changed { told, credentials: Some(credentials), unlocked: false })
        })
        .await
    }

    /// Removes a station; an agent who is there is logged out first.
    pub(super) async fn station_remove(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        let memory = Arc::clone(&self.services.directory);
        let scope = Arc::clone(&self.terms.scope);
        let job = move |txn: &mut Txn<'_>| {
            let row = station(txn, &login)?;
            scope.check(row.value.edited)?;
            let desk = row.value;
            let agent = match agent_at(txn, &desk)? {
                Some(mut agent) => {
                    overlay(&mut agent, &memory);
                    let before = of_extension(&agent);
                    agent.station = None;
                    by.note(txn, About::Extension(agent.login.clone()), &before, &of_extension(&agent))?;
                    put_edited(txn, &mut agent, store::Expect::Any)?;
                    Some(agent)
                }
                None => None,
            };
            by.remove(txn, &desk)?;
            Ok((agent, login))
        };
        let lines = self.lines.clone();
        let apply = move |directory: &Directory, (agent, login): &(Option<ExtensionRecord>, LoginName)| {
            if let Some(agent) = agent {
                directory.refresh(agent);
            }
            let shut_out = shut_out(directory, login, |_| false);
            directory.remove(login.as_str());
            end(lines.as_ref(), login, &shut_out);
        };
        self.commit(job, apply).await.map(|_| Response::Done)
    }

    /// Logs an agent in to a station: from now on only that rings, and what it calls is the agent's.
    pub(super) async fn station_login(
        &self,
        by: By,
        login: LoginName,
        id: StationId,
    ) -> Result<Response, Refusal> {
        let memory = Arc::clone(&self.services.directory);
        let (services, terms) = (self.services.clone(), self.terms.clone());
        let job = move |txn: &mut Txn<'_>| {
            let row = extension(txn, &login)?.ok_or_else(|| no_extension(txn, &login))?;
            terms.scope.recall(&services, txn, row.value.answered.as_deref())?;
            terms.scope.check(row.value.edited)?;
            let mut agent = row.value;
            if agent.life != Life::Active {
                return Err(Refusal::NotActive(login.to_string()));
            }
            let place = LoginName::of_account(&format!("{id}-{}", login.tenant()));
            let place = place.map_err(|error| bad("station", error.to_string()))?;
            let mut desk = station(txn, &place)?.value;
            overlay(&mut desk, &memory);
            if !desk.bindings.iter().any(|binding| binding.is_reachable(txn.now())) {
                return Err(Refusal::StationNotRegistered(id.to_string()));
            }
            if let Some(other) = agent_at(txn, &desk)?.filter(|other| other.login != login) {
                let by = other.login.number().to_owned();
                return Err(Refusal::StationInUse { station: id.to_string(), by });
            }
            overlay(&mut agent, &memory);
            let before = of_extension(&agent);
            agent.station = Some(id.as_str().into());
            by.note(txn, About::Extension(login.clone()), &before, &of_extension(&agent))?;
            desk.station = Some(login.number().into());
            put_edited(txn, &mut desk, store::Expect::Any)?;
            terms.scope.seal(&services, &terms.once, txn, &mut agent.answered, Response::Done)?;
            terms.scope.saw(put_edited(txn, &mut agent, store::Expect::At(row.revision))?);
            Ok((desk, agent))
        };
        let apply = |directory: &Directory, (desk, agent): &(ExtensionRecord, ExtensionRecord)| {
            directory.refresh(desk);
            directory.refresh(agent);
        };
        self.commit(job, apply).await.map(|_| Response::Done)
    }

    /// Logs an agent out of whatever station: its own devices ring again.
    pub(super) async fn station_logout(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        self.change(by, login, |record, _| {
            record.station = None;
            Ok(Response::Done.into())
        })
        .await
    }

    fn show_station(&self, row: &Stored<ExtensionRecord>) -> StationView {
        let record = &row.value;
        let (now, directory) = (self.now(), &self.services.directory);
        let login = &record.login;
        let at = directory.with(login.as_str(), |entry| {
            let reachable = entry.bindings.iter().filter(|binding| binding.is_reachable(now));
            reachable.max_by_key(|binding| binding.number).map(|binding| binding.remote.to_string())
        });
        let address = at.flatten();
        let here = |agent: &LoginName| {
            let named = directory.with(agent.as_str(), |entry| entry.paired.as_deref() == Some(login));
            named == Some(true)
        };
        let device = record.licence.devices.first();
        let locks = self.services.directory.locks_in_force(record, now);
        let until = locks.iter().map(|lock| lock.until).max();
        StationView {
            tenant: login.tenant().to_owned(),
            station: login.number().to_owned(),
            login: login.to_string(),
            name: record.name.clone(),
            state: if address.is_some() { "registered" } else { "not_registered" }.to_owned(),
            agent: record.paired().filter(here).map(|agent| agent.number().to_owned()),
            model: device.map(|device| device.model.clone()),
            address,
            locked_until: until.map(crate::base::time::Wall::rfc3339),
            revision: record.edited,
        }
    }
}

/// A station that must be there.
fn station(view: &View<'_>, login: &LoginName) -> Result<Stored<ExtensionRecord>, Refusal> {
    let found = if login.is_station() { account(view, login)? } else { None };
    match found {
        Some(row) => Ok(row),
        None if login.is_station() => Err(no_extension(view, login)),
        None => Err(Refusal::NoSuchStation(login.to_string())),
    }
}

/// The agent who is at a station: who is named there and names it back.
fn agent_at(view: &View<'_>, desk: &ExtensionRecord) -> Result<Option<ExtensionRecord>, Refusal> {
    let Some(agent) = desk.paired() else { return Ok(None) };
    let found = extension(view, &agent)?.map(|row| row.value);
    Ok(found.filter(|agent| agent.station.as_deref() == Some(desk.login.number())))
}
