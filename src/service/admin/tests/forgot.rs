//! A forgotten password: who is written to, and that whoever asks learns nothing of it.

use super::invite::{Kill, Post};
use super::*;
use crate::account::{MailKind, Typed};
use crate::base::limit;
use std::net::IpAddr;

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

impl Post {
    /// With the active extension 201 (`zoe@example.test`), a main number and a direct one.
    pub(super) fn with_person() -> Self {
        let post = Self::new();
        post.bench.done(set_password("201-acme", GOOD));
        let main_number = Some("+1 604 555 0100".to_owned());
        let settings = TenantSettings { main_number, ..TenantSettings::default() };
        post.bench.done(Request::TenantSet { code: code("acme"), settings });
        let numbers = NumberChanges { add: vec!["604 555 0199".into()], remove: Vec::new() };
        let who = login("201-acme");
        post.bench.done(Request::ExtensionSet { login: who, name: None, email: None, role: None, numbers });
        post
    }

    pub(super) fn forgot(&self, typed: &Typed) -> Result<(), Refusal> {
        self.bench.runtime.block_on(self.bench.admin.forgot(typed.clone(), FROM))
    }

    /// Whether a link is owed to somebody by now; it is taken away.
    fn is_owed(&self, name: &str) -> bool {
        let record = self.bench.record(name).unwrap();
        let links = record.mails.waiting().iter().filter(|mail| matches!(mail.kind, MailKind::Reset { .. }));
        let numbers: Vec<u32> = links.map(|mail| mail.number).collect();
        let who = login(name);
        let settle = move |txn: &mut Txn<'_>| -> Result<(), StoreError> {
            let row = extension(txn, &who)?.unwrap();
            let mut record = row.value;
            numbers.iter().for_each(|number| record.mails.settle(*number));
            put_extension(txn, &record, store::Expect::Any)?;
            Ok(())
        };
        let owed = record.mails.waiting().iter().any(|mail| matches!(mail.kind, MailKind::Reset { .. }));
        self.bench.admin.services.store.run_blocking(settle).unwrap();
        owed
    }

    pub(super) fn set_tenant(&self, settings: TenantSettings) {
        self.bench.done(Request::TenantSet { code: code("acme"), settings });
    }
}

#[test]
fn asks_for_email_or_main_number_and_extension_or_login_name_or_direct_number() {
    let post = Post::with_person();
    for (typed, written) in [
        (Typed::read("zoe@example.test"), true),
        (Typed::read(" ZOE@Example.Test "), true),
        (Typed::read("201-acme"), true),
        (Typed::read("604 555 0100 x201"), true),
        (Typed::of_main("604 555 0100", "201"), true),
        (Typed::of_main("+1 604 555 0100", "201"), true),
        (Typed::read("(604) 555-0199"), true),
        (Typed::read("nobody@example.test"), false),
        (Typed::read("999-acme"), false),
        (Typed::read("201"), false),
        (Typed::of_main("604 555 0100", "999"), false),
        (Typed::read("604 555 0198"), false),
        (Typed::read(""), false),
        (Typed::read("\u{0}"), false),
    ] {
        assert_eq!(post.forgot(&typed), Ok(()), "{typed:?}: the answer is the same");
        assert_eq!(post.is_owed("201-acme"), written, "{typed:?}");
        post.wait(3600);
    }
}

#[test]
fn no_link_is_sent_to_who_could_not_use_it_and_the_answer_is_the_same() {
    let disable = |post: &Post| post.bench.done(Request::ExtensionDisable { login: login("201-acme") });
    let suspend = |post: &Post| post.bench.done(Request::TenantSuspend { code: code("acme") });
    let question = |post: &Post| {
        post.set_tenant(TenantSettings { question_required: Some(true), ..TenantSettings::default() });
    };
    let email = |post: &Post| {
        let who = login("201-acme");
        let (email, numbers) = (Some(String::new()), NumberChanges::default());
        post.bench.done(Request::ExtensionSet { login: who, name: None, email, role: None, numbers });
    };
    let rows: [(&str, Kill<'_>); 4] = [
        ("disabled", &disable),
        ("tenant suspended", &suspend),
        ("no security question where one is wanted", &question),
        ("no e-mail on file", &email),
    ];
    for (name, change) in rows {
        let post = Post::with_person();
        change(&post);
        assert_eq!(post.forgot(&Typed::read("201-acme")), Ok(()), "{name}");
        assert!(!post.is_owed("201-acme"), "{name}");
    }
    // One that was never active is invited, not reset.
    let post = Post::new();
    assert_eq!(post.forgot(&Typed::read("201-acme")), Ok(()));
    assert!(!post.is_owed("201-acme"));
}

#[test]
fn every_extension_of_an_address_is_written_to_unless_they_are_many() {
    let post = Post::with_person();
    let more = |number: usize| {
        let (name, email) = ("Zoé".to_owned(), Some("Zoe@example.test".to_owned()));
        let password = Some(Password::new(GOOD.into()));
        let who = login(&format!("30{number}-acme"));
        post.bench.done(Request::ExtensionAdd { login: who, name, email, password });
    };
    (1..limit::FORGOT_EXTENSIONS_MAX).for_each(more);
    post.forgot(&Typed::read("zoe@example.test")).unwrap();
    for name in ["201-acme", "301-acme", "302-acme", "303-acme"] {
        assert!(post.is_owed(name), "{name}");
    }
    post.wait(3600);
    more(limit::FORGOT_EXTENSIONS_MAX);
    assert_eq!(post.forgot(&Typed::read("zoe@example.test")), Ok(()));
    assert!(!post.is_owed("201-acme") && !post.is_owed("304-acme"));
}

#[test]
fn nobodys_mailbox_is_flooded() {
    let post = Post::with_person();
    let mut written = 0;
    for _ in 0..20 {
        assert_eq!(post.forgot(&Typed::read("201-acme")), Ok(()));
        written += usize::from(post.is_owed("201-acme"));
    }
    assert_eq!(written, limit::RESET_MAILS_PER_HOUR);
    post.wait(3600);
    post.forgot(&Typed::read("201-acme")).unwrap();
    assert!(post.is_owed("201-acme"));
}

#[test]
fn without_a_way_for_mails_everybody_is_told_so() {
    let post = Post::with_person();
    for (carrier, links) in [(Carries::Nothing, Links::Known), (Carries::Mails, Links::Nowhere)] {
        let mut admin = post.bench.admin.clone();
        (admin.defaults.mailing.carrier, admin.defaults.mailing.links) = (carrier, links);
        for typed in ["201-acme", "999-acme"] {
            let asked = post.bench.runtime.block_on(admin.forgot(Typed::read(typed), FROM));
            assert!(matches!(asked, Err(Refusal::NoMail(_))), "{typed}: {asked:?}");
        }
    }
}

#[test]
fn the_audit_says_for_whom_a_link_was_asked_and_from_where() {
    let post = Post::with_person();
    post.forgot(&Typed::read("201-acme")).unwrap();
    post.forgot(&Typed::read("999-acme")).unwrap();
    let asked =
        Request::AuditList { tenant: None, number: "201".parse().ok(), narrow: Narrow::default(), last: 1 };
    let Ok(Response::Audit(rows)) = post.bench.ask(asked) else { panic!() };
    let row = &rows[0];
    assert_eq!((row.by.as_str(), row.action.as_str()), ("anybody 192.0.2.7", "password forgot"));
    assert_eq!((row.extension.as_deref(), row.before.as_str()), (Some("201"), ""));
    let expected = "reset_until=2027-01-15T09:00:00Z wrong_answers=0";
    assert_eq!(row.after, expected, "strangers leave no line, so they cannot fill the disk");
}
