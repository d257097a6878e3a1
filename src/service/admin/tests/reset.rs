//! The link of a reset: what it does, what kills it, the security question, an administrator's reset.

use super::invite::{Kill, Post};
use super::*;
use crate::account::{LoginName, Token, Typed, access_key};
use crate::base::limit;
use crate::service::tables::{AUDIT, TOKENS};
use std::net::IpAddr;

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const OTHER: &str = "Other-Horse8";
const HOUR_S: u64 = 3600;

impl Post {
    pub(super) fn sent_token(&self) -> String {
        assert!(self.send_to(&self.spool()));
        self.newest("https://x/reset#", 40)
    }

    /// Says that the password is forgotten; the token of the mail.
    pub(super) fn asked(&self) -> String {
        self.forgot(&Typed::read("201-acme")).unwrap();
        self.sent_token()
    }

    pub(super) fn reset(&self, token: &str, password: &str) -> Result<LoginName, Refusal> {
        self.answer(token, password, None)
    }

    fn answer(&self, token: &str, password: &str, answer: Option<&str>) -> Result<LoginName, Refusal> {
        let (password, answer) =
            (Password::new(password.into()), answer.map(|text| Password::new(text.into())));
        let used = self.bench.admin.reset(token, password, answer, FROM, None);
        self.bench.runtime.block_on(used).map(|used| used.whose().unwrap().clone())
    }

    fn question(&self, token: &str) -> Result<Option<String>, Refusal> {
        let view = self.bench.runtime.block_on(self.bench.admin.reset_view(token));
        view.map(|view| {
            assert_eq!(view.login, login("201-acme"));
            view.question
        })
    }

    pub(super) fn epoch(&self) -> u32 {
        self.bench.record("201-acme").unwrap().credentials.unwrap().epoch
    }

    /// Sets the security question, whose answer is Rex.
    fn with_question(self) -> Self {
        let (services, who) = (self.bench.admin.services.clone(), login("201-acme"));
        let keep = services.clone();
        let put = move |txn: &mut Txn<'_>| -> Result<(), StoreError> {
            let mut record = extension(txn, &who)?.unwrap().value;
            let now = txn.now();
            let question = crate::service::portal::question::hashed(&keep, &who, "First pet?", "Rex", now);
            record.portal.get_or_insert_default().question = Some(question);
            put_extension(txn, &record, store::Expect::Any).map(drop)
        };
        services.store.run_blocking(put).unwrap();
        self.set_tenant(TenantSettings { question_required: Some(true), ..TenantSettings::default() });
        self
    }
}

#[test]
fn mails_a_link_that_works_once() {
    let post = Post::with_person();
    let token = post.asked();
    assert_eq!(post.question(&token), Ok(None));
    assert_eq!(post.reset(&token, OTHER), Ok(login("201-acme")));
    let expected = crate::digest::Ha1::new("201-acme", "example.test", OTHER);
    let services = &post.bench.admin.services;
    let stored = services.unseal(&post.bench.record("201-acme").unwrap()).unwrap().unwrap();
    assert_eq!((stored.ha1.to_bytes(), stored.epoch), (expected.to_bytes(), 2));
    let seen = services.directory.with("201-acme", |entry| entry.credentials.clone()).flatten().unwrap();
    assert_eq!(seen.ha1.to_bytes(), expected.to_bytes(), "phones use it at once");

    assert_eq!(post.reset(&token, "Third-Horse9"), Err(Refusal::NoInvitation));
    assert_eq!(post.question(&token), Err(Refusal::NoInvitation));
    assert!(post.send_to(&post.spool()));
    assert!(post.mails().pop().unwrap().contains("was changed"), "its person is told");
}

#[test]
fn and_for_one_hour() {
    for (seconds, works) in [(HOUR_S - 1, true), (HOUR_S, false), (30 * 24 * HOUR_S, false)] {
        let post = Post::with_person();
        let token = post.asked();
        post.wait(seconds);
        assert_eq!(post.question(&token).is_ok(), works, "{seconds}");
        assert_eq!(post.reset(&token, OTHER).is_ok(), works, "{seconds}");
        assert_eq!(post.epoch(), if works { 2 } else { 1 });
    }
}

#[test]
fn a_clock_that_jumps_gives_no_link_more_time() {
    let post = Post::with_person();
    post.wait(2 * HOUR_S);
    let token = post.asked();
    post.bench.later.store(0, Ordering::Relaxed);
    assert_eq!(post.reset(&token, OTHER), Err(Refusal::NoInvitation), "before it was made");
    post.bench.later.store(2 * HOUR_S + 10, Ordering::Relaxed);
    assert_eq!(post.reset(&token, OTHER), Ok(login("201-acme")));
}

#[test]
fn what_kills_a_link() {
    let again = |post: &Post| drop(post.asked());
    let set = |post: &Post| post.bench.done(set_password("201-acme", "Third-Horse9"));
    let enable = |post: &Post| {
        let password = NewPassword::Given(Password::new("Third-Horse9".into()));
        post.bench.ask(Request::AppEnable { login: login("201-acme"), email: None, password }).unwrap();
    };
    let disable = |post: &Post| post.bench.done(Request::ExtensionDisable { login: login("201-acme") });
    let suspend = |post: &Post| post.bench.done(Request::TenantSuspend { code: code("acme") });
    let remove = |post: &Post| post.bench.done(Request::ExtensionRemove { login: login("201-acme") });
    let anew = |post: &Post| {
        post.bench.done(Request::ExtensionRemove { login: login("201-acme") });
        post.bench.done(add("201-acme", Some(GOOD)));
    };
    let address = |post: &Post| {
        let (email, numbers) = (Some("zoe@elsewhere.test".to_owned()), NumberChanges::default());
        let who = login("201-acme");
        post.bench.done(Request::ExtensionSet { login: who, name: None, email, role: None, numbers });
    };
    let rows: [(&str, Kill<'_>); 8] = [
        ("another address on file", &address),
        ("a newer one", &again),
        ("another password", &set),
        ("the app enabled anew", &enable),
        ("disabling", &disable),
        ("a suspended tenant", &suspend),
        ("removal", &remove),
        ("another extension of this name", &anew),
    ];
    for (name, kill) in rows {
        let post = Post::with_person();
        let token = post.asked();
        kill(&post);
        assert_eq!(post.reset(&token, OTHER), Err(Refusal::NoInvitation), "{name}");
        assert_eq!(post.reset(&token, "x"), Err(Refusal::NoInvitation), "{name}: nor what is wrong with it");
        assert_eq!(post.question(&token), Err(Refusal::NoInvitation), "{name}");
    }
}

/// A password change or reset ends every other login: an access key too.
#[test]
fn another_password_ends_the_access_keys_whoever_sets_it() {
    let set = |post: &Post| post.bench.done(set_password("201-acme", OTHER));
    let enable = |post: &Post| {
        let password = NewPassword::Generate;
        post.bench.ask(Request::AppEnable { login: login("201-acme"), email: None, password }).unwrap();
    };
    let link = |post: &Post| drop(post.reset(&post.asked(), OTHER).unwrap());
    let mailed = |post: &Post| {
        post.set_tenant(TenantSettings { random_password_by_mail: Some(true), ..TenantSettings::default() });
        post.bench.ask(Request::PasswordReset { login: login("201-acme") }).unwrap();
    };
    let rows: [(&str, Kill<'_>); 4] =
        [("set", &set), ("app enabled", &enable), ("by link", &link), ("mailed", &mailed)];
    for (name, change) in rows {
        let post = Post::with_person();
        let services = post.bench.admin.services.clone();
        let key = |who: &str, name: &str| match post
            .bench
            .ask(Request::KeyAdd { login: Some(login(who)), name: name.into() })
            .unwrap()
        {
            Response::Key { id, secret } => format!("{id}.{secret}"),
            other => panic!("{other:?}"),
        };
        let opens = |key: &String| {
            let (id, secret) = access_key::parse(key).unwrap();
            post.bench.runtime.block_on(services.whose_key(id, secret)).unwrap().is_some()
        };
        let (keys, other) = ([key("201-acme", "a"), key("201-acme", "b")], key("200-acme", "c"));
        assert!(keys.iter().all(opens) && opens(&other), "{name}");
        change(&post);
        assert!(!keys.iter().any(opens), "{name}");
        assert!(opens(&other), "{name}: another's stay");
        assert_eq!(post.bench.record("201-acme").unwrap().portal.unwrap().keys, [], "{name}");
        let rows = post.bench.ask(Request::KeyList { login: Some(login("201-acme")) });
        assert_eq!(rows, Ok(Response::Keys(Vec::new())), "{name}");
        let lines = AUDIT.scan(&services.store.view(), &[], None, 100).unwrap();
        let told = |text: &str| keys.iter().all(|key| text.contains(&format!("key={}", &key[..20])));
        assert!(lines.iter().any(|(_, row)| told(&row.value.change.before)), "{name}");
    }
}

#[test]
fn a_mail_whose_link_is_dead_is_not_sent() {
    let post = Post::with_person();
    post.forgot(&Typed::read("201-acme")).unwrap();
    post.bench.done(set_password("201-acme", "Third-Horse9"));
    assert!(post.send_to(&post.spool()));
    assert!(post.mails().iter().all(|mail| !mail.contains("/reset#")));
}

#[test]
fn a_token_is_no_good_for_another_extension_or_tenant() {
    let post = Post::with_person();
    let token = post.asked();
    post.bench.done(add_tenant("globex"));
    post.bench.done(add("201-globex", Some(GOOD)));
    let services = post.bench.admin.services.clone();
    for other in ["201-globex", "200-acme"] {
        let hash = Token::parse(&token).unwrap().hash().hex();
        let claim =
            move |txn: &mut Txn<'_>| TOKENS.put(txn, &[&hash], &login(other), None, store::Expect::Any);
        services.store.run_blocking(claim).unwrap();
        assert_eq!(post.reset(&token, OTHER), Err(Refusal::NoInvitation), "{other}");
    }
    // An invitation's token is none for a reset either.
    let unknown = Token::mint(&mut crate::base::rng::Rng::from_number(99));
    for wrong in ["", "x", &token[1..], &token.to_uppercase(), unknown.expose()] {
        assert_eq!(post.reset(wrong, OTHER), Err(Refusal::NoInvitation), "{wrong:?}");
    }
}

#[test]
fn a_weak_password_names_every_rule_and_spends_nothing() {
    let post = Post::with_person();
    let token = post.asked();
    let Err(Refusal::WeakPassword(rules)) = post.reset(&token, "201-acme") else { panic!() };
    assert_eq!(rules, ["it contains the login name"]);
    assert!(post.reset(&token, OTHER).is_ok());
}

#[test]
fn a_reset_ends_bindings_and_keeps_activations() {
    let bench = Bench::with_everything();
    let mut record = bench.record("200-acme").unwrap();
    record.email = Some("ada@example.test".into());
    let put = move |txn: &mut Txn<'_>| put_extension(txn, &record, store::Expect::Any);
    bench.admin.services.store.run_blocking(put).unwrap();
    bench.ask(Request::PasswordReset { login: login("200-acme") }).unwrap();
    assert_eq!(bench.seen("200-acme"), Some((Life::Active, true, 2, Some(1))), "not before it is used");
    let record = bench.record("200-acme").unwrap();
    let crate::account::MailKind::Reset { token, .. } = &record.mails.waiting()[0].kind else { panic!() };
    let id = crate::service::mailing::seal_id(&record.login, record.mails.waiting()[0].number);
    let token = bench.admin.services.sealer.open(&id, token).unwrap();
    let token = std::str::from_utf8(token.expose()).unwrap();
    let used = bench.admin.reset(token, Password::new(OTHER.into()), None, FROM, None);
    bench.runtime.block_on(used).unwrap();
    assert_eq!(bench.seen("200-acme"), Some((Life::Active, true, 0, Some(2))));
    assert_eq!(bench.record("200-acme").unwrap().licence.devices.len(), 3);
}

#[test]
fn a_security_question_is_asked_behind_the_link_and_wrong_answers_count() {
    let post = Post::with_person().with_question();
    let token = post.asked();
    assert_eq!(post.question(&token), Ok(Some("First pet?".into())));
    assert_eq!(post.answer(&token, OTHER, None), Err(Refusal::WrongAnswer), "which does not count");
    for _ in 1..limit::RESET_ANSWERS_MAX {
        assert_eq!(post.answer(&token, OTHER, Some("Max")), Err(Refusal::WrongAnswer));
    }
    assert_eq!(post.epoch(), 1);
    assert!(matches!(post.answer(&token, "x", Some(" REX! ")), Err(Refusal::WeakPassword(_))));
    assert_eq!(post.answer(&token, OTHER, Some(" REX! ")), Ok(login("201-acme")));

    let token = post.asked();
    for _ in 0..limit::RESET_ANSWERS_MAX {
        assert_eq!(post.answer(&token, GOOD, Some("Max")), Err(Refusal::WrongAnswer));
    }
    assert_eq!(post.answer(&token, GOOD, Some("Rex")), Err(Refusal::NoInvitation), "the link is dead");
    let kept = postcard::to_stdvec(&post.bench.record("201-acme").unwrap()).unwrap();
    assert!(!kept.to_ascii_lowercase().windows(3).any(|window| window == b"rex"));
}

#[test]
fn an_administrators_link_asks_no_question() {
    let post = Post::with_person().with_question();
    let told = post.bench.ask(Request::PasswordReset { login: login("201-acme") });
    let until = Some((NOW + HOUR).rfc3339());
    assert_eq!(told, Ok(Response::Reset { email: "zoe@example.test".into(), until }));
    let token = post.sent_token();
    assert_eq!(post.question(&token), Ok(None));
    assert_eq!(post.reset(&token, OTHER), Ok(login("201-acme")));
}

#[test]
fn who_cannot_be_reset() {
    let post = Post::new();
    let reset = |name: &str| Request::PasswordReset { login: login(name) };
    assert_eq!(
        post.bench.refused(reset("201-acme")),
        "extension 201-acme has no password yet; set one first"
    );
    assert_eq!(post.bench.refused(reset("200-acme")), "extension 200-acme has no e-mail; set one first");
    post.bench.done(set_password("201-acme", GOOD));
    post.bench.done(Request::ExtensionDisable { login: login("201-acme") });
    assert_eq!(post.bench.refused(reset("201-acme")), "201-acme: the extension is disabled; enable it first");
}

#[test]
fn a_mailed_random_password_must_be_changed_at_first_sign_in_and_opens_no_phone() {
    let post = Post::with_person();
    post.set_tenant(TenantSettings { random_password_by_mail: Some(true), ..TenantSettings::default() });
    let told = post.bench.ask(Request::PasswordReset { login: login("201-acme") });
    assert_eq!(told, Ok(Response::Reset { email: "zoe@example.test".into(), until: None }));
    assert!(post.send_to(&post.spool()));
    let password = post.newest("this one:\r\n\r\n", 23);
    let services = &post.bench.admin.services;
    let record = post.bench.record("201-acme").unwrap();
    let stored = services.unseal(&record).unwrap().unwrap();
    let expected = crate::digest::Ha1::new("201-acme", "example.test", &password);
    assert_eq!(stored.ha1.to_bytes(), expected.to_bytes(), "it is the one of the mail");
    assert!(record.portal.unwrap().must_change);
    // Phones know the one before, whose owner has not been told, and none that opens.
    let old = crate::digest::Ha1::new("201-acme", "example.test", GOOD).to_bytes();
    let in_phones = |directory: &Directory| {
        let seen = directory.with("201-acme", |entry| entry.credentials.clone()).flatten().unwrap();
        let ha1 = seen.ha1.to_bytes();
        assert!(ha1 != expected.to_bytes() && ha1 != old, "it opens no phone");
        assert_eq!(seen.previous.unwrap().ha1.to_bytes(), old);
    };
    in_phones(&services.directory);
    // Nor after a start.
    let again = Directory::new(
        [1; 4],
        crate::directory::sign_in::Guard::new(
            crate::digest::Ha1::decoy(&mut crate::base::rng::Rng::from_number(1)),
            [1; 4],
        ),
    );
    let now = Now { mono: Mono::default(), wall: NOW };
    crate::service::open::load(&services.store.view(), &services.sealer, &again, now).unwrap();
    in_phones(&again);
    // Nor does another one that is mailed.
    post.bench.ask(Request::PasswordReset { login: login("201-acme") }).unwrap();
    in_phones(&services.directory);

    post.bench.done(set_password("201-acme", OTHER));
    assert!(!post.bench.record("201-acme").unwrap().portal.unwrap().must_change);
    assert_eq!(post.bench.seen("201-acme"), Some((Life::Active, true, 0, Some(4))));
    let stored = services.unseal(&post.bench.record("201-acme").unwrap()).unwrap().unwrap();
    assert_eq!(stored.previous.unwrap().ha1.to_bytes(), old, "the mailed ones were in no phone");
}

/// Whoever has the store and not its key can use no link and no password; nor can whoever reads the audit.
#[test]
fn no_secret_is_stored_bare() {
    let post = Post::with_person();
    post.forgot(&Typed::read("201-acme")).unwrap();
    let mut kept = vec![postcard::to_stdvec(&post.bench.record("201-acme").unwrap()).unwrap()];
    let token = post.sent_token();
    post.set_tenant(TenantSettings { random_password_by_mail: Some(true), ..TenantSettings::default() });
    post.bench.ask(Request::PasswordReset { login: login("201-acme") }).unwrap();
    kept.push(postcard::to_stdvec(&post.bench.record("201-acme").unwrap()).unwrap());
    assert!(post.send_to(&post.spool()));
    let password = post.newest("this one:\r\n\r\n", 23);
    let services = &post.bench.admin.services;
    let everything = services.store.view().scan(&store::Prefix::everything(), None, 10_000).unwrap();
    kept.extend(
        everything.iter().flat_map(|(key, record)| [key.as_bytes().to_vec(), record.value.bytes.to_vec()]),
    );
    for secret in [token, password] {
        for bytes in &kept {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
    assert!(AUDIT.scan(&services.store.view(), &[], None, 100).unwrap().len() > 4);
}

#[test]
fn a_tenants_subject_and_sender_stand_on_its_mails() {
    let post = Post::with_person();
    let (mail_prefix, mail_sender) = (Some("[Acme]".into()), Some("Acme <phones@acme.example>".into()));
    post.set_tenant(TenantSettings { mail_prefix, mail_sender, ..TenantSettings::default() });
    post.asked();
    let mail = post.mails().pop().unwrap();
    assert!(mail.contains("\r\nSubject: [Acme] Set a new password at Acme Ltd\r\n"), "{mail}");
    assert!(mail.contains("\r\nFrom: \"Acme\" <phones@acme.example>\r\n"), "{mail}");
}

/// What anybody can ask for ends nothing that an administrator has asked for.
#[test]
fn an_administrators_link_goes_on_whoever_says_that_the_password_is_forgotten() {
    let post = Post::with_person();
    let asked = post.bench.ask(Request::PasswordReset { login: login("201-acme") });
    assert!(matches!(asked, Ok(Response::Reset { .. })), "{asked:?}");
    let token = post.sent_token();
    let sent = post.mails().len();
    for typed in ["201-acme", "zoe@example.test"] {
        assert_eq!(post.forgot(&Typed::read(typed)), Ok(()), "the answer is the same");
        assert!(post.send_to(&post.spool()));
        assert_eq!((post.mails().len(), post.question(&token)), (sent, Ok(None)), "{typed}");
    }
    assert_eq!(post.reset(&token, OTHER), Ok(login("201-acme")));

    // Once it has ended, whoever has forgotten the password gets a link of their own, which another of an
    // administrator ends.
    post.bench.ask(Request::PasswordReset { login: login("201-acme") }).unwrap();
    let ended = post.sent_token();
    post.wait(HOUR_S);
    let own = post.asked();
    assert_ne!(own, ended);
    assert_eq!(post.question(&own), Ok(None));
    post.bench.ask(Request::PasswordReset { login: login("201-acme") }).unwrap();
    assert_eq!(post.question(&own), Err(Refusal::NoInvitation));
}
