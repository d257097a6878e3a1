//! SIP over TLS: phones, certificates, versions, reloads, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use rustls::version::{TLS12, TLS13};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use support::phone::Phone;
use support::secure::{self, Authority, Secure};
use support::server::{DOMAIN, Server, Setup, refused_start};
use support::sip::Peer;
use support::{PATIENCE, free_port, until};
use tempfile::TempDir;

/// RFC 5630 §5.1.1.
const SIPS_NOT_ALLOWED: &str = "380 example.test \"SIPS Not Allowed\"";

/// Connections of one source with an unfinished handshake.
const HANDSHAKES_PER_SOURCE: usize = 128;

/// A server that listens for TLS too, its authority, and a folder for certificates.
struct World {
    server: Server,
    tls: SocketAddr,
    authority: Authority,
    folder: TempDir,
}

fn world() -> World {
    world_with(|_, _| String::new())
}

/// A server whose `[tls]` has more in it.
fn world_with(more: impl FnOnce(&Authority, &Path) -> String) -> World {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    authority.issue_to(folder.path(), "main", &[DOMAIN]);
    let at = folder.path().display();
    let more = more(&authority, folder.path());
    let sections = format!("[tls]\ncertificate = \"{at}/main.pem\"\nkey = \"{at}/main.key\"\n{more}\n");
    let tls = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let listens = [format!("tls:{tls}")];
    let server = Server::start_with(&Setup { listens: &listens, sections: &sections, ..Setup::default() });
    World { server, tls, authority, folder }
}

impl World {
    fn phone(&self, number: &str) -> Phone {
        let peer = Peer::tls(self.tls, &self.authority.trust(), DOMAIN);
        Phone::of(peer, self.server.sip(), number)
    }

    fn connect(&self, name: &str) -> Secure {
        secure::connect(self.tls, &self.authority.trust(), name).unwrap()
    }
}

/// The certificate that the server showed.
fn shown(stream: &Secure) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

/// Whether somebody answers over the connection.
fn lives(stream: &mut Secure) {
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[test]
fn a_phone_registers_refreshes_calls_and_is_called_over_tls() {
    let world = world();
    let server = &world.server;
    server.populate("acme", &["201", "202", "203"]);
    let mut near = world.phone("201").registered();
    assert_eq!(near.register().status(), 200);
    let flow = server.bindings("acme", "201")[0]["flow"].to_string();
    assert!(flow.contains(&format!("tls:{}", near.peer.local())), "{flow}");
    let mut far = Phone::new(server, "202").registered();
    let mut secure = world.phone("203").registered();

    // The caller speaks TLS; it may ask for a sips URI, which rings nobody in the clear.
    let unwanted = near.invite_request("202").with_request_uri(&format!("sips:202@{DOMAIN}"));
    let refused = near.sign_in(&unwanted);
    assert_eq!((refused.status(), refused.field("Warning")), (480, SIPS_NOT_ALLOWED));
    for (scheme, number) in [("sips", "203"), ("sip", "202")] {
        let (caller, called) = (&mut near, if number == "203" { &mut secure } else { &mut far });
        let uri = format!("{scheme}:{number}@{DOMAIN}");
        let request = caller.invite_request(number).with_request_uri(&uri);
        let challenge = caller.ask(&request);
        let invite = caller.signed(&request, &challenge);
        caller.send(&invite);
        let rung = called.awaits("INVITE");
        called.answers(&rung, 200, "OK");
        let answer = caller.answer_to(&invite);
        assert_eq!(answer.status(), 200, "{answer}");
        let contact = answer.field("Contact");
        let transport = if scheme == "sip" { ";transport=tls" } else { "" };
        assert!(contact.starts_with(&format!("<{scheme}:")), "{contact}");
        assert!(contact.ends_with(&format!("@{}{transport}>", world.tls)), "{contact}");
        let ack = caller.in_dialog("ACK", &invite, &answer);
        caller.send(&ack);
        let bye = called.bye_to(&rung);
        called.send(&bye);
        let heard = caller.awaits("BYE");
        caller.answers(&heard, 200, "OK");
        assert_eq!(called.answer_to(&bye).status(), 200);
    }
    // And is called over its connection.
    let request = far.invite_request("201");
    let challenge = far.ask(&request);
    let invite = far.signed(&request, &challenge);
    far.send(&invite);
    let rung = near.awaits("INVITE");
    assert!(rung.field("Via").starts_with(&format!("SIP/2.0/TLS {};", world.tls)), "{rung}");
    assert!(rung.field("Contact").contains(&format!("@{};transport=tls", world.tls)), "{rung}");
    near.answers(&rung, 486, "Busy Here");
    assert_eq!(far.answer_to(&invite).status(), 486);
    assert!(server.metric("stationmaster_messages_total{transport=\"tls\",direction=\"in\"}") >= 6);
    // The binding dies with the connection.
    drop(near);
    let flow = || server.bindings("acme", "201")[0]["flow"].to_string();
    until("the binding ends with its connection", || flow().contains("(closed)").then_some(()));
    world.server.stop();
}

/// RFC 3261 §26.2.2, RFC 5630: a sips URI is a promise of every hop.
#[test]
fn a_sips_contact_or_call_in_the_clear_is_refused() {
    let world = world();
    let server = &world.server;
    server.populate("acme", &["201", "202"]);
    let _called = world.phone("202").registered();
    let mut phone = Phone::new(server, "201");
    let mut request = phone.register_request();
    request.set("Contact", phone.contact().replace("sip:", "sips:"));
    let refused = phone.sign_in(&request);
    assert_eq!((refused.status(), refused.reason()), (400, "SIPS Contact Needs TLS"));
    let mut phone = phone.registered();
    let invite = phone.invite_request("202").with_request_uri(&format!("sips:202@{DOMAIN}"));
    let refused = phone.sign_in(&invite);
    assert_eq!((refused.status(), refused.field("Warning")), (480, SIPS_NOT_ALLOWED));

    // Over TLS it is a contact like any other, and rung as it is written.
    let mut secure = world.phone("201");
    let contact = secure.contact().replace("sip:", "sips:").replace(";transport=tls", "");
    let mut request = secure.register_request();
    request.set("Contact", &contact);
    assert_eq!(secure.sign_in(&request).status(), 200);
    phone.unregister();
    let mut caller = world.phone("202").registered();
    let invite = caller.begin_call("201");
    let rung = secure.awaits("INVITE");
    assert!(contact.contains(rung.uri()), "{rung}");
    assert!(rung.field("Contact").starts_with("<sips:"), "{rung}");
    secure.answers(&rung, 486, "Busy Here");
    assert_eq!(caller.answer_to(&invite).status(), 486);
    world.server.stop();
}

#[test]
fn both_versions_of_tls_and_no_other_protocol() {
    let world = world();
    for version in [&TLS12, &TLS13] {
        let trust = world.authority.trust_with(None, &[version]);
        let mut stream = secure::connect(world.tls, &trust, DOMAIN).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        lives(&mut stream);
    }
    // Who trusts another authority goes.
    let foreign = Authority::new().trust();
    assert!(secure::connect(world.tls, &foreign, DOMAIN).is_err());
    // Plain SIP to a TLS port is closed and counted.
    let mut plain = TcpStream::connect(world.tls).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"OPTIONS sip:example.test SIP/2.0\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    let failed = "stationmaster_shed_total{why=\"handshake_failed\"}";
    until("both are counted", || (world.server.metric(failed) == 2).then_some(()));
    world.server.stop();
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let world = world_with(|authority, folder| {
        authority.issue_to(folder, "other", &["other.test"]);
        let at = folder.display();
        format!(
            "[[tls.domain]]\nname = \"Other.test\"\ncertificate = \"{at}/other.pem\"\nkey = \"{at}/other.key\""
        )
    });
    let (main, other) = (world.connect(DOMAIN), world.connect("other.test"));
    assert_ne!(shown(&main), shown(&other));
    // An unknown name gets the main one, which its asker does not accept.
    assert!(secure::connect(world.tls, &world.authority.trust(), "third.test").is_err());
    world.server.stop();
}

#[test]
fn a_reload_changes_the_certificate_and_drops_nobody() {
    let world = world();
    let mut before = world.connect(DOMAIN);
    lives(&mut before);
    world.authority.issue_to(world.folder.path(), "main", &[DOMAIN]);
    world.server.hang_up();
    let mut after = until("the new certificate is shown", || {
        let stream = world.connect(DOMAIN);
        (shown(&stream) != shown(&before)).then_some(stream)
    });
    lives(&mut after);
    lives(&mut before);
    // A broken file changes nothing, and is told.
    std::fs::write(world.folder.path().join("main.key"), "nothing").unwrap();
    world.server.hang_up();
    until("the mistake is told", || world.server.output().contains("no private key in PEM").then_some(()));
    assert_eq!(shown(&world.connect(DOMAIN)), shown(&after));
    lives(&mut before);
    world.server.stop();
}

#[test]
fn clients_show_certificates_if_asked_for() {
    for required in [false, true] {
        let world = world_with(|authority, folder| {
            let ca = authority.write(folder);
            format!("client_ca = \"{}\"\nclient_required = {required}", ca.display())
        });
        let with = |shows| {
            let trust = world.authority.trust_with(shows, rustls::ALL_VERSIONS);
            let mut stream = secure::connect(world.tls, &trust, DOMAIN).ok()?;
            // In TLS 1.3 a client learns only afterwards that it was refused.
            stream.write_all(b"\r\n\r\n").ok()?;
            stream.read_exact(&mut [0; 2]).ok()
        };
        assert_eq!(with(Some(world.authority.issue(&["phone.test"]))), Some(()), "{required}");
        assert_eq!(with(Some(Authority::new().issue(&["phone.test"]))), None, "{required}");
        assert_eq!(with(None).is_some(), !required);
        world.server.stop();
    }
}

#[test]
fn files_that_cannot_be_used_are_mistakes_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let authority = Authority::new();
    authority.issue_to(at, "main", &[DOMAIN]);
    authority.issue_to(at, "other", &["other.test"]);
    let here = at.display();
    let main = format!("certificate = \"{here}/main.pem\"\nkey = \"{here}/main.key\"\n");
    for (tls, line, key, reason) in [
        (
            format!("certificate = \"{here}/none.pem\"\nkey = \"{here}/main.key\"\n"),
            4,
            "tls.certificate",
            format!("{here}/none.pem: cannot be read: No such file"),
        ),
        (
            format!("certificate = \"{here}/main.key\"\nkey = \"{here}/main.key\"\n"),
            4,
            "tls.certificate",
            format!("{here}/main.key: no certificate in PEM"),
        ),
        (
            format!("certificate = \"{here}/main.pem\"\nkey = \"{here}/other.pem\"\n"),
            5,
            "tls.key",
            format!("{here}/other.pem: no private key in PEM"),
        ),
        (
            format!("certificate = \"{here}/main.pem\"\nkey = \"{here}/other.key\"\n"),
            5,
            "tls.key",
            format!("{here}/other.key is not the key of the certificate in {here}/main.pem"),
        ),
        (
            format!(
                "{main}[[tls.domain]]\nname = \"third.test\"\ncertificate = \"{here}/other.pem\"\nkey = \"{here}/other.key\"\n"
            ),
            6,
            "tls.domain",
            format!("{here}/other.pem: is no certificate for third.test"),
        ),
        (
            format!("{main}client_ca = \"{here}/main.key\"\n"),
            6,
            "tls.client_ca",
            format!("{here}/main.key: no certificate in PEM"),
        ),
    ] {
        let config = at.join("stationmaster.toml");
        let text = format!("[store]\nurl = \"memory:\"\n[tls]\n{tls}");
        std::fs::write(&config, text).unwrap();
        let expected = format!("error: {}:{line}: {key}: {reason}", config.display());
        let (status, said) = refused_start(&config, at);
        assert!(status == 78 && said.contains(&expected), "{status}: {said}\n{expected}");
        let checked = std::process::Command::new(env!("CARGO_BIN_EXE_stationmaster"))
            .arg("-c")
            .arg(&config)
            .arg("check")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.code() == Some(78) && said.contains(&expected), "{said}\n{expected}");
    }
}

#[test]
fn a_stop_says_goodbye() {
    let world = world();
    let mut stream = world.connect(DOMAIN);
    lives(&mut stream);
    world.server.stop();
    // Without `close_notify` this would be an error.
    assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn one_handshake_too_many_of_a_source_is_closed() {
    let world = world();
    let connect = |_| {
        let stream = TcpStream::connect(world.tls).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut held: Vec<_> = (0..=HANDSHAKES_PER_SOURCE).map(connect).collect();
    let why = "stationmaster_shed_total{why=\"handshakes_of_source_full\"}";
    until("it is counted", || (world.server.metric(why) == 1).then_some(()));
    // It need not be the last: each shard takes its connections in when it comes to them.
    let is_open = |stream: &TcpStream| {
        stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    until("one is closed", || held.iter().any(|stream| !is_open(stream)).then_some(()));
    held.retain(is_open);
    assert_eq!(held.len(), HANDSHAKES_PER_SOURCE, "and no other");
    held.pop();
    until("there is room again", || secure::connect(world.tls, &world.authority.trust(), DOMAIN).ok());
    world.server.stop();
}
