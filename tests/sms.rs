//! Codes by SMS, against a gateway of the test's own that does what it is told.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use stationmaster::mail::gateway::{Endpoint, Format, Gateway, Login, Template, TextError};
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::http::{Answer, Client};
use support::mails::mails;
use support::secure::Authority;
use support::server::{Server, Setup, password};
use support::{Held, until};

const MOBILE: &str = "+16045550199";
const ME: &str = "/api/v1/me/second";

/// A message that was posted: its head in lower case, and its body.
#[derive(Clone, Debug)]
struct Posted {
    head: String,
    body: String,
}

impl Posted {
    /// The six digits in it.
    fn code(&self) -> String {
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        let start = ["Body=", "\"text\":\""].iter().find_map(|mark| self.body.split_once(mark)).unwrap().1;
        let code = digits(start);
        assert_eq!(code.len(), 6, "{self:?}");
        code
    }
}

/// What a gateway does with a message.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer(u16),
    /// It never answers.
    Nothing,
}

#[derive(Debug, Default)]
struct Heard {
    posted: Vec<Posted>,
    /// What is done with the next ones; after them each is taken.
    script: VecDeque<Does>,
    /// Connections without an answer, which stay open.
    silent: Vec<Box<dyn std::any::Any + Send>>,
}

/// A gateway without TLS. It ends with the test's process.
#[derive(Clone)]
struct SmsGateway(Arc<Mutex<Heard>>);

impl SmsGateway {
    fn start(place: Held, script: &[Does]) -> Self {
        let listener = place.listen();
        let heard = Heard { script: script.iter().copied().collect(), ..Heard::default() };
        let gateway = Self(Arc::new(Mutex::new(heard)));
        let own = gateway.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client may go whenever it likes.
                let _ = stream.map(|mut stream| {
                    let reader = stream.try_clone().unwrap();
                    if let Ok(Does::Answer(status)) = own.hear(reader) {
                        let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
                    } else {
                        own.0.lock().unwrap().silent.push(Box::new(stream));
                    }
                });
            }
        });
        gateway
    }

    fn hear(&self, stream: impl Read) -> std::io::Result<Does> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut heard = self.0.lock().unwrap();
        heard.posted.push(Posted { head, body: String::from_utf8(body).unwrap() });
        Ok(heard.script.pop_front().unwrap_or(Does::Answer(201)))
    }

    /// The last message once there are so many.
    fn posted(&self, count: usize) -> Posted {
        until("the message has come", || {
            let heard = self.0.lock().unwrap();
            (heard.posted.len() == count).then(|| heard.posted.last().unwrap().clone())
        })
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().posted.len()
    }
}

/// A server whose codes go to a gateway at this port, with some extensions.
fn server(port: u16, more: &str) -> Server {
    let sections = format!("[sms]\nurl = \"http://127.0.0.1:{port}/send?v=1\"\n{more}");
    let server = Server::start_with(&Setup { sections: &sections, ..Setup::default() });
    server.populate("acme", &["201", "202", "203"]);
    server.cli(&["tenant", "set", "acme", "--main-number", "+1 604 555 0100"], "");
    server
}

fn sign_in(server: &Server, number: &str) -> Answer {
    let body = json!({ "login": format!("{number}-acme"), "password": password(number) });
    Client::nobody(server).put("POST", "/api/v1/session", &body)
}

/// A person who is signed in.
fn member(server: &Server, number: &str) -> Client {
    member_of(server, &sign_in(server, number))
}

fn member_of(server: &Server, signed_in: &Answer) -> Client {
    let csrf = signed_in.is(201)["csrf_token"].as_str().unwrap().to_owned();
    let cookie = signed_in.headers("set-cookie").find(|line| line.starts_with("__Host-session=")).unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    Client::nobody(server).with("Cookie", &cookie).with("X-CSRF-Token", &csrf)
}

fn begin(person: &Client, number: &str, mobile: &str) -> Answer {
    person.put("POST", ME, &json!({ "password": password(number), "method": "sms", "mobile": mobile }))
}

fn verify(person: &Client, code: &str) -> Answer {
    person.put("POST", &format!("{ME}/verify"), &json!({ "code": code }))
}

/// Signs in as far as the second factor: what goes on, and what may be shown.
fn pending(server: &Server, number: &str) -> (Value, Value) {
    let asked = sign_in(server, number).is(200);
    assert_eq!(asked["state"], "second_factor_required", "{asked}");
    (asked["pending"].clone(), asked["methods"].clone())
}

fn ask_code(server: &Server, pending: &Value) -> Answer {
    Client::nobody(server).put("POST", "/api/v1/session/second/sms", &json!({ "pending": pending }))
}

fn second(server: &Server, pending: &Value, code: &str) -> Answer {
    let body = json!({ "pending": pending, "code": code });
    Client::nobody(server).put("POST", "/api/v1/session/second", &body)
}

fn count(server: &Server, outcome: &str) -> u64 {
    server.metric(&format!("stationmaster_texts_total{{outcome=\"{outcome}\"}}"))
}

fn wrong(code: &str) -> String {
    code.chars().map(|digit| if digit == '9' { '0' } else { char::from(digit as u8 + 1) }).collect()
}

#[test]
fn a_number_is_confirmed_by_a_code_that_was_sent_there_and_then_asked_at_sign_in() {
    let (place, folder) = (Held::new(), tempfile::tempdir().unwrap());
    let port = place.port();
    let secret = folder.path().join("secret");
    fs::write(&secret, "Points&Crossings\n").unwrap();
    let gateway = SmsGateway::start(place, &[]);
    let more = format!(
        "user = \"AC1\"\nfrom = \"Acme & Co\"\nsecret_file = \"{}\"\nprefixes = [\"+1\"]\n",
        secret.display()
    );
    let server = server(port, &more);
    let ada = member(&server, "201");
    for (mobile, status) in [("+44 7700 900123", 422), ("call me", 422), ("", 422), (&"1".repeat(65), 400)] {
        assert_eq!(begin(&ada, "201", mobile).problem(status), ["mobile"], "{mobile}");
    }
    let without = json!({ "password": password("201"), "method": "sms" });
    assert_eq!(ada.put("POST", ME, &without).problem(422), ["mobile"]);
    let other = json!({ "password": password("201"), "method": "pigeon" });
    assert_eq!(ada.put("POST", ME, &other).problem(422), ["method"]);
    let unproven = json!({ "password": "wrong", "method": "sms", "mobile": MOBILE });
    assert_eq!(ada.put("POST", ME, &unproven).problem(422), ["password"]);
    assert_eq!(gateway.count(), 0);

    // As it is written where the tenant's main number is.
    assert_eq!(begin(&ada, "201", "(604) 555-0199").is(200)["mobile"], MOBILE);
    let posted = gateway.posted(1);
    assert!(posted.head.starts_with("post /send?v=1 http/1.1\r\n"), "{posted:?}");
    // "AC1:Points&Crossings" in base64, in lower case like all of the head.
    let basic = "authorization: basic qumxolbvaw50cyzdcm9zc2luz3m=";
    for line in [basic, "content-type: application/x-www-form-urlencoded", &format!("host: 127.0.0.1:{port}")]
    {
        assert!(posted.head.lines().any(|known| known == line), "{line}: {posted:?}");
    }
    let code = posted.code();
    let start =
        format!("To=%2B16045550199&From=Acme+%26+Co&Body={code}+is+your+sign-in+code+for+201-acme+at+");
    assert!(posted.body.starts_with(&start), "{posted:?}");
    assert_eq!(ada.get(ME).is(200)["state"], "pending");
    let again = begin(&ada, "201", MOBILE);
    again.problem(429);
    assert!((1..=60).contains(&again.retry_after()), "{again:?}");
    assert_eq!(sign_in(&server, "201").status, 201, "it asks nothing yet");
    assert_eq!(verify(&ada, &wrong(&code)).problem(422), ["code"]);
    let recovery = verify(&ada, &code).is(200)["recovery_codes"].clone();
    assert_eq!(recovery.as_array().unwrap().len(), 10);
    let standing = ada.get(ME).is(200);
    assert_eq!((&standing["state"], &standing["mobile"]), (&json!("on"), &json!("+*********99")));
    assert_eq!(verify(&ada, &code).problem(422), ["code"], "it was used");
    let mail = mails(&server.folder().join("store/mail"), 1).remove(0).replace("=\r\n", "");
    assert!(mail.contains("by SMS to +*********99") && !mail.contains(MOBILE), "{mail}");

    let (waits, methods) = pending(&server, "201");
    assert_eq!(methods, json!(["sms", "recovery"]));
    // The code that confirmed the number was used up, so another may be asked for at once.
    assert_eq!(ask_code(&server, &waits).status, 204);
    let code = gateway.posted(2).code();
    ask_code(&server, &waits).problem(429);
    second(&server, &waits, &wrong(&code)).problem(401);
    let in_again = member_of(&server, &second(&server, &waits, &code));
    assert_eq!(in_again.get("/api/v1/me").is(200)["second_factor"], true);
    let (waits, _) = pending(&server, "201");
    second(&server, &waits, &code).problem(401);
    second(&server, &waits, recovery[0].as_str().unwrap()).is(201);
    assert_eq!(count(&server, "handed_over"), 2);

    // An administrator sees how it stands, and clears it.
    let shown: Value =
        serde_json::from_str(&server.cli(&["second", "show", "acme", "201", "--json"], "")).unwrap();
    assert_eq!((&shown["methods"], &shown["mobile"]), (&json!("sms recovery"), &json!("+*********99")));
    server.cli(&["second", "clear", "acme", "201"], "");
    assert_eq!(sign_in(&server, "201").status, 201);
    assert_eq!(ada.get(ME).is(200)["mobile"], Value::Null);
    let audit = server.list(&["audit", "list", "acme", "201"]);
    let told = |action: &str| audit.iter().find(|line| line["action"] == action).unwrap();
    assert!(told("second on")["after"].as_str().unwrap().contains(&format!("mobile={MOBILE}")), "{audit:?}");
    assert!(told("second clear")["before"].as_str().unwrap().contains(MOBILE), "{audit:?}");
    assert!(told("second sms")["by"].as_str().unwrap().starts_with("anybody "), "{audit:?}");
    for private in [MOBILE, "6045550199", &code, "Points&Crossings", "201-acme"] {
        assert!(!server.output().contains(private), "the log has {private}");
    }
    server.stop();
}

#[test]
fn without_a_gateway_codes_by_sms_are_not_offered() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    let ada = member(&server, "201");
    let said = begin(&ada, "201", MOBILE).detail(409);
    assert_eq!(said, "codes by SMS are not offered: sms.url is not set in the server's configuration");
    assert_eq!(ada.get(ME).is(200)["state"], "off");
    let app = json!({ "password": password("201") });
    assert_eq!(ada.put("POST", ME, &app).status, 200, "an app is");
    server.stop();
}

#[test]
fn a_gateway_that_is_down_loses_no_code_and_whoever_asked_is_told() {
    let place = Held::new();
    let port = place.port();
    let mut server = server(port, "format = \"json\"\n");
    let ada = member(&server, "201");
    let refused = begin(&ada, "201", MOBILE);
    assert!(refused.detail(503).contains("could not be sent yet"), "{refused:?}");
    assert_eq!(refused.retry_after(), 60);
    assert!(count(&server, "failed") > 0);
    // Nor does a crash of ours.
    server.kill();
    server.start_again();
    until("it was tried again", || (count(&server, "failed") > 0).then_some(()));
    let gateway = SmsGateway::start(place, &[]);
    let posted = gateway.posted(1);
    assert!(posted.head.contains("\r\ncontent-type: application/json\r\n"), "{posted:?}");
    let body: Value = serde_json::from_str(&posted.body).unwrap();
    assert_eq!((&body["to"], &body["from"]), (&json!(MOBILE), &json!("")));
    verify(&ada, &posted.code()).is(200);
    until("it counts", || (count(&server, "handed_over") == 1).then_some(()));
    assert_eq!(gateway.count(), 1);
    server.stop();
}

#[test]
fn a_gateway_that_fails_is_asked_again_and_one_that_refuses_is_not() {
    let (place, folder) = (Held::new(), tempfile::tempdir().unwrap());
    let port = place.port();
    let secret = folder.path().join("secret");
    fs::write(&secret, "a-token\n").unwrap();
    let script = [500, 429, 302, 200, 400, 200].map(Does::Answer);
    let gateway = SmsGateway::start(place, &script);
    let log = "[log]\nlevel = \"trace\"\nshow_private = true\n";
    let server = server(port, &format!("secret_file = \"{}\"\n{log}", secret.display()));
    let ada = member(&server, "201");
    begin(&ada, "201", MOBILE).problem(503);
    // 500, 429 and a redirection say nothing of the text.
    let posted = gateway.posted(4);
    assert!(posted.head.contains("\r\nauthorization: bearer a-token\r\n"), "{posted:?}");
    until("it is settled", || (count(&server, "handed_over") == 1).then_some(()));
    assert_eq!(count(&server, "failed"), 3);
    verify(&ada, &posted.code()).is(200);

    let bell = member(&server, "202");
    let refused = begin(&bell, "202", "+16045550198");
    assert!(refused.detail(409).starts_with("the SMS gateway refused the number"), "{refused:?}");
    assert_eq!((gateway.count(), count(&server, "refused")), (5, 1));
    let code = gateway.posted(5).code();
    assert_eq!(verify(&bell, &code).problem(422), ["code"], "what did not go out opens nothing");
    // Another one may be had at once, to another number.
    assert_eq!(begin(&bell, "202", "+16045550197").is(200)["mobile"], "+16045550197");
    verify(&bell, &gateway.posted(6).code()).is(200);
    for secret in ["a-token", &posted.code(), &code, MOBILE] {
        assert!(!server.output().contains(secret), "the log has {secret}, whatever it is set to");
    }
    server.stop();
}

#[test]
fn a_gateway_that_is_slow_holds_nobody_up() {
    let place = Held::new();
    let port = place.port();
    let gateway = SmsGateway::start(place, &[Does::Nothing]);
    let server = server(port, "timeout_s = 1\n");
    let ada = member(&server, "201");
    begin(&ada, "201", MOBILE).problem(503);
    let posted = gateway.posted(2);
    assert_eq!(posted.body, gateway.0.lock().unwrap().posted[0].body, "the same once more");
    verify(&ada, &posted.code()).is(200);
    server.stop();
}

#[test]
fn nobody_runs_up_the_bill() {
    let place = Held::new();
    let port = place.port();
    let gateway = SmsGateway::start(place, &[]);
    let server = server(port, "per_hour_max = 2\n");
    for number in ["201", "202"] {
        begin(&member(&server, number), number, MOBILE).is(200);
    }
    let third = begin(&member(&server, "203"), "203", "+16045550198");
    third.problem(429);
    assert!(third.retry_after() > 3_000, "{third:?}");
    assert_eq!((gateway.count(), count(&server, "withheld")), (2, 1));
    server.stop();
}

#[test]
fn a_secret_that_cannot_be_read_is_told_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("stationmaster.toml");
    let at = folder.path().display();
    let text = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[store]\nurl = \"sled:{at}/store\"\n[admin]\nsocket = \"{at}/s\"\n\
         [sms]\nurl = \"http://127.0.0.1:1/\"\nsecret_file = \"{at}/none\"\n"
    );
    fs::write(&config, text).unwrap();
    let program = env!("CARGO_BIN_EXE_stationmaster");
    let output = std::process::Command::new(program).arg("-c").arg(&config).arg("serve").output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("sms.secret_file: ") && said.contains("/none: "), "{said}");
}

/// The gateway's own certificate counts, for its own name.
#[test]
fn over_tls_a_gateway_must_show_a_certificate_of_an_authority_that_is_trusted() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let pem = fs::read(authority.write(folder.path())).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let (certificate, key) = authority.issue(&["localhost"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let gateway = SmsGateway(Arc::default());
    let (own, config) = (gateway.clone(), Arc::new(config));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut secure = rustls::StreamOwned::new(session, stream);
            // Who does not trust us goes before the request.
            if let Ok(Does::Answer(status)) = own.hear(&mut secure) {
                let _ = write!(secure, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    let send = |host: &str, roots: RootCertStore| {
        let endpoint = Endpoint::parse(&format!("https://{host}:{port}/send")).unwrap();
        let template = Template::new(Format::Form, "").unwrap();
        let timeout = Duration::from_secs(10);
        let way = Gateway::new(endpoint, template, "Acme".into(), &Login::None, timeout, roots).unwrap();
        runtime.block_on(way.send(MOBILE, "123456 is it"))
    };
    assert_eq!(send("localhost", roots.clone()), Ok(()));
    assert_eq!(gateway.posted(1).code(), "123456");
    for (host, roots) in [("localhost", RootCertStore::empty()), ("127.0.0.1", roots)] {
        let refused = send(host, roots);
        assert!(
            matches!(&refused, Err(TextError::Down(why)) if why.contains("certificate")),
            "{host}: {refused:?}"
        );
    }
    assert_eq!(gateway.count(), 1, "nobody else was told");
}
