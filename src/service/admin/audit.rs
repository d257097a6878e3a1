//! The audit, read.

use super::caller::source_of;
use super::check::bad;
use super::view::{AuditView, Response};
use super::{Admin, Narrow, Refusal};
use crate::account::{AccountId, TenantCode};
use crate::base::limit;
use crate::directory::record::What;
use crate::service::audit::{About, AuditLine};
use crate::service::tables::AUDIT;
use crate::store::{Key, View, key};
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Which lines are asked for.
struct Wanted {
    tenant: Option<TenantCode>,
    number: Option<AccountId>,
    narrow: Narrow,
}

impl Wanted {
    /// A line as it is told, if it is wanted.
    fn show(&self, line: &AuditLine) -> Option<AuditView> {
        let (code, extension) = line.about.names();
        let about = self.tenant.as_ref().is_none_or(|tenant| code == Some(tenant.as_str()))
            && self.number.as_ref().is_none_or(|number| extension == Some(number.as_str()));
        let Narrow { since, until, by, action } = &self.narrow;
        let at = line.notice.at;
        let then = since.is_none_or(|since| at >= since) && until.is_none_or(|until| at <= until);
        let told = (about && then).then(|| show(line))?;
        let by = by.as_ref().is_none_or(|by| told.by.contains(by.as_str()));
        (by && action.as_ref().is_none_or(|action| told.action == *action)).then_some(told)
    }

    /// Goes through the lines behind `after`, or from the first that may be wanted, oldest first, until
    /// `each` has had enough; gives it what is wanted, and the line's key.
    fn each(
        &self,
        view: &View<'_>,
        after: Option<Key>,
        mut each: impl FnMut(&Key, AuditView) -> ControlFlow<()>,
    ) -> Result<(), Refusal> {
        let first = self.narrow.since.map(|since| AUDIT.key(&[&key::ordered(since.as_micros())]));
        let mut after = after.or(first.transpose()?);
        loop {
            let page = AUDIT.scan(view, &[], after.as_ref(), limit::ADMIN_PAGE_ROWS)?;
            for (key, row) in &page {
                let late = self.narrow.until.is_some_and(|until| row.value.notice.at > until);
                let told = self.show(&row.value);
                if late || told.is_some_and(|told| each(key, told).is_break()) {
                    return Ok(());
                }
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => return Ok(()),
            }
        }
    }
}

impl Admin {
    /// The `last` newest of the lines asked for, the newest last. Those of what was removed stay.
    pub(super) async fn audit_list(
        &self,
        tenant: Option<TenantCode>,
        number: Option<AccountId>,
        narrow: Narrow,
        last: usize,
    ) -> Result<Response, Refusal> {
        let last = last.clamp(1, limit::ADMIN_PAGE_ROWS);
        let wanted = Wanted { tenant, number, narrow };
        self.look(move |view| {
            let mut found = VecDeque::new();
            wanted.each(&view, None, |_, told| {
                found.push_back(told);
                if found.len() > last {
                    found.pop_front();
                }
                ControlFlow::Continue(())
            })?;
            Ok(Response::Audit(found.into()))
        })
        .await
    }

    /// A page of at most so many of the lines asked for, the oldest first, from behind `after` on.
    pub(super) async fn audit_export(
        &self,
        tenant: Option<TenantCode>,
        number: Option<AccountId>,
        narrow: Narrow,
        after: Option<String>,
        most: Option<usize>,
    ) -> Result<Response, Refusal> {
        let wanted = Wanted { tenant, number, narrow };
        let most = most.unwrap_or(limit::ADMIN_PAGE_ROWS).clamp(1, limit::ADMIN_PAGE_ROWS);
        self.look(move |view| {
            let after = after.map(|cursor| key_of(&cursor)).transpose()?;
            let (mut rows, mut next) = (Vec::new(), None);
            wanted.each(&view, after, |key, told| {
                rows.push(told);
                if rows.len() < most {
                    return ControlFlow::Continue(());
                }
                next = key.parts().map(|parts| parts.join("/"));
                ControlFlow::Break(())
            })?;
            Ok(Response::AuditPage { rows, next })
        })
        .await
    }
}

/// The line that a page ended with.
fn key_of(cursor: &str) -> Result<Key, Refusal> {
    let none = || bad("after", "it is none that a page gave".into());
    let parts: Vec<&str> = cursor.splitn(3, '/').collect();
    if parts.len() != 3 {
        return Err(none());
    }
    AUDIT.key(&parts).map_err(|_| none()) // it is too long for one
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
        What::Adopted { device, address } => {
            ("phone", "adopted", Some(address.clone()), format!("device={device}"))
        }
        What::Flapping { device, times, within_s } => {
            ("phone", "flapping", None, format!("device={device} times={times} within_s={within_s}"))
        }
        What::Banned { until } => ("phone", "banned", banned, format!("until={}", until.rfc3339())),
        What::LockedOut { scope, until, source } => {
            (scope.label(), "locked", Some(source.clone()), format!("until={}", until.rfc3339()))
        }
        What::Administered { by, command } => {
            let source = banned.or_else(|| source_of(by).map(|source| source.to_string()));
            (by.as_str(), command.as_str(), source, change.after.clone())
        }
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
