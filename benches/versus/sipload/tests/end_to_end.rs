//! The program against small servers of the test's own.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What the small server does with a request: the responses to it.
type Answer = Box<dyn FnMut(&str) -> Vec<String> + Send>;

/// Runs a server that answers with `answer` while `client` runs.
fn with_server<T>(mut answer: Answer, client: impl FnOnce(SocketAddr) -> T) -> T {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let server = thread::spawn({
        let over = Arc::clone(&over);
        move || {
            let mut buffer = [0; 4096];
            while !over.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                for response in answer(std::str::from_utf8(&buffer[..len]).unwrap()) {
                    socket.send_to(response.as_bytes(), from).unwrap();
                }
            }
        }
    });
    let result = client(address);
    over.store(true, Ordering::Relaxed);
    server.join().unwrap();
    result
}

fn sipload(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sipload")).args(arguments).output().unwrap()
}

fn register(target: SocketAddr, more: &[&str]) -> (bool, String) {
    let target = target.to_string();
    let mut arguments =
        vec!["register", "--target", &target, "--local-port", "0", "--sockets", "3", "--users", "20"];
    arguments.extend_from_slice(more);
    let output = sipload(&arguments);
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim()
}

fn response(request: &str, status: &str, more: &str) -> String {
    let copied: String = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"]
        .map(|name| {
            format!("{name} {}{}\r\n", header(request, name), if name == "To:" { ";tag=t" } else { "" })
        })
        .concat();
    format!("SIP/2.0 {status}\r\n{copied}{more}Content-Length: 0\r\n\r\n")
}

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\r\n\
    WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\", algorithm=MD5, qop=\"auth\", opaque=\"o\"\r\n";

/// Challenges, then accepts, without a look at the digest.
fn registrar(request: &str) -> Vec<String> {
    match header(request, "Authorization:") {
        "" => vec![response(request, "401 Unauthorized", CHALLENGE)],
        _ => vec![response(request, "200 OK", &format!("Contact: {}\r\n", header(request, "Contact:")))],
    }
}

#[test]
fn registers() {
    let (ok, report) = with_server(Box::new(registrar), |target| register(target, &["--count", "50"]));
    assert!(ok, "{report}");
    assert!(report.contains("sent and received   100 requests, 100 responses"), "{report}");
}

#[test]
fn answers_the_wanted_challenge() {
    for (algorithm, nonce) in [("md5", "nonce=\"n2\""), ("sha256", "nonce=\"n1\"")] {
        let server = move |request: &str| {
            let credentials = header(request, "Authorization:");
            assert!(credentials.is_empty() || credentials.contains(nonce), "{credentials}");
            registrar(request)
        };
        let (ok, report) = with_server(Box::new(server), |target| {
            register(target, &["--count", "5", "--algorithm", algorithm])
        });
        assert!(ok, "{report}");
    }
}

#[test]
fn counts_a_kept_nonce_up() {
    let (ok, report) = with_server(Box::new(registrar), |target| {
        register(target, &["--users", "2", "--window", "1", "--count", "10", "--reuse-nonce"])
    });
    assert!(ok, "{report}");
    // Two cycles with a challenge, eight without.
    assert!(report.contains("sent and received   12 requests, 12 responses"), "{report}");
}

#[test]
fn retransmits_what_is_lost() {
    let mut count = 0;
    let lossy = move |request: &str| {
        count += 1;
        if count % 10 == 0 { Vec::new() } else { registrar(request) }
    };
    let (ok, report) = with_server(Box::new(lossy), |target| register(target, &["--count", "40"]));
    assert!(ok, "{report}");
    assert!(report.contains("note: retransmitted requests"), "{report}");
}

#[test]
fn counts_failures_by_kind() {
    let refusing = |request: &str| vec![response(request, "403 Forbidden", "")];
    let unimpressed = |request: &str| vec![response(request, "401 Unauthorized", CHALLENGE)];
    let trusting = |request: &str| vec![response(request, "200 OK", "")];
    let forgetful = |request: &str| match header(request, "Authorization:") {
        "" => registrar(request),
        _ => vec![response(request, "200 OK", "Contact: <sip:someone@else>\r\n")],
    };
    let servers: [(Answer, &str); 4] = [
        (Box::new(refusing), "REGISTER 403"),
        (Box::new(unimpressed), "401 to fresh credentials"),
        (Box::new(trusting), "200 without a challenge"),
        (Box::new(forgetful), "200 without this device's Contact"),
    ];
    for (server, kind) in servers {
        let (ok, report) = with_server(server, |target| register(target, &["--count", "7"]));
        let line = report.lines().find(|line| line.trim().starts_with(kind));
        assert!(!ok && line.is_some_and(|line| line.ends_with(" 7")), "{kind}: {report}");
    }
}

#[test]
fn a_packet_that_comes_back_counts() {
    let (ok, report) = with_server(Box::new(|request| vec![request.to_owned()]), |target| {
        let output = sipload(&[
            "ping",
            "--target",
            &target.to_string(),
            "--local-port",
            "0",
            "--count",
            "30",
            "--window",
            "4",
        ]);
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    });
    assert!(ok, "{report}");
    assert!(report.contains("30 requests, 30 responses"), "{report}");
}

#[test]
fn a_wrong_command_line_is_told_so() {
    let output = sipload(&["register", "--nonsense"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--nonsense"));
}
