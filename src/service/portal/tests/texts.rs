//! Codes by SMS: what may be asked for, and how long what was sent is good.

use super::*;
use crate::account::MailKind;
use crate::base::limit;
use crate::base::private::Secret;
use crate::mail::gateway::{Endpoint, Format, Login, Template};
use crate::mail::{Gateway, Texts};
use crate::service::Services;
use crate::store::seal::Sealer;
use metrics_exporter_prometheus::PrometheusBuilder;

const MOBILE: &str = "+1 604 555 0199";

fn password(text: &str) -> Password {
    Password::new(text.into())
}

impl Bench {
    fn begin_sms(&self, here: &Here, mobile: &str) -> Result<Answer, Refused> {
        let (last, method) = (LastAdministrator::Refuse, Method::Sms(mobile.into()));
        self.runtime.block_on(self.desk.second_begin(here, caller(here), password(GOOD), method, last))
    }

    fn verify_sms(&self, here: &Here, code: &str) -> Result<usize, Refused> {
        let verified = self.desk.second_verify(here, caller(here), password(code));
        self.runtime.block_on(verified).map(|answer| match personal(answer) {
            Personal::Recovery(codes) => codes.len(),
            other => panic!("{other:?}"),
        })
    }

    /// The code of the text that is owed.
    pub(super) fn texted(&self, name: &str) -> String {
        let record = self.record(name);
        let owed = record.mobile.as_ref().and_then(|mobile| mobile.owed()).unwrap();
        let id = texting::seal_id(&record.login, owed.id);
        let opened = self.desk.services().sealer.open(&id, &owed.code).unwrap();
        String::from_utf8(opened.expose().clone()).unwrap()
    }

    fn here(&self, name: &str) -> Here {
        self.enter(&self.sign_in(name, GOOD, 1).unwrap()).unwrap()
    }

    fn asks_code(&self, name: &str) -> Result<(), Refused> {
        let pending = match self.try_in(name, GOOD, 1, None) {
            Ok(Entered::Second { pending, .. }) => pending,
            other => panic!("{other:?}"),
        };
        self.runtime.block_on(self.desk.text_code(pending.expose(), [192, 0, 2, 1].into()))
    }

    fn shows(&self, name: &str, code: &str) -> Result<Opened, Refused> {
        let Ok(Entered::Second { pending, .. }) = self.try_in(name, GOOD, 1, None) else { panic!() };
        let from = [192, 0, 2, 1].into();
        self.runtime.block_on(self.desk.sign_in_second(pending.expose(), password(code), from))
    }
}

/// The gateway was asked and has not answered in time: the code is on its way.
const WAITS: Refused = Refused::By(Refusal::TextWaits);

#[test]
fn a_code_by_sms_is_good_until_its_end_and_the_text_stands_sealed_in_the_record() {
    let bench = Bench::new();
    let here = bench.here("201-acme");
    assert_eq!(bench.begin_sms(&here, MOBILE).unwrap_err(), WAITS);
    let code = bench.texted("201-acme");
    let stored = postcard::to_stdvec(&bench.record("201-acme")).unwrap();
    assert!(!stored.windows(code.len()).any(|part| part == code.as_bytes()));
    bench.wait(600);
    assert_eq!(bench.verify_sms(&here, &code), Err(Refused::Wrong), "too late");
    assert_eq!(bench.begin_sms(&here, MOBILE).unwrap_err(), WAITS);
    let code = bench.texted("201-acme");
    bench.wait(599);
    assert_eq!(bench.verify_sms(&here, &code), Ok(10));
    let kinds: Vec<_> =
        bench.record("201-acme").mails.waiting().iter().map(|mail| mail.kind.clone()).collect();
    assert_eq!(kinds, [MailKind::MobileChanged { mobile: "+*********99".into() }]);

    assert_eq!(bench.asks_code("201-acme"), Err(WAITS));
    let code = bench.texted("201-acme");
    bench.wait(600);
    assert_eq!(bench.shows("201-acme", &code).unwrap_err(), Refused::Wrong, "too late");
    assert_eq!(bench.asks_code("201-acme"), Err(WAITS));
    assert!(bench.shows("201-acme", &bench.texted("201-acme")).is_ok());
}

/// The text that 201 is owed goes to nobody; it is counted as this, and is owed no more.
fn is_not_sent(bench: &Bench, services: &Services, outcome: &str) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = Endpoint::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let (template, second) = (Template::new(Format::Form, "").unwrap(), Duration::from_secs(1));
    let roots = rustls::RootCertStore::empty();
    let recorder = PrometheusBuilder::new().build_recorder();
    let sender = texting::Sender {
        gateway: Gateway::new(endpoint, template, String::new(), &Login::None, second, roots).unwrap(),
        texts: Language::ALL.map(|language| Texts::load(language, None).unwrap()),
        language: Language::English,
        texting: texting::Texting::new(Vec::new(), 10),
        meters: metrics::with_local_recorder(&recorder, texting::Meters::register),
    };
    let tried = bench.runtime.block_on(sender.send(services, &login("201-acme")));
    assert_eq!(tried, Ok(texting::Tried::Done), "{outcome}");
    assert!(listener.accept().is_err(), "{outcome}: nobody came");
    assert_eq!(bench.record("201-acme").mobile.unwrap().owed(), None, "{outcome}");
    let page = recorder.handle().render();
    let counted =
        page.lines().filter(|line| line.starts_with("stationmaster_texts_total") && !line.ends_with(" 0"));
    let expected = format!("stationmaster_texts_total{{outcome=\"{outcome}\"}} 1");
    assert_eq!(counted.collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_code_that_is_past_its_life_is_not_sent() {
    let bench = Bench::new();
    let _ = bench.begin_sms(&bench.here("201-acme"), MOBILE);
    bench.wait(600);
    is_not_sent(&bench, bench.desk.services(), "expired");
}

/// It opens nothing either, and another one may be asked for at once.
#[test]
fn a_code_that_is_sealed_with_a_lost_key_is_not_sent() {
    let bench = Bench::new();
    let here = bench.here("201-acme");
    let _ = bench.begin_sms(&here, MOBILE);
    let code = bench.texted("201-acme");
    let mut services = bench.desk.services().clone();
    services.sealer = Arc::new(Sealer::new(&Secret::new([7; 32])));
    is_not_sent(&bench, &services, "unreadable");
    assert_eq!(bench.verify_sms(&here, &code), Err(Refused::Wrong));
    assert_eq!(bench.begin_sms(&here, MOBILE).unwrap_err(), WAITS);
}

#[test]
fn another_number_is_asked_at_sign_in_only_once_it_was_confirmed() {
    let bench = Bench::new();
    let here = bench.here("201-acme");
    let _ = bench.begin_sms(&here, MOBILE);
    assert_eq!(bench.verify_sms(&here, &bench.texted("201-acme")), Ok(10));
    assert_eq!(bench.begin_sms(&here, "+16045550177").unwrap_err(), WAITS);
    let to_another = bench.texted("201-acme");
    assert_eq!(bench.shows("201-acme", &to_another).unwrap_err(), Refused::Wrong);
    assert_eq!(bench.asks_code("201-acme"), Err(Refused::TooSoon(Duration::from_secs(60))));
    assert_eq!(bench.verify_sms(&here, &to_another), Ok(0));
    bench.wait(60);
    assert_eq!(bench.asks_code("201-acme"), Err(WAITS));
    let record = bench.record("201-acme");
    assert_eq!(record.mobile.unwrap().owed().unwrap().to.as_str(), "+16045550177");

    // Cleared, it asks for nothing, and no code that is under way opens anything.
    bench.done(Request::SecondClear { login: login("201-acme") });
    assert!(bench.sign_in("201-acme", GOOD, 1).is_ok());
    let mobile = bench.record("201-acme").mobile.unwrap();
    assert_eq!((mobile.number(), mobile.owed()), (None, None));
}

#[test]
fn as_many_codes_for_an_extension_and_for_a_number_in_an_hour_as_may_and_one_more() {
    let bench = Bench::new();
    let here = bench.here("201-acme");
    for turn in 0..limit::TEXTS_PER_HOUR {
        // To different numbers: it is the extension that is counted.
        let mobile = format!("+160455501{turn:02}");
        assert_eq!(bench.begin_sms(&here, &mobile).unwrap_err(), WAITS, "{turn}");
        bench.wait(60);
    }
    assert!(matches!(bench.begin_sms(&here, MOBILE), Err(Refused::TooSoon(_))));
    bench.wait(3600);
    assert_eq!(bench.begin_sms(&bench.here("201-acme"), MOBILE).unwrap_err(), WAITS);

    // Of one number all are counted, whoever asks.
    for number in 1..limit::TEXTS_PER_NUMBER {
        let name = format!("30{number}-acme");
        bench.add(&name, Some(GOOD));
        assert_eq!(bench.begin_sms(&bench.here(&name), MOBILE).unwrap_err(), WAITS, "{name}");
    }
    bench.add("309-acme", Some(GOOD));
    let here = bench.here("309-acme");
    assert_eq!(bench.begin_sms(&here, MOBILE).unwrap_err(), Refused::TooSoon(Duration::from_secs(3600)));
    assert_eq!(bench.standing_of(&here), "off", "nothing was begun");
    assert_eq!(bench.begin_sms(&here, "+16045550155").unwrap_err(), WAITS, "another number");
}

#[test]
fn what_is_no_number_or_not_served_is_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let here = bench.here("201-acme");
    for text in ["", "call me", "604 555 0199", "+44 7700 900123"] {
        let refused = bench.begin_sms(&here, text).unwrap_err();
        assert!(
            matches!(&refused, Refused::By(Refusal::BadValue { what, .. }) if what == "mobile"),
            "{text}: {refused:?}"
        );
    }
    assert!(bench.record("201-acme").mobile.is_none());
}

#[test]
fn a_number_is_not_confirmed_by_trying_all_codes() {
    let bench = Bench::new();
    let here = bench.here("201-acme");
    let _ = bench.begin_sms(&here, MOBILE);
    let code = bench.texted("201-acme");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    // Five end the trust in this browser, five more lock.
    let tries = (1..20).find(|_| matches!(bench.verify_sms(&here, wrong), Err(Refused::Locked(_))));
    assert_eq!(tries, Some(10));
    assert!(matches!(bench.verify_sms(&here, &code), Err(Refused::Locked(_))), "right and wrong alike");
    bench.wait(900);
    assert_eq!(bench.verify_sms(&here, &code), Err(Refused::Wrong), "by then it has ended");
}

#[test]
fn a_code_that_is_asked_for_is_no_edit() {
    let bench = Bench::new();
    let here = bench.here("201-acme");
    let _ = bench.begin_sms(&here, MOBILE);
    assert_eq!(bench.verify_sms(&here, &bench.texted("201-acme")), Ok(10));
    let edited = bench.record("201-acme").edited;
    assert_eq!(bench.asks_code("201-acme"), Err(WAITS));
    assert_eq!(bench.record("201-acme").edited, edited);
}

impl Bench {
    fn standing_of(&self, here: &Here) -> &'static str {
        self.runtime.block_on(self.desk.second(here)).unwrap().state
    }
}
