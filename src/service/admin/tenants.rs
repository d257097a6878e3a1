//! Tenants.

use super::settings::{self, show};
use super::view::Response;
use super::{Admin, By, Expect, Refusal, TenantSettings, tenant};
use crate::account::{LoginName, Tenant, TenantCode};
use crate::base::limit;
use crate::directory::Directory;
use crate::service::audit::{About, Known, of_tenant};
use crate::service::index;
use crate::service::tables::{EXTENSIONS, TENANTS};
use crate::store::{self, Txn};

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
        settings::apply(&mut tenant, settings)?;
        let job = move |txn: &mut Txn<'_>| {
            if TENANTS.get(txn, &[tenant.code.as_str()])?.is_some() {
                return Err(Refusal::TenantExists(tenant.code.to_string()));
            }
            by.note(txn, About::Tenant(tenant.code.clone()), &Known::new(), &of_tenant(&tenant))?;
            index::renew_main(txn, None, &tenant, |txn| {
                TENANTS.insert(txn, &[tenant.code.as_str()], &tenant).map(drop)
            })?;
            Ok(tenant)
        };
        self.commit(job, put).await.map(|_| Response::Done)
    }

    pub(super) async fn tenant_show(&self, code: TenantCode) -> Result<Response, Refusal> {
        let found = self.look(move |view| tenant(&view, &code)).await?;
        Ok(Response::Tenant(show(&found, self.defaults)))
    }

    pub(super) async fn tenant_list(&self, after: Option<TenantCode>) -> Result<Response, Refusal> {
        let defaults = self.defaults;
        self.look(move |view| {
            let after = after.map(|code| TENANTS.key(&[code.as_str()])).transpose()?;
            let page = TENANTS.scan(&view, &[], after.as_ref(), limit::ADMIN_PAGE_ROWS)?;
            let rows: Vec<_> = page.iter().map(|(_, row)| show(&row.value, defaults)).collect();
            Ok(Response::Tenants { more: rows.len() == limit::ADMIN_PAGE_ROWS, rows })
        })
        .await
    }

    pub(super) async fn tenant_set(
        &self,
        by: By,
        code: TenantCode,
        settings: TenantSettings,
    ) -> Result<Response, Refusal> {
        self.tenant_change(by, code, move |tenant| settings::apply(tenant, settings)).await
    }

    pub(super) async fn tenant_activate(
        &self,
        by: By,
        code: TenantCode,
        active: bool,
    ) -> Result<Response, Refusal> {
        self.tenant_change(by, code, move |tenant| {
            tenant.active = active;
            Ok(())
        })
        .await
    }

    async fn tenant_change(
        &self,
        by: By,
        code: TenantCode,
        decide: impl FnOnce(&mut Tenant) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let job = move |txn: &mut Txn<'_>| {
            let mut tenant = tenant(txn, &code)?;
            let (before, main) = (of_tenant(&tenant), tenant.main_number.clone());
            decide(&mut tenant)?;
            let after = of_tenant(&tenant);
            index::renew_main(txn, main.as_ref().map(|main| &main.number), &tenant, |txn| {
                by.note(txn, About::Tenant(code.clone()), &before, &after)?;
                TENANTS.put(txn, &[code.as_str()], &tenant, None, store::Expect::Any).map(drop)
            })?;
            Ok(tenant)
        };
        self.commit(job, put).await.map(|_| Response::Done)
    }

    /// Removes a tenant. Its extensions go first, so that a crash leaves none without a tenant.
    pub(super) async fn tenant_remove(
        &self,
        by: By,
        code: TenantCode,
        extensions: Expect,
    ) -> Result<Response, Refusal> {
        loop {
            let code = code.clone();
            let job = move |txn: &mut Txn<'_>| {
                let tenant = tenant(txn, &code)?;
                let page = EXTENSIONS.scan(txn, &[code.as_str()], None, REMOVE_AT_ONCE)?;
                if extensions == Expect::None && !page.is_empty() {
                    let (code, extensions) = (code.to_string(), page.len());
                    return Err(Refusal::TenantNotEmpty { code, extensions });
                }
                for (_, row) in &page {
                    by.remove(txn, &row.value)?;
                }
                let logins: Vec<LoginName> = page.into_iter().map(|(_, row)| row.value.login).collect();
                let gone = if logins.is_empty() {
                    by.note(txn, About::Tenant(code.clone()), &of_tenant(&tenant), &Known::new())?;
                    TENANTS.remove(txn, &[code.as_str()], store::Expect::Any)?;
                    if let Some(main) = &tenant.main_number {
                        index::release_main(txn, &code, &main.number)?;
                    }
                    Some(code)
                } else {
                    None
                };
                Ok((logins, gone))
            };
            let apply = |directory: &Directory, (logins, gone): &(Vec<LoginName>, Option<TenantCode>)| {
                for login in logins {
                    directory.remove(login.as_str());
                }
                if let Some(code) = gone {
                    directory.remove_tenant(code.as_str());
                }
            };
            if let (_, Some(_)) = self.commit(job, apply).await? {
                return Ok(Response::Done);
            }
        }
    }
}

fn put(directory: &Directory, tenant: &Tenant) {
    directory.put_tenant(tenant.clone());
}
