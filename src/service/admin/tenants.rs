//! Tenants.

use super::devices::removed;
use super::settings::{self, show};
use super::view::Response;
use super::{Admin, By, Expect, Refusal, TenantSettings, end, shut_out, tenant};
use crate::account::{DirectNumber, LoginName, Tenant, TenantCode};
use crate::base::limit;
use crate::base::time::Wall;
use crate::directory::Directory;
use crate::service::audit::{About, Known, of_tenant};
use crate::service::index;
use crate::service::tables::{EXTENSIONS, STATIONS, TENANTS, put_tenant};
use crate::store::{self, Txn};
use std::sync::Arc;

/// Extensions that one job removes.
const REMOVE_AT_ONCE: usize = 500;

impl Admin {
    pub(super) async fn tenant_add(
        &self,
        by: By,
        code: TenantCode,
        settings: TenantSettings,
    ) -> Result<Response, Refusal> {
        let mut tenant = Tenant::new(code, "");
        let main = self.read_main(&settings).await;
        settings::apply(&mut tenant, settings, main)?;
        let (services, terms) = (self.services.clone(), self.terms.clone());
        let job = move |txn: &mut Txn<'_>| {
            if let Some(row) = TENANTS.get(txn, &[tenant.code.as_str()])? {
                terms.scope.recall(&services, txn, row.value.answered.as_deref())?;
                return Err(Refusal::TenantExists(tenant.code.to_string()));
            }
            by.note(txn, About::Tenant(tenant.code.clone()), &Known::new(), &of_tenant(&tenant))?;
            let (code, main) = (tenant.code.clone(), main_of(&tenant));
            index::renew_main(txn, &code, [None, main.as_ref()], |txn| {
                terms.scope.seal(&services, &terms.once, txn, &mut tenant.answered, Response::Done)?;
                terms.scope.saw(put_tenant(txn, &mut tenant, store::Expect::Absent)?);
                Ok::<_, Refusal>(())
            })?;
            Ok(tenant)
        };
        self.commit(job, put).await.map(|_| Response::Done)
    }

    pub(super) async fn tenant_show(&self, code: TenantCode) -> Result<Response, Refusal> {
        let found = self.look(move |view| tenant(&view, &code)).await?.value;
        self.terms.scope.saw(store::Revision(found.edited));
        Ok(Response::Tenant(show(&found, self.defaults)))
    }

    pub(super) async fn tenant_list(
        &self,
        after: Option<TenantCode>,
        most: Option<usize>,
    ) -> Result<Response, Refusal> {
        let defaults = self.defaults;
        let most = most.unwrap_or(limit::ADMIN_PAGE_ROWS).clamp(1, limit::ADMIN_PAGE_ROWS);
        self.look(move |view| {
            let after = after.map(|code| TENANTS.key(&[code.as_str()])).transpose()?;
            let page = TENANTS.scan(&view, &[], after.as_ref(), most)?;
            let last = page.last().filter(|_| page.len() == most);
            let next = last.map(|(_, row)| row.value.code.to_string());
            let rows = page.iter().map(|(_, row)| show(&row.value, defaults)).collect();
            Ok(Response::Tenants { rows, next })
        })
        .await
    }

    pub(super) async fn tenant_set(
        &self,
        by: By,
        code: TenantCode,
        settings: TenantSettings,
    ) -> Result<Response, Refusal> {
        let main = self.read_main(&settings).await;
        self.tenant_change(by, code, move |tenant, _| settings::apply(tenant, settings, main)).await
    }

    pub(super) async fn tenant_activate(
        &self,
        by: By,
        code: TenantCode,
        active: bool,
    ) -> Result<Response, Refusal> {
        self.tenant_change(by, code, move |tenant, now| {
            tenant.activate(active, now);
            Ok(())
        })
        .await
    }

    async fn tenant_change(
        &self,
        by: By,
        code: TenantCode,
        decide: impl FnOnce(&mut Tenant, Wall) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let (services, terms) = (self.services.clone(), self.terms.clone());
        let (lines, whose) = (self.lines.clone(), by.clone());
        let job = move |txn: &mut Txn<'_>| {
            let mut tenant = tenant(txn, &code)?.value;
            terms.scope.recall(&services, txn, tenant.answered.as_deref())?;
            terms.scope.check(tenant.edited)?;
            let (before, had) = (of_tenant(&tenant), main_of(&tenant));
            decide(&mut tenant, txn.now())?;
            let (after, has) = (of_tenant(&tenant), main_of(&tenant));
            index::renew_main(txn, &code, [had.as_ref(), has.as_ref()], |txn| {
                by.note(txn, About::Tenant(code.clone()), &before, &after)?;
                terms.scope.seal(&services, &terms.once, txn, &mut tenant.answered, Response::Done)?;
                terms.scope.saw(put_tenant(txn, &mut tenant, store::Expect::Any)?);
                Ok::<_, Refusal>(())
            })?;
            Ok((tenant, txn.now()))
        };
        // A suspension ends all that its phones have, as disabling each of them would.
        let apply = move |directory: &Directory, (tenant, now): &(Tenant, Wall)| {
            for (login, bindings) in directory.put_tenant(tenant.clone()) {
                for happened in removed(&bindings, &[], &whose, *now) {
                    directory.news.tell(login.clone(), happened);
                }
                let streams: Vec<_> = bindings.iter().filter_map(|binding| binding.stream).collect();
                end(lines.as_ref(), &login, &streams);
            }
        };
        self.commit(job, apply).await.map(|_| Response::Done)
    }

    /// Removes a tenant. Its extensions and stations go first, so that a crash leaves none without a tenant.
    pub(super) async fn tenant_remove(
        &self,
        by: By,
        code: TenantCode,
        extensions: Expect,
    ) -> Result<Response, Refusal> {
        loop {
            let (code, by) = (code.clone(), by.clone());
            let scope = Arc::clone(&self.terms.scope);
            let job = move |txn: &mut Txn<'_>| {
                let tenant = tenant(txn, &code)?;
                scope.check(tenant.value.edited)?;
                let mut page = EXTENSIONS.scan(txn, &[code.as_str()], None, REMOVE_AT_ONCE)?;
                if extensions == Expect::None && !page.is_empty() {
                    let (code, extensions) = (code.to_string(), page.len());
                    let more = extensions == REMOVE_AT_ONCE;
                    return Err(Refusal::TenantNotEmpty { code, extensions, more });
                }
                if page.is_empty() {
                    page = STATIONS.scan(txn, &[code.as_str()], None, REMOVE_AT_ONCE)?;
                    if extensions == Expect::None && !page.is_empty() {
                        return Err(Refusal::TenantHasStations(code.to_string()));
                    }
                }
                for (_, row) in &page {
                    by.remove(txn, &row.value)?;
                }
                let logins: Vec<LoginName> = page.into_iter().map(|(_, row)| row.value.login).collect();
                let gone = if logins.is_empty() {
                    by.note(txn, About::Tenant(code.clone()), &of_tenant(&tenant.value), &Known::new())?;
                    TENANTS.remove(txn, &[code.as_str()], store::Expect::Any)?;
                    if let Some(main) = &tenant.value.main_number {
                        index::release_main(txn, &code, &main.number)?;
                    }
                    Some(code)
                } else {
                    None
                };
                Ok((logins, gone))
            };
            let lines = self.lines.clone();
            let apply = move |directory: &Directory,
                              (logins, gone): &(Vec<LoginName>, Option<TenantCode>)| {
                for login in logins {
                    let shut_out = shut_out(directory, login, |_| false);
                    directory.remove(login.as_str());
                    end(lines.as_ref(), login, &shut_out);
                }
                if let Some(code) = gone {
                    directory.remove_tenant(code.as_str());
                }
            };
            let told = |(_, gone): &(_, Option<TenantCode>)| gone.is_some().then_some(Response::Done);
            if let (_, Some(_)) = self.commit_telling(job, apply, told).await? {
                return Ok(Response::Done);
            }
        }
    }
}

fn main_of(tenant: &Tenant) -> Option<DirectNumber> {
    tenant.main_number.as_ref().map(|main| main.number.clone())
}

fn put(directory: &Directory, tenant: &Tenant) {
    directory.put_tenant(tenant.clone());
}
