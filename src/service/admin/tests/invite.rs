//! Invitations: their links, their mails, and what kills them.

use super::*;
use crate::account::Token;
use crate::mail::{Carrier, Mailbox, Spool, Texts};
use crate::service::mailing::{Meters, Sender};
use crate::service::tables::{AUDIT, TOKENS};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use std::path::Path;
use tempfile::TempDir;

const DAY: u64 = 24 * 3600;

/// A bench with the invited extension 201, and a spool.
pub(super) struct Post {
    pub(super) bench: Bench,
    folder: TempDir,
    recorder: PrometheusRecorder,
}

impl Post {
    pub(super) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let post = Self { bench: Bench::with_extension(), folder: tempfile::tempdir().unwrap(), recorder };
        let (name, email, password) = ("Zoé".into(), Some("zoe@example.test".into()), None);
        post.bench.done(Request::ExtensionAdd { login: login("201-acme"), name, email, password });
        post
    }

    pub(super) fn spool(&self) -> std::path::PathBuf {
        self.folder.path().join("mail")
    }

    pub(super) fn send_to(&self, folder: &Path) -> bool {
        let spool = Carrier::Spool(Spool::new(folder.to_owned()));
        self.send_by(spool, &self.bench.admin.services)
    }

    /// Sends what is owed; whether the carrier was good.
    pub(super) fn send_by(&self, carrier: Carrier, services: &Services) -> bool {
        let sender = Sender {
            carrier,
            texts: Language::ALL.map(|language| Texts::load(language, None).unwrap()),
            language: Language::English,
            from: Mailbox::parse("a@example.test").unwrap(),
            base: Some("https://x".into()),
            downloads: vec!["https://x/app".into()],
        };
        let meters = metrics::with_local_recorder(&self.recorder, Meters::register);
        let whose = login("201-acme");
        let sent = sender.send_all(services, &whose, &meters);
        self.bench.runtime.block_on(sent).is_ok()
    }

    /// How many mails this came of.
    pub(super) fn count(&self, outcome: &str) -> usize {
        let page = self.recorder.handle().render();
        let name = format!("stationmaster_mails_total{{outcome=\"{outcome}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    }

    /// Invites, and sends what is owed; the token of the newest mail.
    fn invite(&self) -> String {
        let invited = self.bench.ask(Request::ExtensionInvite { login: login("201-acme") });
        assert!(matches!(invited, Ok(Response::Invited { .. })), "{invited:?}");
        assert!(self.send_to(&self.spool()));
        self.newest_token()
    }

    pub(super) fn mails(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.spool()) else { return Vec::new() };
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    fn newest_token(&self) -> String {
        self.newest("https://x/invitation#", 40)
    }

    /// So many characters behind a text in the newest mail.
    pub(super) fn newest(&self, after: &str, length: usize) -> String {
        let mail = self.mails().pop().unwrap().replace("=\r\n", "");
        let (_, rest) = mail.split_once(after).unwrap_or_else(|| panic!("{mail}"));
        rest.get(..length).unwrap().to_owned()
    }

    fn accept(&self, token: &str, password: &str) -> Result<LoginName, Refusal> {
        let password = Password::new(password.into());
        let accepted = self.bench.admin.accept(token, password, [192, 0, 2, 7].into(), None);
        self.bench.runtime.block_on(accepted).map(|accepted| accepted.whose().unwrap().clone())
    }

    fn state(&self) -> String {
        self.bench.show("201-acme").state
    }

    pub(super) fn owed(&self) -> usize {
        self.bench.record("201-acme").unwrap().mails.waiting().len()
    }

    pub(super) fn wait(&self, seconds: u64) {
        self.bench.later.fetch_add(seconds, Ordering::Relaxed);
    }
}

#[test]
fn an_invitation_from_its_mail_to_an_active_extension() {
    let post = Post::new();
    assert_eq!(post.state(), "invite");
    let token = post.invite();
    assert_eq!((post.state().as_str(), post.owed()), ("pending", 0));
    assert_eq!(post.bench.show("201-acme").invited_until, Some((NOW + 7 * 24 * HOUR).rfc3339()));
    assert!(post.mails()[0].contains("\r\nTo: zoe@example.test\r\n"));

    assert_eq!(post.accept(&token, GOOD), Ok(login("201-acme")));
    assert_eq!(post.state(), "active");
    assert_eq!(post.bench.seen("201-acme"), Some((Life::Active, true, 0, Some(1))));
    let record = post.bench.record("201-acme").unwrap();
    assert_eq!((record.invitation, record.licence.generation), (None, 1));
    let expected = crate::digest::Ha1::new("201-acme", "example.test", GOOD);
    let stored = post.bench.admin.services.unseal(&post.bench.record("201-acme").unwrap());
    assert_eq!(stored.unwrap().unwrap().ha1.to_bytes(), expected.to_bytes());
    assert_eq!(post.accept(&token, "Other-Horse8"), Err(Refusal::NoInvitation), "a link works once");
}

#[test]
fn a_link_works_for_seven_days() {
    for (seconds, works) in [(7 * DAY - 1, true), (7 * DAY, false)] {
        let post = Post::new();
        let token = post.invite();
        post.wait(seconds);
        assert_eq!(post.state(), if works { "pending" } else { "expired" });
        assert_eq!(post.accept(&token, GOOD).is_ok(), works, "{seconds}");
        if !works {
            let again = post.invite();
            assert_eq!(post.state(), "pending");
            assert_eq!(post.accept(&token, GOOD), Err(Refusal::NoInvitation));
            assert!(post.accept(&again, GOOD).is_ok());
        }
    }
}

#[test]
fn a_clock_that_was_ahead_gives_no_link_more_than_the_longest_life_and_a_correction_ends_none() {
    for (ahead, state) in
        [(DAY, "pending"), (83 * DAY, "pending"), (84 * DAY, "expired"), (365 * DAY, "expired")]
    {
        let post = Post::new();
        post.wait(ahead);
        let token = post.invite();
        post.bench.later.store(0, Ordering::Relaxed);
        assert_eq!(post.state(), state, "{ahead}");
        assert_eq!(post.accept(&token, GOOD).is_ok(), state == "pending", "{ahead}");
        if state == "expired" {
            std::fs::remove_dir_all(post.spool()).unwrap(); // its mail sorts behind the next one
            let again = post.invite();
            assert!(post.accept(&again, GOOD).is_ok(), "{ahead}");
        }
    }
}

/// What is done to an invited extension.
pub(super) type Kill<'a> = &'a dyn Fn(&Post);

#[test]
fn what_kills_a_link() {
    let again = |post: &Post| drop(post.invite());
    let set = |post: &Post| post.bench.done(set_password("201-acme", GOOD));
    let disable = |post: &Post| post.bench.done(Request::ExtensionDisable { login: login("201-acme") });
    let suspend = |post: &Post| post.bench.done(Request::TenantSuspend { code: code("acme") });
    let remove = |post: &Post| post.bench.done(Request::ExtensionRemove { login: login("201-acme") });
    let readdress = |post: &Post| address(post, "zoe@elsewhere.test");
    let none = |post: &Post| address(post, "");
    let rows: [(&str, Kill<'_>); 7] = [
        ("another address", &readdress),
        ("no address any more", &none),
        ("another one", &again),
        ("a password set by an administrator", &set),
        ("disabling", &disable),
        ("a suspended tenant", &suspend),
        ("removal", &remove),
    ];
    for (name, kill) in rows {
        let post = Post::new();
        let token = post.invite();
        kill(&post);
        assert_eq!(post.accept(&token, GOOD), Err(Refusal::NoInvitation), "{name}");
        // Not what is wrong with the password either: that would tell that the link works.
        assert_eq!(post.accept(&token, "x"), Err(Refusal::NoInvitation), "{name}");
    }
}

#[test]
fn a_first_password_does_not_enable_an_app_that_was_disabled() {
    let disable = |post: &Post| post.bench.done(Request::AppDisable { login: login("201-acme") });
    let set = |post: &Post| post.bench.done(set_password("201-acme", GOOD));
    let accept = |post: &Post| drop(post.accept(&post.invite(), GOOD).unwrap());
    let rows: [(&str, Kill<'_>); 2] = [("set", &set), ("accepted", &accept)];
    for (name, password) in rows {
        let post = Post::new();
        disable(&post);
        password(&post);
        assert_eq!(post.bench.seen("201-acme"), Some((Life::Active, false, 0, Some(1))), "{name}");
        assert_eq!(post.bench.show("201-acme").app, "disabled", "{name}");
        post.bench
            .ask(Request::AppEnable {
                login: login("201-acme"),
                email: None,
                password: NewPassword::Generate,
            })
            .unwrap();
        assert_eq!(post.bench.show("201-acme").app, "enabled", "{name}");
    }
}

fn address(post: &Post, email: &str) {
    let (login, email, numbers) = (login("201-acme"), Some(email.to_owned()), NumberChanges::default());
    post.bench.done(Request::ExtensionSet { login, name: None, email, role: None, numbers });
}

/// Whoever reads the wrong address has nothing; whoever reads the right one is invited as if for the first time.
#[test]
fn another_address_needs_another_invitation() {
    let post = Post::new();
    post.bench.ask(Request::ExtensionInvite { login: login("201-acme") }).unwrap();
    address(&post, "zoe@example.test");
    assert_eq!((post.state().as_str(), post.owed()), ("pending", 1), "it is the same address");
    address(&post, "zoe@elsewhere.test");
    assert_eq!((post.state().as_str(), post.owed()), ("invite", 0), "nothing goes to the wrong one any more");
    assert_eq!(post.bench.show("201-acme").invited_until, None);
    let token = post.invite();
    assert!(post.mails()[0].contains("\r\nTo: zoe@elsewhere.test\r\n"));
    assert_eq!(post.state(), "pending");
    assert_eq!(post.accept(&token, GOOD), Ok(login("201-acme")));

    let post = Post::new();
    let token = post.invite();
    post.bench.done(Request::ExtensionDisable { login: login("201-acme") });
    address(&post, "zoe@elsewhere.test");
    assert_eq!(post.state(), "disabled");
    post.bench.done(Request::ExtensionEnable { login: login("201-acme") });
    assert_eq!((post.state().as_str(), post.accept(&token, GOOD)), ("invite", Err(Refusal::NoInvitation)));
}

#[test]
fn a_link_works_again_when_what_stood_in_its_way_has_ended() {
    let post = Post::new();
    let token = post.invite();
    post.bench.done(Request::ExtensionDisable { login: login("201-acme") });
    post.bench.done(Request::ExtensionEnable { login: login("201-acme") });
    assert_eq!(post.state(), "pending");
    assert!(post.accept(&token, GOOD).is_ok());
}

#[test]
fn no_token_is_no_link() {
    let post = Post::new();
    let token = post.invite();
    let other = Token::mint(&mut crate::base::rng::Rng::from_number(99));
    for wrong in ["", "x", &token[1..], &token.to_uppercase(), other.expose()] {
        assert_eq!(post.accept(wrong, GOOD), Err(Refusal::NoInvitation), "{wrong:?}");
    }
    // A claim that the record does not name back counts for nothing.
    let (hash, services) = (other.hash().hex(), post.bench.admin.services.clone());
    let claim = move |txn: &mut Txn<'_>| TOKENS.insert(txn, &[&hash], &login("201-acme"));
    services.store.run_blocking(claim).unwrap();
    assert_eq!(post.accept(other.expose(), GOOD), Err(Refusal::NoInvitation));
}

#[test]
fn a_weak_password_names_every_rule_and_spends_nothing() {
    let post = Post::new();
    let token = post.invite();
    let Err(Refusal::WeakPassword(rules)) = post.accept(&token, "short") else { panic!() };
    assert_eq!(rules, ["it needs at least 8 characters", "it needs a digit", "it needs a special character"]);
    assert_eq!(post.state(), "pending");
    assert!(post.accept(&token, GOOD).is_ok());
}

#[test]
fn a_mail_that_cannot_be_handed_over_stays_owed() {
    let post = Post::new();
    let blocked = post.folder.path().join("file");
    std::fs::write(&blocked, "no folder").unwrap();
    post.bench.ask(Request::ExtensionInvite { login: login("201-acme") }).unwrap();
    assert!(!post.send_to(&blocked.join("mail")));
    assert_eq!((post.owed(), post.mails().len()), (1, 0));
    assert!(post.send_to(&post.spool()));
    assert_eq!((post.owed(), post.mails().len()), (0, 1));
    assert!(post.accept(&post.newest_token(), GOOD).is_ok());
}

#[test]
fn a_crash_between_handing_over_and_settling_repeats_the_same_mail() {
    let post = Post::new();
    post.bench.ask(Request::ExtensionInvite { login: login("201-acme") }).unwrap();
    let owing = post.bench.record("201-acme").unwrap();
    assert!(post.send_to(&post.spool()));
    let first = post.mails();
    let put = move |txn: &mut Txn<'_>| put_extension(txn, &owing, store::Expect::Any);
    post.bench.admin.services.store.run_blocking(put).unwrap();
    assert!(post.send_to(&post.spool()));
    assert_eq!((post.mails(), post.owed()), (first, 0));
}

#[test]
fn a_mail_whose_link_is_dead_is_not_sent_any_more() {
    let post = Post::new();
    let invite = || post.bench.ask(Request::ExtensionInvite { login: login("201-acme") }).unwrap();
    invite();
    invite();
    assert_eq!(post.owed(), 1, "the first one's link is dead");
    post.wait(8 * DAY);
    assert!(post.send_to(&post.spool()));
    assert_eq!((post.owed(), post.mails().len()), (0, 0), "it has ended");
    invite();
    post.bench.done(set_password("201-acme", GOOD));
    assert_eq!(post.owed(), 0, "it has a password");
}

#[test]
fn enabling_the_app_mails_where_it_is_had_and_no_password() {
    let post = Post::new();
    let password = NewPassword::Given(Password::new(GOOD.into()));
    let enable = |name, email: Option<&str>| {
        let email = email.map(str::to_owned);
        Request::AppEnable { login: login(name), email, password: password.clone() }
    };
    let told = |name: &str, email: Option<&str>, unmailed: Option<&str>| {
        let [email, unmailed] = [email, unmailed].map(|text| text.map(str::to_owned));
        Ok(Response::AppEnabled { login: name.into(), password: None, email, unmailed })
    };
    let new = Some("new@example.test");
    assert_eq!(post.bench.ask(enable("201-acme", new)), told("201-acme", new, None));
    let reason = Some("extension 200-acme has no e-mail");
    assert_eq!(post.bench.ask(enable("200-acme", None)), told("200-acme", None, reason));
    assert_eq!(post.bench.record("200-acme").unwrap().mails.waiting().len(), 0);
    assert!(post.send_to(&post.spool()));
    let [mail] = <[String; 1]>::try_from(post.mails()).unwrap();
    for part in ["\r\nTo: new@example.test\r\n", "\r\nhttps://x/app\r\n", "201-acme"] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    assert!(!mail.contains(GOOD), "{mail}");

    let mut admin = post.bench.admin.clone();
    admin.defaults.mailing.carrier = Carries::Nothing;
    let answer = admin.execute(enable("201-acme", None), Peer { uid: 0, pid: None });
    let answer = post.bench.runtime.block_on(answer);
    assert_eq!(answer, told("201-acme", None, Some("mails have nowhere to go")));
    assert_eq!(post.owed(), 0);
}

#[test]
fn a_change_of_the_password_is_told_and_the_first_one_is_not() {
    let post = Post::new();
    post.bench.done(set_password("201-acme", GOOD));
    assert_eq!(post.owed(), 0);
    post.bench.done(set_password("201-acme", "Other-Horse8"));
    assert!(post.send_to(&post.spool()));
    let mail = post.mails().remove(0).replace("=\r\n", "");
    assert!(mail.contains("changed on 2027-01-15 08:00:00 UTC."), "{mail}");
    assert!(!mail.contains("Other-Horse8"), "{mail}");
}

#[test]
fn a_tenants_people_are_written_to_in_its_language() {
    let post = Post::new();
    let settings = TenantSettings { language: Some(Language::French), ..TenantSettings::default() };
    post.bench.done(Request::TenantSet { code: code("acme"), settings });
    post.invite();
    assert!(post.mails()[0].contains("\r\nBonjour "), "{}", post.mails()[0]);
}

#[test]
fn without_an_address_or_a_way_there_is_no_invitation() {
    let post = Post::new();
    let invite = |name| Request::ExtensionInvite { login: login(name) };
    post.bench.done(add("202-acme", None));
    let reason = "extension 202-acme has no e-mail; set one first";
    assert_eq!(post.bench.refused(invite("202-acme")), reason);
    assert_eq!(post.bench.show("202-acme").state, "invite");
    assert_eq!(post.bench.refused(invite("999-acme")), "there is no extension 999-acme");
    let mut admin = post.bench.admin.clone();
    admin.defaults.mailing.carrier = Carries::Nothing;
    let refused = admin.execute(invite("201-acme"), Peer { uid: 0, pid: None });
    let refused = post.bench.runtime.block_on(refused).unwrap_err().to_string();
    assert!(refused.starts_with("no mail can be sent: the store is in memory and"), "{refused}");
}

/// Whoever has the store and not its key can use no link; nor can whoever reads the audit.
#[test]
fn no_token_is_stored_bare() {
    let post = Post::new();
    post.bench.ask(Request::ExtensionInvite { login: login("201-acme") }).unwrap();
    let owing = postcard::to_stdvec(&post.bench.record("201-acme").unwrap()).unwrap();
    assert!(post.send_to(&post.spool()));
    let token = post.newest_token();
    post.accept(&token, GOOD).unwrap();
    let services = &post.bench.admin.services;
    let everything = services.store.view().scan(&store::Prefix::everything(), None, 10_000).unwrap();
    let stored = everything.iter().flat_map(|(key, record)| [key.as_bytes(), &record.value.bytes]);
    for bytes in stored.chain([owing.as_slice()]) {
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
    let lines = AUDIT.scan(&services.store.view(), &[], None, 100).unwrap();
    let by = |line: &What| match line {
        What::Administered { by, command } => (by.clone(), command.clone()),
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = lines.iter().map(|(_, row)| by(&row.value.notice.what)).collect();
    assert!(told.contains(&("link 192.0.2.7".into(), "invitation accept".into())), "{told:?}");
}
