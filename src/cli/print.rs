//! What people and scripts are shown: aligned tables, or JSON; reasons on standard error.

use super::Exit;
use crate::config::{ConfigErrors, DEFAULT_FILE};
use crate::service::admin::{Answer, Response, Row};
use serde::Serialize;
use serde_json::json;
use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::path::Path;

/// Says a reason on standard error, a line each.
pub fn refused(reason: impl Display, exit: Exit) -> Exit {
    let mut text = String::new();
    for line in reason.to_string().lines() {
        let _ = writeln!(text, "error: {}", printable(line));
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
    exit
}

/// Says what is wrong with the configuration.
pub(super) fn faults(errors: &ConfigErrors) -> Exit {
    let _ = writeln!(std::io::stderr(), "{errors}");
    Exit::BadConfig
}

/// Says that the configuration is good.
pub(super) fn checked(file: Option<&Path>, json: bool) -> Exit {
    let name = match file {
        Some(file) => file.display().to_string(),
        None if Path::new(DEFAULT_FILE).exists() => DEFAULT_FILE.to_owned(),
        None => "the defaults".to_owned(),
    };
    let text = if json { json!({ "file": name, "ok": true }).to_string() } else { format!("{name}: ok") };
    out(&text)
}

/// Shows a table of texts.
pub(super) fn texts(table: &str, json: bool) -> Exit {
    let rows = table.lines().filter_map(|line| line.split_once('\t'));
    let rows: Vec<_> = rows.map(|(name, text)| json!({ "name": name, "text": text })).collect();
    match array(&rows) {
        Ok(text) if json => out(&text),
        Ok(_) => out(table.trim_end()),
        Err(error) => refused(error, Exit::Refused),
    }
}

/// Shows what came of a request.
pub(super) fn answer(answer: &Answer, json: bool) -> Exit {
    let text = if json { as_json(answer) } else { as_text(&answer.response) };
    match text {
        Ok(text) => out(&text),
        Err(error) => refused(error, Exit::Refused),
    }
}

/// Writes to standard output. A reader that has gone away wants no more, which is no error.
pub(super) fn out(text: &str) -> Exit {
    if text.is_empty() {
        return Exit::Done;
    }
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            refused(format_args!("standard output: {error}"), Exit::Refused)
        }
        _ => Exit::Done,
    }
}

/// A list is an array, anything else one object; of what was changed with its new revision.
fn as_json(answer: &Answer) -> serde_json::Result<String> {
    match &answer.response {
        Response::Tenants { rows, .. } => array(rows),
        Response::Extensions { rows, .. } => array(rows),
        Response::Stations { rows, .. } => array(rows),
        Response::Devices(rows) => array(rows),
        Response::History(rows) => array(rows),
        Response::Bindings(rows) => array(rows),
        Response::Locks(rows) => array(rows),
        Response::Audit(rows) | Response::AuditPage { rows, .. } => array(rows),
        Response::Keys(rows) => array(rows),
        _ => serde_json::to_string(&answer.object()),
    }
}

/// One array, an object on each line.
fn array<T: Serialize>(rows: &[T]) -> serde_json::Result<String> {
    let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(if lines.is_empty() { "[]".into() } else { format!("[\n{}\n]", lines.join(",\n")) })
}

fn as_text(response: &Response) -> serde_json::Result<String> {
    Ok(match response {
        Response::Done | Response::Personal(_) => String::new(),
        Response::Generated { login, password } => generated(login, password),
        Response::AppEnabled { login, password, email, unmailed } => {
            let mail = match (email, unmailed) {
                (Some(email), _) => Some(format!("A mail goes to {email}.")),
                (None, reason) => reason.as_ref().map(|reason| format!("No mail goes out: {reason}.")),
            };
            // The password last, where scripts look for it.
            let password = password.as_ref().map(|password| generated(login, password));
            mail.into_iter().chain(password).collect::<Vec<_>>().join("\n")
        }
        Response::Suggested { password } => password.clone(),
        Response::Invited { email, until } => {
            format!("A link goes to {email}; it works once, until {until}.")
        }
        Response::Rotated { key } => format!(
            "The secrets in the store are sealed with key {key} from now on, those that there are behind this.\n\
             Keep a copy of the key file: copies of the store made from now on need it."
        ),
        Response::Reset { email, until: Some(until) } => {
            format!("A link goes to {email}; it works once, until {until}.")
        }
        Response::Reset { email, until: None } => {
            format!("A random password goes to {email}; it must be changed at the first sign-in.")
        }
        Response::Key { id, secret } => {
            format!(
                "The key {id} has this secret, which is shown this once; programs show both as\n{id}.{secret}"
            )
        }
        Response::Imported { extensions, skipped } => {
            let what = if *extensions == 1 { "extension" } else { "extensions" };
            let skipped =
                if *skipped > 0 { format!(", skipped {skipped} that exist") } else { String::new() };
            format!("imported {extensions} {what}{skipped}")
        }
        Response::Tenant(view) => sheet(view),
        Response::Second(view) => sheet(view),
        Response::Extension(view) => sheet(view),
        Response::Tenants { rows, .. } => narrow(rows, TENANT_COLUMNS),
        Response::Extensions { rows, .. } => table(rows),
        Response::Station(view) => sheet(view),
        Response::Stations { rows, .. } => table(rows),
        Response::Devices(rows) => table(rows),
        Response::History(rows) => table(rows),
        Response::Bindings(rows) => table(rows),
        Response::Locks(rows) => table(rows),
        Response::Audit(rows) | Response::AuditPage { rows, .. } => table(rows),
        Response::Keys(rows) => table(rows),
    })
}

fn generated(login: &str, password: &str) -> String {
    format!("The password of {login} is shown this once:\n{password}")
}

/// Columns of a table of tenants: up to their language. What else they set fits on no screen.
const TENANT_COLUMNS: usize = 8;

/// One object, a field on each line.
fn sheet<T: Row>(row: &T) -> String {
    let widest = T::COLUMNS.iter().map(|name| name.len()).max().unwrap_or(0);
    let line =
        |(name, cell): (&&str, String)| format!("{name:widest$}  {}", printable(&cell)).trim_end().to_owned();
    T::COLUMNS.iter().zip(row.cells()).map(line).collect::<Vec<_>>().join("\n")
}

/// Aligned columns under their names.
fn table<T: Row>(rows: &[T]) -> String {
    narrow(rows, usize::MAX)
}

/// The first columns of a table; `show` and JSON have the others.
fn narrow<T: Row>(rows: &[T], columns: usize) -> String {
    let head = T::COLUMNS.iter().take(columns).map(|name| name.to_uppercase()).collect();
    let body = rows.iter().map(|row| row.cells().iter().take(columns).map(|cell| printable(cell)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let mut widths = vec![0; T::COLUMNS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(row, "{cell:width$}  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}

/// A text without what could steer a terminal: names and models come from strangers.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::admin::BindingView;

    fn binding(contact: &str, expires_s: u64) -> BindingView {
        BindingView {
            contact: contact.into(),
            device: "1".into(),
            flow: "udp:192.0.2.1:5060".into(),
            expires_s,
            state: "live".into(),
            heard: None,
        }
    }

    #[test]
    fn tables_are_aligned_and_tame() {
        let rows = [binding("sip:a@h", 60), binding("sip:\u{1b}[2Jlonger@h", 5)];
        assert_eq!(
            table(&rows),
            "CONTACT           DEVICE  FLOW                EXPIRES_S  STATE  HEARD\n\
             sip:a@h           1       udp:192.0.2.1:5060  60         live\n\
             sip:\u{fffd}[2Jlonger@h  1       udp:192.0.2.1:5060  5          live"
        );
        assert_eq!(table::<BindingView>(&[]), "CONTACT  DEVICE  FLOW  EXPIRES_S  STATE  HEARD");
        assert_eq!(
            sheet(&rows[0]),
            "contact    sip:a@h\ndevice     1\nflow       udp:192.0.2.1:5060\nexpires_s  60\nstate      live\nheard"
        );
    }

    #[test]
    fn a_list_is_one_array() {
        let as_json = |response| as_json(&Answer { response, revision: None });
        assert_eq!(as_json(Response::Bindings(Vec::new())).unwrap(), "[]");
        let rows = Response::Bindings(vec![binding("sip:a@h", 60), binding("sip:b@h", 5)]);
        let text = as_json(rows).unwrap();
        let array: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(array[1]["expires_s"], 5);
        assert_eq!(array[0]["device"], "1");
    }
}
