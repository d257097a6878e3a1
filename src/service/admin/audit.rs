//! The audit, read.

use super::view::{AuditView, Response};
use super::{Admin, Refusal};
use crate::account::{Number, TenantCode};
use crate::base::limit;
use crate::directory::record::What;
use crate::service::audit::{About, AuditLine};
use crate::service::tables::AUDIT;
use std::collections::VecDeque;

impl Admin {
    /// The `last` newest lines that are about this tenant or extension, the newest last. Those of what
    /// was removed stay.
    pub(super) async fn audit_list(
        &self,
        tenant: Option<TenantCode>,
        number: Option<Number>,
        last: usize,
    ) -> Result<Response, Refusal> {
        let last = last.clamp(1, limit::ADMIN_PAGE_ROWS);
        self.look(move |view| {
            let (mut found, mut after) = (VecDeque::new(), None);
            loop {
                let page = AUDIT.scan(&view, &[], after.as_ref(), limit::ADMIN_PAGE_ROWS)?;
                after = page.last().map(|(key, _)| key.clone());
                for (_, row) in page {
                    let (code, extension) = row.value.about.names();
                    let asked = tenant.as_ref().is_none_or(|tenant| code == Some(tenant.as_str()))
                        && number.as_ref().is_none_or(|number| extension == Some(number.as_str()));
                    if asked {
                        found.push_back(row.value);
                    }
                    if found.len() > last {
                        found.pop_front();
                    }
                }
                if after.is_none() {
                    return Ok(Response::Audit(found.iter().map(show).collect()));
                }
            }
        })
        .await
    }
}

fn show(line: &AuditLine) -> AuditView {
    let AuditLine { about, notice, change } = line;
    let (tenant, extension) = about.names();
    let banned = match about {
        About::Source(source) => Some(source.to_string()),
        About::Tenant(_) | About::Extension(_) | About::System => None,
    };
    let (by, action, source, after) = match &notice.what {
        What::Activated { device, address } => {
            ("phone", "activated", Some(address.clone()), format!("device={device}"))
        }
        What::Cloned { device, address } => {
            ("phone", "cloned", Some(address.clone()), format!("device={device}"))
        }
        What::Locked { until, source } => {
            ("phone", "locked", Some(source.clone()), format!("until={}", until.rfc3339()))
        }
        What::LockedOut { scope, until, source } => {
            (scope.label(), "locked", Some(source.clone()), format!("until={}", until.rfc3339()))
        }
        What::Administered { by, command } => (by.as_str(), command.as_str(), banned, change.after.clone()),
    };
    AuditView {
        at: notice.at.rfc3339(),
        by: by.to_owned(),
        action: action.to_owned(),
        tenant: tenant.map(str::to_owned),
        extension: extension.map(str::to_owned),
        source,
        before: change.before.clone(),
        after,
    }
}
