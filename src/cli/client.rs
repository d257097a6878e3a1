//! Asks the running server; with none running, does it by itself.

use super::NotDone;
use crate::account::LoginName;
use crate::base::limit;
use crate::config::Config;
use crate::service::admin::{Answer, Condition, Page, Refusal, Request, Response};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a command tries to find either a server or a free store: as long as a starting server
/// waits for the store.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it lets go between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// Longest line of an answer, in bytes.
const ANSWER_BYTES_MAX: u64 = limit::ADMIN_REQUEST_BYTES_MAX as u64;

/// What came of trying one way: it was done or refused, or somebody else must do it.
pub(super) type Tried = Result<Result<Answer, NotDone>, Elsewhere>;

/// Nobody is there, or somebody is in the way: the other way may do.
#[derive(Debug)]
pub(super) struct Elsewhere(pub(super) String);

/// Has a request done: by the server, else by this process. A list comes whole, however many pages
/// it has.
///
/// # Errors
/// Whatever it was refused for.
pub(super) fn ask(config: &Config, request: &Request) -> Result<Answer, NotDone> {
    ask_if(config, request, &Condition::default())
}

/// As [`ask`], only if the condition holds.
///
/// # Errors
/// As [`ask`].
pub(super) fn ask_if(config: &Config, request: &Request, only_if: &Condition) -> Result<Answer, NotDone> {
    let mut whole = once(config, request, only_if)?;
    while let Some(next) = next_page(request, &whole.response) {
        match (&mut whole.response, once(config, &next, only_if)?.response) {
            (Response::Tenants { rows, next }, Response::Tenants { rows: page, next: further }) => {
                rows.extend(page);
                *next = further;
            }
            (Response::Extensions { rows, next }, Response::Extensions { rows: page, next: further }) => {
                rows.extend(page);
                *next = further;
            }
            (Response::Stations { rows, next }, Response::Stations { rows: page, next: further }) => {
                rows.extend(page);
                *next = further;
            }
            _ => return Err(Refusal::Protocol("a page of another kind".into()).into()),
        }
    }
    Ok(whole)
}

/// What asks for the rows behind those that came.
fn next_page(request: &Request, so_far: &Response) -> Option<Request> {
    match (request, so_far) {
        (Request::TenantList { limit, .. }, Response::Tenants { next: Some(next), .. }) => {
            Some(Request::TenantList { after: Some(next.parse().ok()?), limit: *limit })
        }
        (Request::ExtensionList { tenant, search, page }, Response::Extensions { next: Some(next), .. }) => {
            let page = Page { after: Some(next.parse().ok()?), limit: page.limit };
            Some(Request::ExtensionList { tenant: tenant.clone(), search: search.clone(), page })
        }
        (Request::StationList { tenant, .. }, Response::Stations { next: Some(next), .. }) => {
            let after = Some(LoginName::of_account(next).ok()?);
            Some(Request::StationList { tenant: tenant.clone(), after })
        }
        _ => None,
    }
}

fn once(config: &Config, request: &Request, only_if: &Condition) -> Result<Answer, NotDone> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Ok(result) = over_socket(&config.admin.socket, request, only_if) {
            return result;
        }
        match super::offline::execute(config, request, only_if) {
            Ok(result) => return result,
            // A server is starting or ending: it holds the store and does not answer yet, or any more.
            Err(Elsewhere(reason)) if Instant::now() >= end => return Err(Refusal::Store(reason).into()),
            Err(Elsewhere(_)) => std::thread::sleep(TRY_AGAIN),
        }
    }
}

/// Asks the server behind the socket.
fn over_socket(socket: &Path, request: &Request, only_if: &Condition) -> Tried {
    let stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Err(Elsewhere(error.to_string()));
        }
        Err(error) => {
            let reason = format!("the admin socket {}: {error}", socket.display());
            return Ok(Err(Refusal::Denied(reason).into()));
        }
    };
    match exchange(&stream, request, only_if) {
        Ok(result) => Ok(result.map_err(NotDone::Refused)),
        Err(error) if request.only_looks() => Err(Elsewhere(error.to_string())),
        Err(error) => Ok(Err(Refusal::Store(format!(
            "the server went away before it answered, so this may have been done or not: {error}"
        ))
        .into())),
    }
}

fn exchange(
    mut stream: &UnixStream,
    request: &Request,
    only_if: &Condition,
) -> std::io::Result<Result<Answer, Refusal>> {
    let mut line = match only_if.expect {
        Some(revision) => serde_json::to_vec(&(revision.0, request))?,
        None => serde_json::to_vec(request)?,
    };
    line.push(b'\n');
    // A server that refuses early (too long, not allowed) says so and reads no further.
    let sent = stream.write_all(&line);
    zeroize::Zeroize::zeroize(&mut line);
    let mut answer = Vec::new();
    BufReader::new(stream).take(ANSWER_BYTES_MAX).read_until(b'\n', &mut answer)?;
    if answer.last() != Some(&b'\n') {
        sent?;
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer).unwrap_or_else(|error| Err(Refusal::Protocol(error.to_string()))))
}
