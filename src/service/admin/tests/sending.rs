//! What comes of mails that are owed: each outcome, and that it is counted.
//!
//! A carrier that is not there is in `tests/mail.rs`, and what is not owed at all in `service::telling` and
//! `tests/forgotten.rs`.

use super::invite::Post;
use super::*;
use crate::account::MailKind;
use crate::base::private::Secret;
use crate::mail::smtp::{Relay, Smtp};
use crate::mail::{Carrier, Mailbox, Spool};
use crate::store::seal::Sealer;
use std::io::{BufRead, BufReader, Write};

impl Post {
    fn invited() -> Self {
        let post = Self::new();
        post.bench.ask(Request::ExtensionInvite { login: login("201-acme") }).unwrap();
        post
    }

    fn spooling(&self) -> Carrier {
        Carrier::Spool(Spool::new(self.spool()))
    }

    /// That one mail came to this end, and no other.
    fn ended(&self, outcome: &str) {
        assert_eq!(
            (self.owed(), self.mails().len()),
            (0, usize::from(outcome == "handed_over")),
            "{outcome}"
        );
        let counts = ["handed_over", "expired", "unreadable", "given_up"].map(|one| (one, self.count(one)));
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), 1, "{counts:?}");
        assert_eq!(self.count(outcome), 1, "{counts:?}");
    }
}

#[test]
fn a_mail_is_handed_over() {
    let post = Post::invited();
    assert!(post.send_to(&post.spool()));
    post.ended("handed_over");
}

#[test]
fn a_mail_whose_link_has_ended_expires() {
    let post = Post::invited();
    post.wait(7 * 24 * 3600);
    assert!(post.send_to(&post.spool()));
    post.ended("expired");
}

#[test]
fn a_mail_whose_token_is_sealed_with_a_lost_key_is_unreadable() {
    let post = Post::invited();
    let mut services = post.bench.admin.services.clone();
    services.sealer = Arc::new(Sealer::new(&Secret::new([7; 32])));
    assert!(post.send_by(post.spooling(), &services));
    post.ended("unreadable");
}

#[test]
fn a_mail_that_no_mail_server_takes_is_tried_for_three_days_and_then_given_up() {
    let post = Post::new();
    let owe = |txn: &mut Txn<'_>| -> Result<(), StoreError> {
        let mut record = extension(txn, &login("201-acme"))?.unwrap().value;
        record.mails.owe(txn.now(), "no address".into(), MailKind::PasswordChanged);
        put_extension(txn, &record, store::Expect::Any).map(drop)
    };
    let services = &post.bench.admin.services;
    services.store.run_blocking(owe).unwrap();
    // It is never spoken to: what is wrong with the address shows before.
    let relay = Relay::parse("smtp-plain://localhost:1").unwrap();
    let smtp = Carrier::Smtp(Smtp::new(&relay, None, &Mailbox::parse("a@example.test").unwrap()).unwrap());
    for (seconds, failed) in [(0, 1), (3 * 24 * 3600 - 1, 2)] {
        post.wait(seconds);
        assert!(post.send_by(smtp.clone(), services));
        assert_eq!((post.owed(), post.count("failed"), post.count("given_up")), (1, failed, 0));
    }
    post.wait(1);
    assert!(post.send_by(smtp, services));
    post.ended("given_up");
    assert_eq!(post.count("failed"), 2);
}

#[test]
fn a_mail_server_that_takes_nothing_at_all_loses_nothing_however_long() {
    for (greeting, answer) in [("554 no service here", ""), ("220 x", "550 not you")] {
        let post = Post::new();
        let owe = |txn: &mut Txn<'_>| -> Result<(), StoreError> {
            let mut record = extension(txn, &login("201-acme"))?.unwrap().value;
            record.mails.owe(txn.now(), "zoe@example.test".into(), MailKind::PasswordChanged);
            put_extension(txn, &record, store::Expect::Any).map(drop)
        };
        post.bench.admin.services.store.run_blocking(owe).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay::parse(&format!("smtp-plain://{}", listener.local_addr().unwrap())).unwrap();
        let refusing = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in std::iter::once(Ok(String::new())).chain(lines) {
                let answer = match line.as_deref().ok().and_then(|line| line.get(..4)) {
                    None => greeting,
                    Some("MAIL") => answer,
                    Some(_) => "250 ok",
                };
                let _ = stream.write_all(format!("{answer}\r\n").as_bytes()); // it may have gone
            }
        });
        let smtp = Smtp::new(&relay, None, &Mailbox::parse("a@example.test").unwrap()).unwrap();
        post.wait(4 * 24 * 3600);
        assert!(!post.send_by(Carrier::Smtp(smtp), &post.bench.admin.services), "{greeting}");
        refusing.join().unwrap();
        assert_eq!((post.owed(), post.count("given_up")), (1, 0), "{greeting}");
    }
}
