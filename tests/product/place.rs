//! Where a sentence is shown: a tenant of its own, with addresses of its own, on a server that the
//! sentences of the suite share. It runs as long as one of them needs it.

use crate::support::browser::Browser;
use crate::support::http::{Answer, Client};
use crate::support::mails::files;
use crate::support::phone::Phone;
use crate::support::server::{Server, Setup, password};
use crate::support::sip::{Message, Peer};
use crate::support::until;
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Passwords that every policy takes.
pub(crate) const NEW: &str = "Right-Horse7";
pub(crate) const OTHER: &str = "Other-Horse8";

/// Where the softphone is had, as the shared server's mails say.
pub(crate) const DOWNLOAD: &str = "https://phones.example.test/app";

/// A server, and its operator.
struct Shared {
    server: Server,
    operator: Client,
}

impl Shared {
    fn start() -> Self {
        let sections = format!("[mail]\ndownloads = [\"{DOWNLOAD}\"]\n");
        let server = Server::start_with(&Setup { sections: &sections, ..Setup::default() });
        let operator = Client::operator(&server);
        Self { server, operator }
    }
}

/// A tenant of the test's own.
pub(crate) struct Place {
    shared: Arc<Shared>,
    /// Its code.
    pub(crate) tenant: String,
    number: u16,
}

impl Place {
    /// With these active extensions, each with its [`password`], an address and an enabled app.
    pub(crate) fn with(numbers: &[&str]) -> Self {
        static RUNNING: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = running.upgrade().unwrap_or_else(|| Arc::new(Shared::start()));
        *running = Arc::downgrade(&shared);
        drop(running);
        Self::on(shared, numbers)
    }

    /// The same on a server that no other sentence has, because it is killed, or set up otherwise.
    pub(crate) fn alone(numbers: &[&str]) -> Self {
        Self::on(Arc::new(Shared::start()), numbers)
    }

    fn on(shared: Arc<Shared>, numbers: &[&str]) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = Self { shared, tenant: format!("t{number:03}"), number };
        let tenant = json!({ "code": place.tenant, "name": "Acme Ltd" });
        place.api().put("POST", "/api/v1/tenants", &tenant).is(201);
        for number in numbers {
            let mut new = place.person(number);
            new["password"] = password(number).into();
            place.api().put("POST", &place.path("/extensions"), &new).is(201);
        }
        place
    }

    fn person(&self, number: &str) -> Value {
        let email = self.email(number);
        json!({ "number": number, "name": format!("Person {number}"), "email": email })
    }

    /// Adds an extension without a password.
    pub(crate) fn add(&self, number: &str) {
        self.api().put("POST", &self.path("/extensions"), &self.person(number)).is(201);
    }

    /// The server.
    pub(crate) fn server(&self) -> &Server {
        &self.shared.server
    }

    /// Kills the server and starts it again, which must be this place's own.
    pub(crate) fn restart(&mut self) {
        let shared = Arc::get_mut(&mut self.shared).unwrap();
        shared.server.kill();
        shared.server.start_again();
    }

    /// The API, as an operator uses it.
    pub(crate) fn api(&self) -> &Client {
        &self.shared.operator
    }

    /// A path of the tenant's.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/v1/tenants/{}{rest}", self.tenant)
    }

    /// A path of an extension's.
    pub(crate) fn of(&self, number: &str, rest: &str) -> String {
        self.path(&format!("/extensions/{number}{rest}"))
    }

    /// Has something done to an extension, without a body.
    pub(crate) fn tell(&self, method: &str, number: &str, rest: &str) -> Value {
        self.api().ask(method, &self.of(number, rest)).is(200)
    }

    /// Has something set of an extension.
    pub(crate) fn set(&self, method: &str, number: &str, rest: &str, body: &Value) -> Answer {
        self.api().put(method, &self.of(number, rest), body)
    }

    /// Changes the tenant.
    pub(crate) fn change(&self, body: &Value) {
        self.api().put("PATCH", &self.path(""), body).is(200);
    }

    /// The rows of a list of an extension's.
    pub(crate) fn items(&self, number: &str, rest: &str) -> Vec<Value> {
        self.api().get(&self.of(number, rest)).is(200)["items"].as_array().unwrap().clone()
    }

    /// Its activated devices.
    pub(crate) fn devices(&self, number: &str) -> Vec<Value> {
        self.items(number, "/devices")
    }

    /// How many bindings it has.
    pub(crate) fn bound(&self, number: &str) -> usize {
        self.items(number, "/bindings").len()
    }

    /// The extension as it shows.
    pub(crate) fn shown(&self, number: &str) -> Value {
        self.api().get(&self.of(number, "")).is(200)
    }

    /// The word for its state.
    pub(crate) fn state(&self, number: &str) -> String {
        self.shown(number)["state"].as_str().unwrap().to_owned()
    }

    /// A command about this tenant's extension.
    pub(crate) fn cli(&self, words: &[&str], number: &str, rest: &[&str], input: &str) -> String {
        let login = self.login(number);
        self.server().cli(&[words, &[login.as_str()], rest].concat(), input)
    }

    /// The login name of an extension.
    pub(crate) fn login(&self, number: &str) -> String {
        format!("{number}-{}", self.tenant)
    }

    /// The address of an extension's person.
    pub(crate) fn email(&self, number: &str) -> String {
        format!("p{number}@{}.test", self.tenant)
    }

    /// An address that is nobody else's.
    pub(crate) fn address(&self, last: u8) -> Ipv4Addr {
        let [high, low] = (self.number + 256).to_be_bytes();
        Ipv4Addr::new(127, high, low, last)
    }

    /// A phone of an extension with its right password, at an address of this place.
    pub(crate) fn phone_at(&self, number: &str, last: u8) -> Phone {
        self.own(Phone::at(self.server(), number, self.address(last)), number)
    }

    /// The same where most phones are.
    pub(crate) fn phone(&self, number: &str) -> Phone {
        self.phone_at(number, 10)
    }

    /// The same over TCP.
    pub(crate) fn phone_over_tcp(&self, number: &str) -> Phone {
        let peer = Peer::tcp(self.address(10).into(), self.server().sip());
        self.own(Phone::of(peer, self.server().sip(), number), number)
    }

    fn own(&self, mut phone: Phone, number: &str) -> Phone {
        phone.user = self.login(number);
        phone
    }

    /// One REGISTER of a phone that nobody knows, with a wrong password.
    pub(crate) fn guess(&self, number: &str, last: u8) -> Message {
        self.phone_at(number, last).with_password("NotMyPassword!1").register()
    }

    /// A browser that nobody has signed in with.
    pub(crate) fn browser_at(&self, last: u8) -> Browser {
        Browser::at(self.server(), self.address(last))
    }

    /// A browser that the person of an extension has signed in with, by this password.
    pub(crate) fn signed_in(&self, number: &str, password: &str, last: u8) -> Browser {
        let mut browser = self.browser_at(last);
        let answer = browser.try_in(&self.login(number), password);
        browser.keep(&answer);
        browser
    }

    /// A browser of an extension's person with its password.
    pub(crate) fn browser(&self, number: &str) -> Browser {
        self.signed_in(number, &password(number), 20)
    }

    /// Somebody at this place who shows nothing.
    pub(crate) fn nobody(&self) -> Client {
        Client { from: Some(self.address(30)), ..Client::nobody(self.server()) }
    }

    /// Asks without showing anything.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.nobody().put("POST", path, body)
    }

    /// The mails of an extension's person, the oldest first, their lines whole again.
    pub(crate) fn mails(&self, number: &str) -> Vec<String> {
        let to = format!("To: {}\r\n", self.email(number));
        let spool = self.server().folder().join("store/mail");
        let mails = files(&spool).into_iter().filter_map(|file| fs::read_to_string(file).ok());
        mails
            .filter(|mail| mail.contains(&to))
            .map(|mail| mail.replace("=\r\n", "").replace("=3D", "="))
            .collect()
    }

    /// The newest mail to an extension's person that says this, once there are so many. One that was not sent
    /// yet when another of its kind was owed is none.
    pub(crate) fn mail(&self, number: &str, says: &str, count: usize) -> String {
        until(&format!("{count} mails to {number} with {says}"), || {
            let mut mails = self.mails(number);
            mails.retain(|mail| mail.contains(says));
            (mails.len() >= count).then(|| mails.pop()).flatten()
        })
    }

    /// The token of the newest link to this page that an extension's person was mailed, once there are so
    /// many.
    pub(crate) fn token(&self, number: &str, page: &str, count: usize) -> String {
        let mail = self.mail(number, &format!("/{page}#"), count);
        mail.split_once(&format!("/{page}#")).unwrap().1.get(..40).unwrap().to_owned()
    }

    /// Uses a link to choose a password.
    pub(crate) fn accept(&self, token: &str, password: &str) -> Answer {
        self.post("/api/v1/invitations/accept", &json!({ "token": token, "password": password }))
    }

    /// Uses a link to choose another password.
    pub(crate) fn reset(&self, token: &str, password: &str) -> Answer {
        self.post("/api/v1/reset", &json!({ "token": token, "password": password }))
    }

    /// That a secret stands nowhere in the store, nor in the log.
    pub(crate) fn is_kept_nowhere(&self, secret: &str) {
        assert!(!self.server().output().contains(secret), "the log has it");
        let mut folders = vec![self.server().folder().join("store")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                match path.is_dir() {
                    true if path.ends_with("mail") => {} // what people were told
                    true => folders.push(path),
                    false => assert!(!has(&path, secret), "{} has it", path.display()),
                }
            }
        }
    }
}

fn has(path: &Path, secret: &str) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// `near` calls, `far` is rung and declines: what it was sent.
pub(crate) fn rings(near: &mut Phone, far: &mut Phone, number: &str) -> Message {
    let invite = near.begin_call(number);
    let rung = far.awaits("INVITE");
    far.answers(&rung, 603, "Decline");
    assert_eq!(near.answer_to(&invite).status(), 603);
    rung
}

/// That an answer is a refusal in these words.
pub(crate) fn refused(answer: &Message, reason: &str) {
    assert_eq!((answer.status(), answer.reason()), (403, reason), "{answer}");
}

/// That an answer says that new sign-ins are locked, and for how long: in seconds.
pub(crate) fn locked(answer: &Message) -> u64 {
    refused(answer, "Account Locked");
    answer.number("Retry-After")
}

/// The seconds since 1970 of an instant as it is told: `2026-01-31T09:05:00Z`, or in a mail
/// `2026-01-31 09:05:00 UTC`.
pub(crate) fn seconds(told: &str) -> i64 {
    let numbers: Vec<i64> =
        told.split(|char: char| !char.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, second] = numbers[..6] else { panic!("no instant: {told}") };
    // Days from the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    ((days * 24 + hour) * 60 + minute) * 60 + second
}

/// The seconds from now until an instant as it is told.
pub(crate) fn from_now(told: &str) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    seconds(told) - now.cast_signed()
}

/// The same of a field.
pub(crate) fn field_from_now(value: &Value) -> i64 {
    from_now(value.as_str().unwrap_or_else(|| panic!("no instant: {value}")))
}

#[test]
fn instants_are_read() {
    for (told, expected) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29 23:59:59 UTC", 951_868_799),
        ("2000-03-01T00:00:00Z", 951_868_800),
        ("2027-01-15T08:00:00Z", 1_800_000_000),
    ] {
        assert_eq!(seconds(told), expected, "{told}");
    }
}
