//! Direct numbers, main numbers and what else tenants set; PINs as administrators set them.

use super::*;
use crate::account::Typed;
use crate::service::index::NUMBERS;
use crate::service::portal::pin::is_right;

fn set_tenant(settings: TenantSettings) -> Request {
    Request::TenantSet { code: code("acme"), settings }
}

fn main_number(text: &str) -> Request {
    set_tenant(TenantSettings { main_number: Some(text.into()), ..TenantSettings::default() })
}

fn numbers(name: &str, add: &[&str], remove: &[&str]) -> Request {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let numbers = NumberChanges { add: texts(add), remove: texts(remove) };
    Request::ExtensionSet { login: login(name), name: None, email: None, role: None, numbers }
}

fn who(bench: &Bench, typed: &str) -> Option<String> {
    let found = bench.admin.services.directory.identify(&Typed::read(typed));
    found.map(|login| login.to_string())
}

#[test]
fn a_direct_number_in_any_usual_notation_rings_its_extension() {
    let bench = Bench::with_extension();
    bench.done(main_number("+1 604 555 0100"));
    bench.done(numbers("200-acme", &["(604) 555-0199", "+16045550199", "604-555-0198"], &[]));
    assert_eq!(bench.show("200-acme").numbers, "+16045550199 +16045550198", "one number once");
    let dialled = |text: &str| bench.admin.services.directory.dialled(&code("acme"), text.as_bytes());
    for text in ["+1 604 555 0199", "(604) 555-0199", "6045550199"] {
        assert_eq!(who(&bench, text).as_deref(), Some("200-acme"), "{text}");
        assert_eq!(dialled(text), Some(login("200-acme")), "{text}");
    }
    assert_eq!(who(&bench, "604 555 0100 x200").as_deref(), Some("200-acme"), "main number + extension");

    bench.done(numbers("200-acme", &[], &["6045550199"]));
    assert_eq!((who(&bench, "6045550199"), dialled("6045550199")), (None, None));
    assert_eq!(bench.show("200-acme").numbers, "+16045550198");
}

#[test]
fn a_direct_number_is_unique_in_the_whole_system() {
    let bench = Bench::with_extension();
    bench.done(numbers("200-acme", &["+16045550199"], &[]));
    bench.done(add_tenant("globex"));
    bench.done(add("200-globex", None));
    bench.done(add("201-acme", None));
    for other in ["200-globex", "201-acme"] {
        assert_eq!(bench.refused(numbers(other, &["+16045550199"], &[])), "+16045550199 is taken");
        assert_eq!(bench.show(other).numbers, "");
    }
    // It comes free with its extension, whichever way that goes.
    bench.done(Request::ExtensionRemove { login: login("200-acme") });
    bench.done(numbers("201-acme", &["+16045550199"], &[]));
    bench.done(Request::TenantRemove { code: code("acme"), extensions: Expect::Any });
    bench.done(numbers("200-globex", &["+16045550199"], &[]));
    assert_eq!(who(&bench, "+16045550199").as_deref(), Some("200-globex"));
    let claim = NUMBERS.get(&bench.admin.services.store.view(), &["16045550199"]).unwrap().unwrap();
    assert_eq!(claim.value, login("200-globex"));
}

#[test]
fn what_is_no_number_is_refused_and_nothing_changed() {
    let bench = Bench::with_extension();
    for (request, reason) in [
        (numbers("200-acme", &["+16045550199", "x"], &[]), "--number: \"x\": it is no phone number"),
        (
            numbers("200-acme", &["6045550199"], &[]),
            "--number: \"6045550199\": it needs its country's code (+1 …), as the tenant has no main number that tells the country",
        ),
        (numbers("200-acme", &[], &["+16045550199"]), "--remove-number: 200-acme does not have +16045550199"),
        (
            main_number("6045550100"),
            "--main-number: \"6045550100\": it needs its country's code (+1 …), as the tenant has no main number that tells the country",
        ),
    ] {
        assert_eq!(bench.refused(request), reason);
    }
    assert_eq!(bench.show("200-acme").numbers, "");
    let most: Vec<String> =
        (0..crate::base::limit::NUMBERS_MAX).map(|last| format!("+160455501{last:02}")).collect();
    let most: Vec<&str> = most.iter().map(String::as_str).collect();
    bench.done(numbers("200-acme", &most, &[]));
    let reason = "--number: an extension may have at most 16 direct numbers";
    assert_eq!(bench.refused(numbers("200-acme", &["+16045550199"], &[])), reason);
}

#[test]
fn what_a_tenant_sets_is_judged_shown_and_in_the_audit() {
    let bench = Bench::with_extension();
    bench.done(set_tenant(TenantSettings {
        main_number: Some("+1 (604) 555-0100".into()),
        password_policy: Some("basic".into()),
        question_required: Some(true),
        random_password_by_mail: Some(true),
        two_step_required: Some(true),
        require_sha256: Some(true),
        mail_prefix: Some(" [Acme] ".into()),
        mail_sender: Some("Phones <phones@acme.example>".into()),
        mail_new_device: Some(false),
        mail_locked: Some(false),
        ..TenantSettings::default()
    }));
    let show = || match bench.ask(Request::TenantShow { code: code("acme") }) {
        Ok(Response::Tenant(view)) => view,
        other => panic!("{other:?}"),
    };
    let view = show();
    assert_eq!((view.main_number.as_deref(), view.password_policy.as_str()), (Some("+16045550100"), "basic"));
    assert!(view.question_required && view.random_password_by_mail && view.two_step_required);
    assert!(view.require_sha256);
    assert_eq!(view.mail_sender.as_deref(), Some("Phones <phones@acme.example>"));
    assert_eq!((view.mail_prefix.as_str(), view.mail_new_device, view.mail_locked), ("[Acme]", false, false));
    // It counts at once.
    bench.done(set_password("200-acme", "onlyletters-q"));
    let Ok(Response::Audit(rows)) = bench.ask(Request::AuditList {
        tenant: Some(code("acme")),
        number: None,
        narrow: Narrow::default(),
        last: 1,
    }) else {
        panic!()
    };
    let expected = "main_number=+16045550100 password_policy=basic question_required=true \
                    random_password_by_mail=true two_step_required=true require_sha256=true mail_prefix=\"[Acme]\" \
                    mail_sender=\"Phones <phones@acme.example>\" mail_new_device=false mail_locked=false";
    assert_eq!((rows[0].before.as_str(), rows[0].after.as_str()), ("", expected));
    for (settings, reason) in [
        (
            TenantSettings { password_policy: Some("strong".into()), ..TenantSettings::default() },
            "--password-policy: \"strong\" is neither alphanumeric nor basic",
        ),
        (
            TenantSettings { mail_sender: Some("a\r\nBcc: b@c".into()), ..TenantSettings::default() },
            "--mail-sender: \"a\\r\\nBcc: b@c\" is neither ADDRESS nor NAME <ADDRESS>",
        ),
        (
            TenantSettings { mail_prefix: Some("x".repeat(33)), ..TenantSettings::default() },
            "--mail-prefix: it has more than 32 characters, or control characters",
        ),
    ] {
        assert_eq!(bench.refused(set_tenant(settings)), reason);
    }
    bench.done(set_tenant(TenantSettings {
        main_number: Some(String::new()),
        mail_sender: Some(String::new()),
        mail_prefix: Some(String::new()),
        ..TenantSettings::default()
    }));
    assert_eq!((show().main_number, show().mail_sender, show().mail_prefix), (None, None, String::new()));
}

#[test]
fn a_main_number_is_of_one_tenant() {
    let bench = Bench::with_extension();
    bench.done(main_number("+16045550100"));
    let settings = |code_text: &str| {
        let main_number = Some("+1 604 555 0100".to_owned());
        let settings = TenantSettings { name: Some("X".into()), main_number, ..TenantSettings::default() };
        Request::TenantAdd { code: code(code_text), settings }
    };
    assert_eq!(bench.refused(settings("globex")), "+16045550100 is taken");
    assert!(bench.admin.services.directory.tenant("globex").is_none());
    bench.done(Request::TenantRemove { code: code("acme"), extensions: Expect::Any });
    bench.done(settings("globex"));
}

#[test]
fn a_pin_is_six_to_ten_digits_no_run_and_no_repetition() {
    let bench = Bench::with_extension();
    let set = |pin: &str| Request::PinSet { login: login("200-acme"), pin: Password::new(pin.into()) };
    for (pin, reason) in [
        ("12345", "the PIN is refused: it needs at least 6 digits; it is a run of digits"),
        ("123456", "the PIN is refused: it is a run of digits"),
        ("111111", "the PIN is refused: it repeats itself"),
        ("48291a", "the PIN is refused: it may have digits only"),
    ] {
        assert_eq!(bench.refused(set(pin)), reason);
    }
    bench.done(set("482913"));
    let services = &bench.admin.services;
    let record = bench.record("200-acme").unwrap();
    let right =
        |name: &str, record: Option<&ExtensionRecord>, pin| is_right(services, &login(name), record, pin);
    assert!(right("200-acme", Some(&record), "482913"));
    for (name, record, pin) in [
        ("200-acme", Some(&record), "482914"),
        ("200-acme", Some(&record), ""),
        ("201-acme", Some(&record), "482913"),
        ("200-acme", None, "482913"),
    ] {
        assert!(!right(name, record, pin), "{name} {pin}");
    }
    // Neither the PIN nor a hash that can be tried without the key is kept.
    let kept = postcard::to_stdvec(&record).unwrap();
    assert!(!kept.windows(6).any(|window| window == b"482913"));
    bench.done(Request::PinRemove { login: login("200-acme") });
    assert!(!right("200-acme", bench.record("200-acme").as_ref(), "482913"));
    let Ok(Response::Audit(rows)) = bench.ask(Request::AuditList {
        tenant: None,
        number: "200".parse().ok(),
        narrow: Narrow::default(),
        last: 2,
    }) else {
        panic!()
    };
    let told: Vec<_> = rows.iter().map(|row| (row.action.as_str(), row.after.as_str())).collect();
    assert_eq!(told, [("pin set", "pin=set 2027-01-15T08:00:00Z"), ("pin remove", "")]);
}
