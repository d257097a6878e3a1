//! The table, row by row, and what keeps its bounds whatever is pressed.

use super::*;
use proptest::prelude::*;

/// What a step stands for: a key as it is, and `B` begin, `P` played, `D` and `E` the time has come,
/// `y` done, `h` has a PIN, `n` has none, `w` wrong, `l` locked, `u` unknown station, `s` silent,
/// `t` taken by 202, `o` nobody there, `x` unavailable.
fn input(step: u8) -> Input {
    match step {
        b'B' => Input::Begin,
        b'P' => Input::Played,
        b'D' | b'E' => Input::Due,
        b'y' => Input::Told(Told::Done),
        b'h' => Input::Told(Told::HasPin),
        b'n' => Input::Told(Told::HasNoPin),
        b'w' => Input::Told(Told::Wrong),
        b'l' => Input::Told(Told::Locked),
        b'u' => Input::Told(Told::StationUnknown),
        b's' => Input::Told(Told::StationSilent),
        b't' => Input::Told(Told::StationTaken("202".into())),
        b'o' => Input::Told(Told::NobodyThere),
        b'x' => Input::Told(Told::Unavailable),
        key => Input::Key(Digit::of_byte(key).unwrap()),
    }
}

/// What leads up to a row, and the step under test; `D` when the present wait is over, `E` when the call has
/// lasted long enough.
fn run(plan: &Plan, script: &str) -> (Menu, String) {
    let (mut menu, mut now, mut told) = (Menu::new(plan.clone()), Mono::from_secs(1), String::new());
    for step in script.bytes() {
        match step {
            b'D' => now = menu.due.unwrap_or(now),
            b'E' => now = now.max(Mono::from_secs(1) + limit::MENU_CALL_MAX),
            _ => {}
        }
        let mut out = Vec::new();
        menu.handle(now, input(step), &mut out);
        told = out.iter().map(in_words).collect::<Vec<_>>().join("; ");
    }
    (menu, told)
}

fn in_words(output: &Output) -> String {
    let text = |secret: &Secret<String>| secret.expose().clone();
    match output {
        Output::Say(says) => {
            let names: Vec<_> = says.iter().map(|prompt| prompt.name()).collect();
            format!("say {}", names.join(" "))
        }
        Output::Hush => "hush".into(),
        Output::HangUp => "hang up".into(),
        Output::Ask(Request::Standing) => "standing".into(),
        Output::Ask(Request::CheckPin { extension, pin }) => {
            format!("check {} {}", extension.as_ref().map_or("own".into(), text), text(pin))
        }
        Output::Ask(Request::SetPin(pin)) => format!("set {}", text(pin)),
        Output::Ask(Request::LogIn(station)) => {
            format!("log in {}", station.as_ref().map_or("here".into(), text))
        }
        Output::Ask(Request::LogOut) => "log out".into(),
    }
}

fn plan(service: Service, at: At, whose: Whose) -> Plan {
    Plan { service, at, whose, station: None }
}

#[test]
fn every_row_of_the_table() {
    use Service::{Login, Logout, Menu};
    use State as S;
    let own = plan(Menu, At::Phone, Whose::Own);
    let desk = plan(Menu, At::Station, Whose::Asked);
    let agents = plan(Menu, At::Station, Whose::Agents);
    let login = plan(Login, At::Station, Whose::Asked);
    let dialled = plan(Login, At::Station, Whose::Dialled(Secret::new("201".into())));
    let elsewhere = plan(Login, At::Phone, Whose::Own);
    let spelled = Plan { station: Some(Secret::new("33751".into())), ..elsewhere.clone() };
    let logout = plan(Logout, At::Phone, Whose::Own);
    for (name, plan, script, state, outputs) in [
        ("a logout", &logout, "B", S::LoggingOut, "log out"),
        ("own phone", &own, "B", S::Starting, "standing"),
        ("an agent's station", &agents, "B", S::Pin, "say pin"),
        ("with an extension dialled", &dialled, "B", S::Pin, "say pin"),
        ("any other station", &desk, "B", S::Extension, "say extension"),
        ("there is a PIN", &own, "Bh", S::Pin, "say pin"),
        ("there is none", &own, "Bn", S::Choosing, "say choices"),
        ("none, for a login", &elsewhere, "Bn", S::Station, "say station"),
        ("none, and the station was dialled", &spelled, "Bn", S::LoggingIn, "log in 33751"),
        ("a key ends the prompt", &desk, "B2", S::Extension, "hush"),
        ("the next has none to end", &desk, "B20", S::Extension, ""),
        ("an extension", &desk, "B201#", S::Pin, "say pin"),
        ("own PIN", &own, "Bh482913#", S::Checking, "check own 482913"),
        ("another's PIN", &desk, "B201#482913#", S::Checking, "check 201 482913"),
        ("the dialled one's PIN", &dialled, "B482913#", S::Checking, "check 201 482913"),
        ("right, for the menu", &desk, "B201#482913#y", S::Choosing, "say choices"),
        ("right, for a login here", &login, "B201#482913#y", S::LoggingIn, "log in here"),
        ("right, for a login elsewhere", &elsewhere, "Bh482913#y", S::Station, "say station"),
        ("right, and it was dialled", &spelled, "Bh482913#y", S::LoggingIn, "log in 33751"),
        ("wrong", &desk, "B201#482913#w", S::Extension, "say wrong extension"),
        ("wrong at the own phone", &own, "Bh482913#w", S::Pin, "say wrong pin"),
        ("wrong, the extension dialled", &dialled, "B482913#w", S::Pin, "say wrong pin"),
        ("locked", &desk, "B201#482913#l", S::Leaving, "say goodbye"),
        ("1", &own, "Bn1", S::NewPin, "hush; say new_pin"),
        ("2", &own, "Bn2", S::Station, "hush; say station"),
        ("2 at a station", &agents, "B482913#y2", S::LoggingIn, "hush; log in here"),
        ("3", &own, "Bn3", S::LoggingOut, "hush; log out"),
        ("4", &own, "Bn4", S::Choosing, "hush; say wrong choices"),
        ("# is no choice", &own, "Bn#", S::Choosing, "hush; say wrong choices"),
        ("a new PIN", &own, "Bn1482913#", S::Again, "say again"),
        ("too short", &own, "Bn148291#", S::NewPin, "say pin_length new_pin"),
        ("too long", &own, "Bn148291348291#", S::NewPin, "say pin_length new_pin"),
        ("a run", &own, "Bn1123456#", S::NewPin, "say pin_simple new_pin"),
        ("both", &own, "Bn111111#", S::NewPin, "say pin_length pin_simple new_pin"),
        ("the same again", &own, "Bn1482913#482913#", S::Setting, "set 482913"),
        ("another", &own, "Bn1482913#482914#", S::NewPin, "say differ new_pin"),
        ("set", &own, "Bn1482913#482913#y", S::Choosing, "say pin_set choices"),
        ("a station", &own, "Bn233751#", S::LoggingIn, "log in 33751"),
        ("logged in", &own, "Bn233751#y", S::Choosing, "say logged_in choices"),
        ("logged in, nothing else dialled", &login, "B201#482913#yy", S::Leaving, "say logged_in goodbye"),
        ("unknown", &own, "Bn233751#u", S::Station, "say station_unknown station"),
        ("silent", &elsewhere, "Bn33751#s", S::Station, "say station_silent station"),
        ("taken", &own, "Bn233751#t", S::Station, "say station_taken digit_2 digit_0 digit_2 station"),
        (
            "taken, here",
            &login,
            "B201#482913#yt",
            S::Leaving,
            "say station_taken digit_2 digit_0 digit_2 goodbye",
        ),
        ("taken, here, of the menu", &desk, "B201#482913#y2u", S::Choosing, "say station_unknown choices"),
        ("logged out", &own, "Bn3y", S::Choosing, "say logged_out choices"),
        ("logged out, nothing else dialled", &logout, "By", S::Leaving, "say logged_out goodbye"),
        ("nobody was", &logout, "Bo", S::Leaving, "say nobody_there goodbye"),
        ("no key, something entered", &desk, "B20D", S::Pin, "say pin"),
        ("no key, nothing entered", &desk, "BPD", S::Extension, "say extension"),
        ("no end of the prompt", &desk, "BD", S::Extension, ""),
        ("# alone", &desk, "B#", S::Extension, "hush; say extension"),
        ("too many keys", &desk, "B1234567890123456789012345#", S::Extension, "say extension"),
        ("as many as there may be", &desk, "B123456789012345678901234#", S::Pin, "say pin"),
        ("* clears", &desk, "B20*", S::Extension, "say extension"),
        ("* goes back", &desk, "B201#*", S::Extension, "hush; say extension"),
        ("* goes back from the dialled one", &dialled, "B*", S::Extension, "hush; say extension"),
        ("* from the new PIN", &own, "Bn1*", S::Choosing, "hush; say choices"),
        ("* from the second", &own, "Bn1482913#*", S::NewPin, "hush; say new_pin"),
        ("* from the station", &own, "Bn2*", S::Choosing, "hush; say choices"),
        ("* from the station alone", &elsewhere, "Bn*", S::Leaving, "hush; say goodbye"),
        ("* at the beginning", &desk, "B*", S::Leaving, "hush; say goodbye"),
        ("* at the own PIN", &own, "Bh*", S::Leaving, "hush; say goodbye"),
        ("* at the choices", &own, "Bn*", S::Leaving, "hush; say goodbye"),
        ("a key while waiting", &desk, "B201#482913#1", S::Checking, ""),
        ("is kept", &desk, "B201#482913#1y", S::NewPin, "say choices; hush; say new_pin"),
        ("and forgotten", &desk, "B201#482913#1w", S::Extension, "say wrong extension"),
        ("it cannot be done", &desk, "B201#482913#x", S::Leaving, "say unavailable goodbye"),
        ("no answer in time", &desk, "B201#482913#D", S::Leaving, "say unavailable goodbye"),
        ("an answer to something else", &desk, "B201#482913#h", S::Leaving, "say unavailable goodbye"),
        ("the third try", &own, "Bh1#w1#w1#w", S::Leaving, "say wrong goodbye"),
        ("the third of several kinds", &desk, "BPD1#1#w#", S::Leaving, "hush; say goodbye"),
        ("it has lasted too long", &own, "BnE", S::Leaving, "say goodbye"),
        ("played", &logout, "ByP", S::Over, "hang up"),
        ("not played", &logout, "ByD", S::Over, "hang up"),
        ("a key at the end", &logout, "By1", S::Leaving, ""),
        ("anything after it", &logout, "ByPP1DEyB", S::Over, ""),
        ("an answer that nobody waits for", &desk, "By", S::Extension, ""),
        ("begun twice", &desk, "BB", S::Extension, ""),
    ] {
        let (menu, told) = run(plan, script);
        assert_eq!((menu.state, told.as_str()), (state, outputs), "{name}");
    }
}

#[test]
fn what_is_waited_for_how_long() {
    let desk = plan(Service::Menu, At::Station, Whose::Asked);
    let began = Mono::from_secs(1);
    for (script, wait) in [
        ("B", limit::MENU_WAIT_MAX),
        ("BP", limit::MENU_FIRST_KEY_MAX),
        ("B2", limit::MENU_NEXT_KEY_MAX),
        ("B201#1#", limit::MENU_WAIT_MAX),
    ] {
        assert_eq!(run(&desk, script).0.next_deadline(), Some(began + wait), "{script}");
    }
    assert_eq!(run(&desk, "").0.next_deadline(), None);
    assert_eq!(run(&desk, "B*P").0.next_deadline(), None);
}

#[test]
fn nothing_that_was_pressed_shows() {
    let own = plan(Service::Menu, At::Phone, Whose::Own);
    let (menu, _) = run(&own, "Bn1482913#4829");
    assert!(!format!("{menu:?}").contains("4829"), "{menu:?}");
    let mut out = Vec::new();
    let (mut menu, _) = run(&own, "Bh482913");
    menu.handle(Mono::from_secs(2), Input::Key(Digit::HASH), &mut out);
    assert!(!out.is_empty() && !format!("{out:?}").contains("4829"), "{out:?}");
}

proptest! {
    /// Whatever happens: it asks for nothing while it waits for an answer, hangs up once, and always has
    /// a time by which something happens until it has.
    #[test]
    fn every_call_ends(steps in "[0-9*#PDyhnwlustox]{0,300}", at: bool, login: bool, asked: bool) {
        let at = if at { At::Phone } else { At::Station };
        let service = if login { Service::Login } else { Service::Menu };
        let whose = if asked { Whose::Asked } else { Whose::Own };
        let mut menu = Menu::new(plan(service, at, whose));
        let (mut now, mut asking, mut ended) = (Mono::from_secs(1), 0, 0);
        let mut step = |menu: &mut Menu, now: Mono, input: Input| -> Result<(), TestCaseError> {
            if matches!(input, Input::Told(_)) {
                asking = 0;
            }
            let mut out = Vec::new();
            menu.handle(now, input, &mut out);
            for output in out {
                asking += usize::from(matches!(output, Output::Ask(_)));
                ended += usize::from(output == Output::HangUp);
            }
            prop_assert!(asking <= 1 && ended <= 1);
            prop_assert_eq!(menu.next_deadline().is_none(), menu.state == State::Over);
            Ok(())
        };
        step(&mut menu, now, Input::Begin)?;
        for byte in steps.bytes() {
            if byte == b'D' {
                now = menu.next_deadline().unwrap_or(now).max(now);
            }
            step(&mut menu, now, input(byte))?;
        }
        for _ in 0..20 {
            let Some(due) = menu.next_deadline() else { break };
            now = now.max(due);
            step(&mut menu, now, Input::Due)?;
        }
        prop_assert_eq!(menu.state, State::Over);
    }
}
