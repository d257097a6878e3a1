//! What is printed page by page, since it may be more than memory should hold: exports.

use super::grammar::Format;
use super::{Exit, NotDone, client, print, refuse};
use crate::account::{AccountId, TenantCode};
use crate::base::cell::guarded;
use crate::config::Config;
use crate::service::admin::{
    AuditView, ExtensionView, Narrow, Page, Refusal, Request, Response, Row, Search,
};
use std::io::{ErrorKind, Write};

/// What is exported.
pub(super) enum Pages {
    /// Lines of the audit, the oldest first.
    Audit { tenant: Option<TenantCode>, number: Option<AccountId>, narrow: Narrow, format: Option<Format> },
    /// Extensions, as CSV that import reads.
    Extensions { tenant: Option<TenantCode> },
}

/// Columns of an export of extensions: those of import, without the password, and what is useful beside.
const EXTENSIONS: [&str; 10] =
    ["tenant", "extension", "name", "email", "role", "numbers", "state", "app", "devices", "station"];

/// Prints all pages to standard output, as JSON a line for each row. A reader that has gone away wants no more, which is no error.
pub(super) fn export(config: &Config, pages: Pages, json: bool) -> Exit {
    let out = std::io::BufWriter::new(std::io::stdout().lock());
    let done = match pages {
        Pages::Audit { format: Some(Format::Csv), .. } if json => {
            return print::refused("--json is not --format csv", Exit::Usage);
        }
        Pages::Audit { tenant, number, narrow, format } => {
            let format = format.unwrap_or(if json { Format::Jsonl } else { Format::Csv });
            let ask = |after| Request::AuditExport {
                tenant: tenant.clone(),
                number: number.clone(),
                narrow: narrow.clone(),
                after,
                limit: None,
            };
            audit(out, format, |after| client::ask(config, &ask(after)).map(|answer| answer.response))
        }
        Pages::Extensions { tenant } => {
            let all = Request::ExtensionList { tenant, search: Search::default(), page: Page::default() };
            extensions(out, json, || client::ask(config, &all).map(|answer| answer.response))
        }
    };
    match done {
        Ok(()) => Exit::Done,
        Err(Failed::Asking(not_done)) => refuse(not_done),
        Err(Failed::Writing(ErrorKind::BrokenPipe)) => Exit::Done,
        Err(Failed::Writing(kind)) => print::refused(format_args!("standard output: {kind}"), Exit::Refused),
    }
}

/// Why an export ended early.
enum Failed {
    Asking(NotDone),
    Writing(ErrorKind),
}

impl From<NotDone> for Failed {
    fn from(not_done: NotDone) -> Self {
        Self::Asking(not_done)
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Writing(error.kind())
    }
}

impl From<csv::Error> for Failed {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => error.into(),
            _ => Self::Writing(ErrorKind::InvalidData),
        }
    }
}

fn another_kind() -> Failed {
    Failed::Asking(Refusal::Protocol("a page of another kind".into()).into())
}

fn audit(
    mut out: impl Write,
    format: Format,
    ask: impl Fn(Option<String>) -> Result<Response, NotDone>,
) -> Result<(), Failed> {
    let mut after = None;
    if format == Format::Csv {
        let mut csv = csv::Writer::from_writer(&mut out);
        csv.write_record(AuditView::COLUMNS)?;
        csv.flush()?;
    }
    loop {
        let Response::AuditPage { rows, next } = ask(after)? else { return Err(another_kind()) };
        match format {
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(&mut out);
                for row in &rows {
                    csv.write_record(row.cells().iter().map(|text| guarded(text).into_owned()))?;
                }
                csv.flush()?;
            }
            Format::Jsonl => {
                rows.iter().try_for_each(|row| json_line(&mut out, row))?;
            }
        }
        out.flush()?;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// A JSON object on a line of its own.
fn json_line(out: &mut impl Write, row: &impl serde::Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, row)?;
    out.write_all(b"\n")
}

fn extensions(
    mut out: impl Write,
    json: bool,
    ask: impl FnOnce() -> Result<Response, NotDone>,
) -> Result<(), Failed> {
    let Response::Extensions { rows, .. } = ask()? else { return Err(another_kind()) };
    if json {
        rows.iter().try_for_each(|row| json_line(&mut out, row))?;
        return Ok(out.flush()?);
    }
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(EXTENSIONS)?;
    for row in rows {
        let ExtensionView { tenant, extension, name, email, role, .. } = row;
        let ExtensionView { numbers, state, app, devices, station, .. } = row;
        let (numbers, devices) = (numbers.replace(' ', ";"), devices.to_string());
        let [email, station] = [email, station].map(Option::unwrap_or_default);
        let cells = [tenant, extension, name, email, role, numbers, state, app, devices, station];
        csv.write_record(cells.iter().map(|text| guarded(text).into_owned()))?;
    }
    csv.flush()?;
    Ok(())
}
