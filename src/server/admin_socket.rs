//! The admin socket: where the command line reaches the running server.
//!
//! One JSON line asks, one answers; several may follow each other on one connection. The file mode
//! (0660) lets in root, the server's own user and the socket's group; the kernel
//! says who is there, and that is handed on with each request.
//!
//! It refuses: a folder that others may enter, to replace a socket that somebody listens on or a
//! file that is no socket, requests over [`limit::ADMIN_REQUEST_BYTES_MAX`], and connections over
//! [`limit::ADMIN_CONNECTIONS_MAX`], which wait.

use crate::base::limit;
use crate::service::admin::{Answer, Condition, Peer, Refusal, Request};
use crate::store::Revision;
use crate::task::{Stop, Tasks};
use std::fs;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use zeroize::Zeroize;

/// The widest mode that the socket's folder may have.
const FOLDER_MODE_MAX: u32 = 0o750;

/// The mode of the socket: what an umask of 0117 leaves.
const SOCKET_MODE: u32 = 0o660;

/// How long a connection may take to send a request, or to read its answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the listener rests after it could not accept (no descriptor left, …).
const REST: Duration = Duration::from_millis(100);

/// Does what is asked. Cheap to clone.
pub trait Execute: Clone + Send + Sync + 'static {
    /// Executes one request of this peer, if the condition holds.
    fn execute(
        &self,
        request: Request,
        only_if: Condition,
        peer: Peer,
    ) -> impl Future<Output = Result<Answer, Refusal>> + Send;
}

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum AdminSocketError {
    /// Others than its owner and group could reach into the folder.
    #[error(
        "the folder {folder} of the admin socket has mode {mode:04o}; at most 0750 is allowed: chmod 0750 {folder}"
    )]
    FolderTooWide {
        /// Which.
        folder: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The folder belongs to somebody who could replace the socket.
    #[error("the folder {folder} of the admin socket belongs to user {uid}, neither root nor this one")]
    FolderOfStranger {
        /// Which.
        folder: PathBuf,
        /// Whose.
        uid: u32,
    },
    /// Another server listens on it.
    #[error("another server answers on the admin socket {0}")]
    Busy(PathBuf),
    /// Something else has its name.
    #[error("{0} is in the place of the admin socket, and is no socket")]
    NoSocket(PathBuf),
    /// The system would not.
    #[error("the admin socket {path}: {error}")]
    System {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// An open admin socket; its file goes when it is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket, by name and by what it was when it was made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Never another server's, should one have taken its place.
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl AdminSocket {
    /// Opens the socket: makes its folder if there is none, replaces what a dead server left.
    ///
    /// # Errors
    /// As [`AdminSocketError`] says.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(path: &Path) -> Result<Self, AdminSocketError> {
        let system = |error| AdminSocketError::System { path: path.to_owned(), error };
        check_folder(path)?;
        clear_place(path)?;
        let listener = bind(path).and_then(UnixListener::from_std).map_err(system)?;
        let made = fs::symlink_metadata(path).map_err(system)?;
        let file = SocketFile { path: path.to_owned(), device: made.dev(), inode: made.ino() };
        Ok(Self { listener, file })
    }

    /// Answers requests until `tasks` ends; a request that has begun to be executed is answered.
    ///
    /// # Cancel safety
    /// Cancel safe: connections have tasks of their own.
    pub async fn serve(self, execute: impl Execute, tasks: Tasks) {
        let places = Arc::new(Semaphore::new(limit::ADMIN_CONNECTIONS_MAX));
        let stop = tasks.stop();
        let path: Arc<Path> = self.file.path.as_path().into();
        loop {
            let place = tokio::select! {
                () = stop.stopped() => return,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = stop.stopped() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (execute, path, stop) = (execute.clone(), Arc::clone(&path), tasks.stop());
                    tasks.spawn("admin connection", async move {
                        converse(stream, &path, &execute, &stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin socket could not accept");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

/// Makes the folder if there is none; refuses one that others could use.
fn check_folder(path: &Path) -> Result<(), AdminSocketError> {
    let system = |error| AdminSocketError::System { path: path.to_owned(), error };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::DirBuilder::new().mode(FOLDER_MODE_MAX).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(system(error)),
        _ => {}
    }
    let found = fs::metadata(folder).map_err(system)?;
    let mode = found.mode() & 0o7777;
    if mode & 0o777 & !FOLDER_MODE_MAX != 0 {
        return Err(AdminSocketError::FolderTooWide { folder: folder.to_owned(), mode });
    }
    let uid = found.uid();
    if uid != 0 && uid != own_uid() {
        return Err(AdminSocketError::FolderOfStranger { folder: folder.to_owned(), uid });
    }
    Ok(())
}

/// Takes away the socket of a dead server, and nothing else.
fn clear_place(path: &Path) -> Result<(), AdminSocketError> {
    let system = |error| AdminSocketError::System { path: path.to_owned(), error };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(AdminSocketError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(AdminSocketError::Busy(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(system),
        Err(error) => Err(system(error)),
    }
}

/// Binds as under umask 0117. That umask itself would count for every thread, and would rob folders
/// made meanwhile of their search bit; the mode of an unbound socket is a bound for its file's too.
fn bind(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(SOCKET_MODE))?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    // The process's own umask has taken something off that as well.
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(i32::try_from(limit::ADMIN_CONNECTIONS_MAX).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Answers what one connection asks, until it ends or the server does.
async fn converse(mut stream: UnixStream, path: &Path, execute: &impl Execute, stop: &Stop) {
    let peer = match admit(&stream, path) {
        Ok(peer) => peer,
        Err(refusal) => {
            tracing::warn!(%refusal, "an admin connection was refused");
            let _ = answer(&mut stream, &Err(refusal)).await;
            return;
        }
    };
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    loop {
        let request = tokio::select! {
            () = stop.stopped() => return,
            request = tokio::time::timeout(PATIENCE, read_request(&mut reader)) => request,
        };
        let (result, last) = match request {
            Ok(Ok(Some(asked))) => (carry_out(execute, asked, peer).await, false),
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(refusal)) => (Err(refusal), true),
        };
        if answer(&mut writer, &result).await.is_err() || last {
            return;
        }
    }
}

/// Who is there, if they may be. The kernel has let in whoever the file mode lets in; should that
/// have been widened to others since, only root and our own user remain.
fn admit(stream: &UnixStream, path: &Path) -> Result<Peer, Refusal> {
    let credentials = stream.peer_cred().map_err(|error| Refusal::Denied(error.to_string()))?;
    let peer = Peer { uid: credentials.uid(), pid: credentials.pid() };
    let closed_to_others = || fs::metadata(path).is_ok_and(|found| found.mode() & 0o007 == 0);
    if peer.uid == 0 || peer.uid == own_uid() || closed_to_others() {
        Ok(peer)
    } else {
        Err(Refusal::Denied(format!("the mode of {} lets everybody in, so nobody is let in", path.display())))
    }
}

async fn carry_out(
    execute: &impl Execute,
    (request, only_if): (Request, Condition),
    peer: Peer,
) -> Result<Answer, Refusal> {
    let (command, looks) = (request.command(), request.only_looks());
    let result = execute.execute(request, only_if, peer).await;
    match &result {
        Ok(_) if looks => tracing::debug!(command, uid = peer.uid, pid = peer.pid, "administration: looked"),
        Ok(_) => tracing::info!(command, uid = peer.uid, pid = peer.pid, "administration: done"),
        Err(_) => tracing::info!(command, uid = peer.uid, pid = peer.pid, "administration: refused"),
    }
    result
}

/// The next request; none if the peer has no more.
async fn read_request<R>(reader: &mut BufReader<R>) -> Result<Option<(Request, Condition)>, Refusal>
where
    R: tokio::io::AsyncRead + Unpin,
{
    let most = limit::ADMIN_REQUEST_BYTES_MAX;
    let mut line = Vec::new();
    let read = reader.take(most as u64 + 1).read_until(b'\n', &mut line).await;
    let request = match read {
        Ok(0) | Err(_) => Ok(None),
        Ok(_) if line.len() > most => Err(Refusal::Protocol(format!("a request of more than {most} bytes"))),
        Ok(_) if line.last() != Some(&b'\n') => Ok(None),
        Ok(_) => read_line(&line).map(Some).map_err(|error| Refusal::Protocol(error.to_string())),
    };
    line.zeroize();
    request
}

/// A request, or `[REVISION,REQUEST]`: only if what it is about still has this revision.
fn read_line(line: &[u8]) -> serde_json::Result<(Request, Condition)> {
    if line.first() != Some(&b'[') {
        return Ok((serde_json::from_slice(line)?, Condition::default()));
    }
    let (revision, request) = serde_json::from_slice(line)?;
    Ok((request, Condition { expect: Some(Revision(revision)), once: None }))
}

async fn answer<W>(writer: &mut W, result: &Result<Answer, Refusal>) -> io::Result<()>
where
    W: tokio::io::AsyncWrite + Unpin,
{
    let mut line = serde_json::to_vec(result)?;
    line.push(b'\n');
    let written = tokio::time::timeout(PATIENCE, writer.write_all(&line)).await;
    line.zeroize();
    written.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

#[cfg(test)]
#[path = "admin_socket_tests.rs"]
mod tests;
