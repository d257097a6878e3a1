use super::*;
use crate::service::admin::Response;
use std::io::{BufRead, Write};

/// Answers everything with a tenant's name, or is slow for ever.
#[derive(Clone)]
struct Stub;

impl Execute for Stub {
    async fn execute(&self, request: Request, only_if: Condition, peer: Peer) -> Result<Answer, Refusal> {
        if let Some(revision) = only_if.expect {
            return Err(Refusal::Changed { revision: revision.0 });
        }
        match request {
            Request::TenantShow { code } => {
                Err(Refusal::Denied(format!("{code} for {} of {}", peer.uid, peer.pid.unwrap_or(0))))
            }
            _ => Ok(Answer { response: Response::Done, revision: None }),
        }
    }
}

fn folder(mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    folder
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// What the lines are answered, each as one line.
fn ask(path: &Path, lines: &[&str]) -> Vec<String> {
    let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    let mut answers = std::io::BufReader::new(stream.try_clone().unwrap());
    lines
        .iter()
        .map(|line| {
            stream.write_all(format!("{line}\n").as_bytes()).unwrap();
            let mut answer = String::new();
            answers.read_line(&mut answer).unwrap();
            answer.trim_end().to_owned()
        })
        .collect()
}

#[test]
fn requests_are_answered_in_turn_with_who_asked() {
    let folder = folder(0o750);
    let path = folder.path().join("admin.sock");
    let runtime = runtime();
    let _guard = runtime.enter();
    let socket = AdminSocket::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o660);
    let (stopper, stop) = Stop::new();
    let tasks = Tasks::new(stop);
    tasks.spawn("admin", socket.serve(Stub, tasks.clone()));
    let own = format!(r#"{{"Err":{{"denied":"acme for {} of {}"}}}}"#, own_uid(), std::process::id());
    let show = r#"{"tenant_show":{"code":"acme"}}"#;
    let suspend = r#"{"tenant_suspend":{"code":"acme"}}"#;
    assert_eq!(
        ask(&path, &[show, suspend, show]),
        [&own, r#"{"Ok":{"response":"done","revision":null}}"#, &own]
    );
    let changed = r#"{"Err":{"changed":{"revision":7}}}"#;
    assert_eq!(ask(&path, &[&format!("[7,{show}]"), suspend])[0], changed);
    // What it cannot read it says once, and closes.
    let answers = ask(&path, &[r#"{"tenant_paint":{}}"#]);
    assert!(answers[0].starts_with(r#"{"Err":{"protocol":"unknown variant"#), "{answers:?}");

    stopper.stop();
    assert_eq!(runtime.block_on(tasks.join(Duration::from_secs(10))), Vec::<&str>::new());
    assert!(!path.exists(), "the file stays behind");
}

#[test]
fn a_connection_that_waits_does_not_keep_the_server_from_ending() {
    let folder = folder(0o700);
    let path = folder.path().join("admin.sock");
    let runtime = runtime();
    let _guard = runtime.enter();
    let socket = AdminSocket::open(&path).unwrap();
    let (stopper, stop) = Stop::new();
    let tasks = Tasks::new(stop);
    tasks.spawn("admin", socket.serve(Stub, tasks.clone()));
    let silent: Vec<_> = (0..=limit::ADMIN_CONNECTIONS_MAX)
        .map(|_| std::os::unix::net::UnixStream::connect(&path).unwrap())
        .collect();
    stopper.stop();
    assert_eq!(runtime.block_on(tasks.join(Duration::from_secs(10))), Vec::<&str>::new());
    drop(silent);
}

#[test]
fn a_folder_that_others_may_enter_is_refused() {
    let runtime = runtime();
    let _guard = runtime.enter();
    for (mode, good) in [(0o700, true), (0o750, true), (0o751, false), (0o755, false), (0o770, false)] {
        let folder = folder(mode);
        let opened = AdminSocket::open(&folder.path().join("admin.sock"));
        match opened {
            Ok(_) => assert!(good, "{mode:o}"),
            Err(error) => {
                assert!(!good, "{mode:o}: {error}");
                assert!(error.to_string().contains(&format!("has mode {mode:04o}")), "{error}");
            }
        }
    }
}

#[test]
fn a_missing_folder_is_made_no_wider_than_it_may_be() {
    let runtime = runtime();
    let _guard = runtime.enter();
    let above = folder(0o755);
    let _socket = AdminSocket::open(&above.path().join("run/admin.sock")).unwrap();
    let mode = fs::metadata(above.path().join("run")).unwrap().mode() & 0o777;
    assert_eq!(mode & !FOLDER_MODE_MAX, 0, "{mode:o}");
}

#[test]
fn only_what_a_dead_server_left_is_replaced() {
    let runtime = runtime();
    let _guard = runtime.enter();
    let folder = folder(0o750);
    let path = folder.path().join("admin.sock");

    let alive = AdminSocket::open(&path).unwrap();
    let error = AdminSocket::open(&path).unwrap_err();
    assert!(matches!(error, AdminSocketError::Busy(_)), "{error}");
    drop(alive);
    assert!(!path.exists());

    drop(std::os::unix::net::UnixListener::bind(&path).unwrap()); // leaves its file
    assert!(path.exists());
    drop(AdminSocket::open(&path).unwrap());

    fs::write(&path, "precious").unwrap();
    let error = AdminSocket::open(&path).unwrap_err();
    assert!(matches!(error, AdminSocketError::NoSocket(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_request_is_bounded() {
    let runtime = runtime();
    runtime.block_on(async {
        let most = limit::ADMIN_REQUEST_BYTES_MAX;
        let long = tokio::io::repeat(b'x').take(most as u64 + 10);
        let refused = read_request(&mut BufReader::new(long)).await.unwrap_err();
        assert!(matches!(refused, Refusal::Protocol(_)), "{refused}");
        let cut = &b"{\"tenant_list\":{\"after\":null}}"[..];
        assert!(read_request(&mut BufReader::new(cut)).await.unwrap().is_none());
    });
}
