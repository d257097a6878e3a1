//! Which extensions a list shows: those in a state, those that a text is found in, page by page.

use super::extensions::{show, state};
use super::view::Response;
use super::{Admin, Refusal, tenant};
use crate::account::{LoginName, TenantCode};
use crate::base::limit;
use crate::base::time::{Mono, Wall};
use crate::directory::{Directory, ExtensionRecord};
use crate::service::tables::{EXTENSIONS, extension};
use crate::store::{Key, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Records read at a time.
const AT_ONCE: usize = 512;

/// What is looked for; nothing given is everything.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Found in the login name, the display name or the e-mail, in whatever case.
    pub text: Option<String>,
    /// In this state only.
    pub state: Option<State>,
}

/// Which part of a list.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Only what comes after this one, by tenant and number.
    pub after: Option<LoginName>,
    /// At most so many; none: [`limit::ADMIN_PAGE_ROWS`].
    pub limit: Option<usize>,
}

/// A state that people ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Made, nobody invited yet.
    Invite,
    /// Invited, and the link still works.
    Pending,
    /// Invited, and the link has ended.
    Expired,
    /// May register and be called.
    Active,
    /// Keeps everything, may do nothing: itself, or its tenant.
    Disabled,
    /// Locked for new sign-ins, whatever else.
    Locked,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Invite, Self::Pending, Self::Expired, Self::Active, Self::Disabled, Self::Locked];

    /// Its word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Locked => "locked",
        }
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.label() == text)
            .ok_or_else(|| format!("it is none of {}", Self::ALL.map(Self::label).join(", ")))
    }
}

/// What is looked for, ready to compare.
struct Wanted {
    text: Option<String>,
    state: Option<State>,
    directory: Arc<Directory>,
}

impl Wanted {
    fn fits(&self, record: &ExtensionRecord, now: Wall) -> bool {
        let has = |text: &str, field: &str| field.to_lowercase().contains(text);
        let found = self.text.as_deref().is_none_or(|text| {
            has(text, record.login.as_str())
                || has(text, &record.name)
                || record.email.as_deref().is_some_and(|email| has(text, email))
        });
        found
            && match self.state {
                None => true,
                Some(State::Locked) => !self.directory.locks_in_force(record, now).is_empty(),
                Some(wanted) => state(record, &self.directory, now) == wanted.label(),
            }
    }
}

impl Admin {
    pub(super) async fn extension_list(
        &self,
        of: Option<TenantCode>,
        search: Search,
        page: Page,
    ) -> Result<Response, Refusal> {
        let most = page.limit.unwrap_or(limit::ADMIN_PAGE_ROWS).clamp(1, limit::ADMIN_PAGE_ROWS);
        if search.text.as_ref().is_some_and(|text| text.chars().count() > limit::SEARCH_CHARS_MAX) {
            let reason = format!("it is longer than {} characters", limit::SEARCH_CHARS_MAX);
            return Err(super::check::bad("--search", reason));
        }
        let directory = Arc::clone(&self.services.directory);
        let text = search.text.map(|text| text.to_lowercase());
        let wanted = Wanted { text, state: search.state, directory: Arc::clone(&directory) };
        // Whoever is locked has failures that memory knows, so that not every record need be read.
        let suspects = (wanted.state == Some(State::Locked)).then(|| self.suspects(of.as_ref()));
        self.look(move |view| {
            if let Some(code) = &of {
                tenant(&view, code)?;
            }
            let (found, next) = match suspects {
                Some(suspects) => among(&view, &suspects, &wanted, page.after.as_ref(), most)?,
                None => scan(&view, of.as_ref(), &wanted, page.after.as_ref(), most)?,
            };
            let rows = found.iter().map(|record| show(record, &directory, view.now()));
            Ok(Response::Extensions { rows: rows.collect(), next: next.map(|login| login.to_string()) })
        })
        .await
    }

    /// Extensions of which memory knows failures, by tenant and number.
    pub(super) fn suspects(&self, of: Option<&TenantCode>) -> Vec<LoginName> {
        let mut suspects = Vec::new();
        self.services.directory.each(|login, entry| {
            if of.is_none_or(|code| code.as_str() == login.tenant()) && !entry.watch.is_clear() {
                suspects.push(login.clone());
            }
        });
        // At the beginning of time no lock has ended; whether it has now, its record tells.
        let people = self.services.directory.locked_people(Mono::default());
        let people = people.iter().filter_map(|name| LoginName::parse(name).ok());
        suspects.extend(people.filter(|login| of.is_none_or(|code| code.as_str() == login.tenant())));
        suspects.sort_by(|a, b| order(a).cmp(&order(b)));
        suspects.dedup();
        suspects
    }
}

/// Records, and after which extension to go on.
type Found = (Vec<ExtensionRecord>, Option<LoginName>);

fn among(
    view: &View<'_>,
    logins: &[LoginName],
    wanted: &Wanted,
    after: Option<&LoginName>,
    most: usize,
) -> Result<Found, Refusal> {
    let mut found = Vec::new();
    for login in logins.iter().filter(|login| after.is_none_or(|after| order(login) > order(after))) {
        let Some(row) = extension(view, login)? else { continue };
        if wanted.fits(&row.value, view.now()) {
            if found.len() == most {
                let next = found.last().map(|record: &ExtensionRecord| record.login.clone());
                return Ok((found, next));
            }
            found.push(row.value);
        }
    }
    Ok((found, None))
}

fn scan(
    view: &View<'_>,
    of: Option<&TenantCode>,
    wanted: &Wanted,
    after: Option<&LoginName>,
    most: usize,
) -> Result<Found, Refusal> {
    let within: Vec<&str> = of.iter().map(|code| code.as_str()).collect();
    let mut after: Option<Key> =
        after.map(|login| EXTENSIONS.key(&[login.tenant(), login.number()])).transpose()?;
    let (mut found, mut looked) = (Vec::new(), 0);
    loop {
        let page = EXTENSIONS.scan(view, &within, after.as_ref(), AT_ONCE)?;
        let whole = page.len() == AT_ONCE;
        for (key, row) in page {
            let login = row.value.login.clone();
            if wanted.fits(&row.value, view.now()) {
                found.push(row.value);
            }
            looked += 1;
            if found.len() == most || looked == limit::SEARCHED_MAX {
                return Ok((found, Some(login)));
            }
            after = Some(key);
        }
        if !whole {
            return Ok((found, None));
        }
    }
}

fn order(login: &LoginName) -> (&str, &str) {
    (login.tenant(), login.number())
}
