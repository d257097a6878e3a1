//! Mail by SMTP, against a mail server of the test's own that does what it is told.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};
use support::phone::Phone;
use support::server::{Server, Setup, password};
use support::{Held, until};

/// How a mail server answers lines that have such a part, instead of its usual answers; its greeting answers
/// [`GREETING`].
type Answers = &'static [(&'static str, &'static str)];

const GREETING: &str = "(greeting)";

/// What a mail server was told, and what it does not take.
#[derive(Debug, Default)]
struct Told {
    /// Every line outside of messages.
    commands: Vec<String>,
    messages: Vec<String>,
    answers: Answers,
}

impl Told {
    fn answer(&self, line: &str, usual: &'static str) -> &'static str {
        self.answers.iter().find(|(part, _)| line.contains(part)).map_or(usual, |(_, answer)| answer)
    }
}

/// A mail server without TLS. It ends with the test's process.
#[derive(Clone)]
struct MailServer(Arc<Mutex<Told>>);

impl MailServer {
    fn start(place: Held, answers: Answers) -> Self {
        let listener = place.listen();
        let server = Self(Arc::new(Mutex::new(Told { answers, ..Told::default() })));
        let heard = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client may go whenever it likes.
                let _ = stream.and_then(|stream| heard.converse(&stream));
            }
        });
        server
    }

    fn converse(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        let greeting = self.0.lock().unwrap().answer(GREETING, "220 mail.example.test\r\n");
        stream.write_all(greeting.as_bytes())?;
        while let Some(line) = lines.next().transpose()? {
            let word = line.split(' ').next().unwrap().to_uppercase();
            let other = self.0.lock().unwrap().answer(&line, "");
            self.0.lock().unwrap().commands.push(line);
            let answer = match word.as_str() {
                _ if !other.is_empty() => other,
                "EHLO" => "250-mail.example.test\r\n250 AUTH PLAIN\r\n",
                "AUTH" => "235 welcome\r\n",
                "DATA" => {
                    stream.write_all(b"354 go on\r\n")?;
                    let mut message = String::new();
                    for line in lines.by_ref() {
                        match line?.as_str() {
                            "." => break,
                            line => message += &format!("{}\n", line.strip_prefix('.').unwrap_or(line)),
                        }
                    }
                    self.0.lock().unwrap().messages.push(message);
                    "250 taken\r\n"
                }
                "QUIT" => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            stream.write_all(answer.as_bytes())?;
        }
        Ok(())
    }

    /// Its messages once there are so many.
    fn messages(&self, count: usize) -> Vec<String> {
        until("the messages have come", || {
            let told = self.0.lock().unwrap();
            (told.messages.len() == count).then(|| told.messages.clone())
        })
    }

    /// From now on.
    fn answer_by(&self, answers: Answers) {
        self.0.lock().unwrap().answers = answers;
    }

    fn was_told(&self, word: &str) -> bool {
        self.0.lock().unwrap().commands.iter().any(|line| line.starts_with(word))
    }
}

/// A server that sends by this SMTP address, with two extensions to invite.
fn server(smtp: &str, more: &str) -> Server {
    let server = Server::start_with(&Setup {
        sections: &format!("[mail]\nfrom = \"Phones <phones@example.test>\"\nsmtp = \"{smtp}\"\n{more}"),
        ..Setup::default()
    });
    server.cli(&["tenant", "add", "acme", "--name", "Acme Ltd"], "");
    for number in ["200", "201"] {
        let email = format!("{number}@example.test");
        server.cli(&["extension", "add", "acme", number, "--name", "Ada", "--email", &email], "");
    }
    server
}

fn count(server: &Server, outcome: &str) -> u64 {
    server.metric(&format!("stationmaster_mails_total{{outcome=\"{outcome}\"}}"))
}

#[test]
fn a_mail_server_that_is_down_loses_no_mail() {
    let (place, folder) = (Held::new(), tempfile::tempdir().unwrap());
    let port = place.port();
    let password = folder.path().join("password");
    fs::write(&password, "Points&Crossings\n").unwrap();
    let login = format!("smtp_user = \"phones\"\nsmtp_password_file = \"{}\"\n", password.display());
    let server = server(&format!("smtp-plain://127.0.0.1:{port}"), &login);
    server.cli(&["extension", "invite", "acme", "200"], "");
    until("it was tried in vain", || (count(&server, "failed") > 0).then_some(()));
    let mail_server = MailServer::start(place, &[]);
    let message = mail_server.messages(1).remove(0);
    assert!(message.contains("\nTo: 200@example.test\n"), "{message}");
    assert!(message.contains("/invitation#"), "{message}");
    assert!(mail_server.was_told("MAIL FROM:<phones@example.test>"));
    // "\0phones\0Points&Crossings" in base64.
    assert!(mail_server.was_told("AUTH PLAIN AHBob25lcwBQb2ludHMmQ3Jvc3Npbmdz"));
    until("it counts", || (count(&server, "handed_over") == 1).then_some(()));
    for private in ["200@example.test", "Points&Crossings"] {
        assert!(!server.output().contains(private), "the log has {private}");
    }
    server.stop();
}

#[test]
fn a_mail_that_is_refused_waits_alone() {
    let place = Held::new();
    let port = place.port();
    let no_mailbox = &[("TO:<200@", "550 5.1.1 <200@example.test>: no such mailbox\r\n")];
    let mail_server = MailServer::start(place, no_mailbox);
    let server = server(&format!("smtp-plain://127.0.0.1:{port}"), "");
    server.cli(&["extension", "invite", "acme", "200"], "");
    until("it was refused", || (count(&server, "failed") > 0).then_some(()));
    server.cli(&["extension", "invite", "acme", "201"], "");
    let message = mail_server.messages(1).remove(0);
    assert!(message.contains("\nTo: 201@example.test\n"), "{message}");
    assert!(!server.output().contains("200@example.test"), "what a mail server says names people");
    mail_server.answer_by(&[]);
    let message = mail_server.messages(2).remove(1);
    assert!(message.contains("\nTo: 200@example.test\n"), "{message}");
    server.stop();
}

/// Extensions of acme with these numbers and addresses are invited, in this order.
fn invite(server: &Server, who: &[(&str, &str)]) {
    for (number, email) in who {
        server.cli(&["extension", "add", "acme", number, "--name", "Ada", "--email", email], "");
        server.cli(&["extension", "invite", "acme", number], "");
    }
}

/// Postfix says 450 of a domain that it does not find, others say what they like.
#[test]
fn one_bad_address_does_not_stop_the_mails_of_others_whatever_the_server_says_of_it() {
    let place = Held::new();
    let port = place.port();
    let answers = &[
        ("TO:<300@", "450 4.1.2 domain not found\r\n"),
        ("TO:<301@", "451 4.7.1 greylisted\r\n"),
        ("TO:<302@", "452 4.2.2 mailbox full\r\n"),
        ("TO:<303@", "501 5.1.3 bad address\r\n"),
        ("TO:<304@", "503 5.5.1 not now\r\n"),
        ("TO:<305@", "556 5.1.10 takes no mail\r\n"),
        ("TO:<306@", "421 4.3.2 closing\r\n"),
    ];
    let mail_server = MailServer::start(place, answers);
    let server = server(&format!("smtp-plain://127.0.0.1:{port}"), "");
    let bad: Vec<_> =
        (300..307).map(|number| (format!("{number}"), format!("{number}@example.test"))).collect();
    let mut who: Vec<_> = bad.iter().map(|(number, email)| (&**number, &**email)).collect();
    who.push(("307", "jörg@example.test")); // this mail server has no SMTPUTF8
    invite(&server, &who);
    until("each was tried", || (count(&server, "failed") >= 8).then_some(()));
    invite(&server, &[("308", "308@example.test"), ("309", "309@example.test")]);
    let messages = mail_server.messages(2);
    for number in ["308", "309"] {
        let to = format!("\nTo: {number}@example.test\n");
        assert!(messages.iter().any(|message| message.contains(&to)), "{number}: {messages:?}");
    }
    until("they count", || (count(&server, "handed_over") == 2).then_some(()));
    // And the others follow once they are taken.
    mail_server.answer_by(&[("EHLO", "250-mail.example.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")]);
    mail_server.messages(10);
    assert!(mail_server.was_told("MAIL FROM:<phones@example.test> SMTPUTF8"));
    assert_eq!(count(&server, "given_up"), 0);
    assert!(!server.output().contains("@example.test"), "the log names nobody");
    server.stop();
}

#[test]
fn what_a_mail_server_has_against_us_is_no_mails_fault() {
    let rows: [Answers; 2] =
        [&[(GREETING, "554 5.3.2 no service\r\n")], &[("MAIL", "550 5.7.1 not you\r\n")]];
    for answers in rows {
        let place = Held::new();
        let port = place.port();
        let mail_server = MailServer::start(place, answers);
        let server = server(&format!("smtp-plain://127.0.0.1:{port}"), "");
        server.cli(&["extension", "invite", "acme", "200"], "");
        server.cli(&["extension", "invite", "acme", "201"], "");
        until("both were tried in vain", || (count(&server, "failed") > 1).then_some(()));
        let log = server.output();
        assert!(log.contains("a mail was not handed over") && !log.contains("a mail was refused"), "{log}");
        mail_server.answer_by(&[]);
        mail_server.messages(2);
        assert_eq!(count(&server, "given_up"), 0);
        server.stop();
    }
}

#[test]
fn without_tls_nothing_is_told() {
    let place = Held::new();
    let port = place.port();
    let mail_server = MailServer::start(place, &[]);
    let server = server(&format!("smtp://127.0.0.1:{port}"), "");
    server.cli(&["extension", "invite", "acme", "200"], "");
    until("it was tried in vain", || (count(&server, "failed") > 0).then_some(()));
    assert!(mail_server.was_told("EHLO"));
    assert!(!mail_server.was_told("MAIL") && !mail_server.was_told("AUTH"));
    server.stop();
}

/// What is owed with a reset, an activation and a lock stands in the record of what it tells.
#[test]
fn no_mail_of_a_reset_a_new_device_or_a_lock_is_lost_though_both_servers_are_down() {
    let place = Held::new();
    let port = place.port();
    let mut server = server(&format!("smtp-plain://127.0.0.1:{port}"), "");
    server.cli(&["tenant", "set", "acme", "--mail-sender", "Acme <phones@acme.example>"], "");
    server.cli(&["password", "set", "acme", "200", "--stdin"], &password("200"));
    Phone::new(&server, "200").registered();
    let guesser = Ipv4Addr::new(127, 7, 7, 66);
    for _ in 0..5 {
        let mut phone = Phone::at(&server, "200", guesser).with_password("wrong-Horse1");
        assert_eq!(phone.register().status(), 401);
    }
    assert_eq!(Phone::at(&server, "200", guesser).register().status(), 403);
    server.cli(&["password", "reset", "acme", "200"], "");
    server.kill();
    server.start_again();
    until("it was tried in vain", || (count(&server, "failed") > 0).then_some(()));
    let mail_server = MailServer::start(place, &[]);
    let mut messages = mail_server.messages(3);
    messages.sort_by_key(|message| {
        ["/reset#", "a new phone or app", "tried too often"].iter().position(|says| message.contains(says))
    });
    for (message, says) in messages.iter().zip(["/reset#", "Signalbox/1.0, from 127.0.0.1", "127.7.7.66"]) {
        let text = message.replace("=\n", "");
        assert!(text.contains("\nTo: 200@example.test\n") && text.contains(says), "{says}: {message}");
        assert!(text.contains("\nFrom: \"Acme\" <phones@acme.example>\n"), "{message}");
    }
    // The envelope stays ours: that is whom mail servers let send.
    assert!(mail_server.was_told("MAIL FROM:<phones@example.test>"));
    server.stop();
}
