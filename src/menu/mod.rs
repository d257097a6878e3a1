//! The phone menu (PRODUCT §2 "PIN", §5 "Agent login"): what is asked and said, for which keys.
//!
//! It reads no clock and plays nothing: keys, ends of prompts and answers come in as [`Input`], and what it
//! wants comes out as [`Output`]. The password cannot be changed by phone: there is no such entry.
//!
//! | state | input | next | what is done |
//! | --- | --- | --- | --- |
//! | | begin a logout | LoggingOut | ask for the logout |
//! | | begin, at an extension's own phone | Starting | ask whether a PIN is set |
//! | | begin, at a station whose agent asks for the menu, or with an extension dialled | Pin | say: PIN |
//! | | begin, at any other station | Extension | say: extension |
//! | Starting | there is a PIN | Pin | say: PIN |
//! | Starting | there is none | as after the right PIN | |
//! | Extension | an entry | Pin | say: PIN, whoever it is |
//! | Pin | an entry | Checking | ask whether it is right |
//! | Checking | right, for the menu | Choosing | say: choices |
//! | Checking | right, for a login at a station | LoggingIn | ask for it, here |
//! | Checking | right, for a login from elsewhere | Station, or LoggingIn if it was dialled | say: station |
//! | Checking | wrong | Extension if it was asked for, else Pin | a try; say: wrong, and the question |
//! | Checking | locked | Leaving | say: goodbye |
//! | Choosing | 1 | NewPin | say: new PIN |
//! | Choosing | 2 | Station; LoggingIn at a station | say: station |
//! | Choosing | 3 | LoggingOut | ask for the logout |
//! | Choosing | any other key but `*` | Choosing | a try; say: wrong, choices |
//! | NewPin | an entry that will do | Again | say: again |
//! | NewPin | one that breaks a rule | NewPin | a try; say: why, new PIN |
//! | Again | the same entry | Setting | ask to set it |
//! | Again | another | NewPin | a try; say: they differ, new PIN |
//! | Setting | done | Choosing | say: PIN set, choices |
//! | Station | an entry | LoggingIn | ask for the login, there |
//! | LoggingIn | done | Choosing, or Leaving if only this was dialled | say: logged in |
//! | LoggingIn | refused | Station; at a station as if done | a try; say: why |
//! | LoggingOut | done, or nobody was | as after a login | say which |
//! | any that waits for keys | no key in time, something entered | as with `#` | |
//! | any that waits for keys | no key in time, nothing entered; or `#` alone, or too many keys | same | a try; say: the question |
//! | any that waits for keys | `*`, something entered | same | say: the question |
//! | any that waits for keys | `*`, nothing entered | the question before, if there is one, else Leaving | |
//! | any that waits for an answer | a key | same | kept for the next question |
//! | any that waits for an answer | that it cannot be done; none in time | Leaving | say: unavailable, goodbye |
//! | any | the third try | Leaving | say: why, goodbye |
//! | any | the call has lasted too long | Leaving | say: goodbye |
//! | Leaving | played, or too long | Over | hang up |
//!
//! An entry ends with `#`. A key ends the prompt that is being said. What was pressed ahead is forgotten
//! with each refusal. Any pair not listed changes nothing.

mod code;
mod entry;
mod prompt;
mod words;

#[cfg(test)]
mod tests;

pub use code::{CodeError, Codes, Dialled, Service};
pub use prompt::{Kind, Prompt, texts};
pub use words::{At, Input, Output, Plan, Request, Says, Told, Whose};

use crate::account::pin::{self, PinRule};
use crate::base::limit;
use crate::base::private::Secret;
use crate::base::time::Mono;
use crate::rtp::Digit;
use entry::Entry;
use subtle::ConstantTimeEq;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Starting,
    Extension,
    Pin,
    Checking,
    Choosing,
    NewPin,
    Again,
    Setting,
    Station,
    LoggingIn,
    LoggingOut,
    Leaving,
    Over,
}

impl State {
    /// What it asks, if it waits for keys.
    const fn question(self) -> Option<Prompt> {
        Some(match self {
            Self::Extension => Prompt::Extension,
            Self::Pin => Prompt::Pin,
            Self::Choosing => Prompt::Choices,
            Self::NewPin => Prompt::NewPin,
            Self::Again => Prompt::Again,
            Self::Station => Prompt::Station,
            _ => return None,
        })
    }

    const fn waits_for_answer(self) -> bool {
        use State::{Checking, LoggingIn, LoggingOut, Setting, Starting};
        matches!(self, Starting | Checking | Setting | LoggingIn | LoggingOut)
    }
}

/// One call to the menu.
#[derive(Debug)]
pub struct Menu {
    plan: Plan,
    state: State,
    tries: u8,
    entry: Entry<{ limit::MENU_KEYS_MAX }>,
    ahead: Entry<{ limit::MENU_AHEAD_MAX }>,
    extension: Option<Secret<String>>,
    new_pin: Option<Secret<String>>,
    /// Whether something is being said.
    talking: bool,
    /// When the present state has waited long enough.
    due: Option<Mono>,
    /// When the call has lasted long enough.
    ends: Option<Mono>,
}

impl Menu {
    /// A call that does not stand yet.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            state: State::Starting,
            tries: 0,
            entry: Entry::new(),
            ahead: Entry::new(),
            extension: None,
            new_pin: None,
            talking: false,
            due: None,
            ends: None,
        }
    }

    /// When it is to be told that a time may have come.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.due.into_iter().chain(self.ends).min()
    }

    /// Applies one input, appending what must be done to `out`.
    pub fn handle(&mut self, now: Mono, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Begin if self.ends.is_none() && self.state == State::Starting => self.begin(now, out),
            Input::Key(digit) => self.key(now, digit, out),
            Input::Played if self.talking => self.played(now, out),
            Input::Told(told) if self.state.waits_for_answer() => self.told(now, told, out),
            Input::Due => self.woken(now, out),
            Input::Begin | Input::Played | Input::Told(_) => {}
        }
    }

    fn begin(&mut self, now: Mono, out: &mut Vec<Output>) {
        self.ends = Some(now + limit::MENU_CALL_MAX);
        if self.plan.service == Service::Logout {
            return self.ask(now, State::LoggingOut, Request::LogOut, out);
        }
        match &self.plan.whose {
            Whose::Own => self.ask(now, State::Starting, Request::Standing, out),
            Whose::Agents => self.question(now, State::Pin, &[], out),
            Whose::Dialled(number) => {
                self.extension = Some(number.clone());
                self.question(now, State::Pin, &[], out);
            }
            Whose::Asked => self.question(now, State::Extension, &[], out),
        }
    }

    fn key(&mut self, now: Mono, digit: Digit, out: &mut Vec<Output>) {
        if self.state.waits_for_answer() {
            return self.ahead.push(digit);
        }
        if self.state.question().is_none() {
            return;
        }
        if std::mem::take(&mut self.talking) {
            out.push(Output::Hush);
        }
        self.due = Some(now + limit::MENU_NEXT_KEY_MAX);
        match (self.state, digit) {
            (state, Digit::STAR) if self.entry.is_empty() => self.back(now, state, out),
            (state, Digit::STAR) => self.question(now, state, &[], out),
            (State::Choosing, choice) => self.choose(now, choice, out),
            (_, Digit::HASH) => self.entered(now, out),
            (_, digit) => self.entry.push(digit),
        }
    }

    /// The question before the present one.
    fn back(&mut self, now: Mono, state: State, out: &mut Vec<Output>) {
        let asked = matches!(self.plan.whose, Whose::Asked | Whose::Dialled(_));
        match state {
            State::Pin if asked => self.question(now, State::Extension, &[], out),
            State::NewPin => self.question(now, State::Choosing, &[], out),
            State::Again => self.question(now, State::NewPin, &[], out),
            State::Station if self.plan.service == Service::Menu => {
                self.question(now, State::Choosing, &[], out);
            }
            _ => self.leave(now, &[], out),
        }
    }

    fn choose(&mut self, now: Mono, choice: Digit, out: &mut Vec<Output>) {
        match (choice.byte(), self.plan.at) {
            (b'1', _) => self.question(now, State::NewPin, &[], out),
            (b'2', At::Phone) => self.question(now, State::Station, &[], out),
            (b'2', At::Station) => self.ask(now, State::LoggingIn, Request::LogIn(None), out),
            (b'3', _) => self.ask(now, State::LoggingOut, Request::LogOut, out),
            _ => self.fail(now, State::Choosing, &[Prompt::Wrong], out),
        }
    }

    /// An entry has ended.
    fn entered(&mut self, now: Mono, out: &mut Vec<Output>) {
        let Some(text) = self.entry.text() else { return self.fail(now, self.state, &[], out) };
        self.entry.clear();
        match self.state {
            State::Extension => {
                self.extension = Some(text);
                self.question(now, State::Pin, &[], out);
            }
            State::Pin => {
                let request = Request::CheckPin { extension: self.extension.clone(), pin: text };
                self.ask(now, State::Checking, request, out);
            }
            State::NewPin => match pin::check(text.expose()) {
                Ok(()) => {
                    self.new_pin = Some(text);
                    self.question(now, State::Again, &[], out);
                }
                Err(refused) => {
                    let simple =
                        refused.0.iter().any(|rule| matches!(rule, PinRule::Run | PinRule::Repetition));
                    let length =
                        refused.0.iter().any(|rule| matches!(rule, PinRule::TooShort | PinRule::TooLong));
                    let why = [(length, Prompt::PinLength), (simple, Prompt::PinSimple)];
                    let why: Says = why.into_iter().filter(|(is, _)| *is).map(|(_, prompt)| prompt).collect();
                    self.fail(now, State::NewPin, &why, out);
                }
            },
            State::Again => {
                let first = self.new_pin.take().unwrap_or_default();
                if bool::from(first.expose().as_bytes().ct_eq(text.expose().as_bytes())) {
                    self.ask(now, State::Setting, Request::SetPin(text), out);
                } else {
                    self.fail(now, State::NewPin, &[Prompt::Differ], out);
                }
            }
            State::Station => self.ask(now, State::LoggingIn, Request::LogIn(Some(text)), out),
            _ => {}
        }
    }

    fn told(&mut self, now: Mono, told: Told, out: &mut Vec<Output>) {
        use State::{Checking, LoggingIn, LoggingOut, Setting, Starting};
        match (self.state, told) {
            (Starting, Told::HasPin) => self.question(now, State::Pin, &[], out),
            (Starting, Told::HasNoPin) | (Checking, Told::Done) => self.let_in(now, out),
            (Checking, Told::Wrong) => {
                let asked = matches!(self.plan.whose, Whose::Asked);
                let state = if asked { State::Extension } else { State::Pin };
                self.fail(now, state, &[Prompt::Wrong], out);
            }
            (Checking, Told::Locked) => self.leave(now, &[], out),
            (Setting, Told::Done) => self.question(now, State::Choosing, &[Prompt::PinSet], out),
            (LoggingIn, Told::Done) => self.done(now, &[Prompt::LoggedIn], out),
            (LoggingIn, Told::StationUnknown) => self.no_login(now, &[Prompt::StationUnknown], out),
            (LoggingIn, Told::StationSilent) => self.no_login(now, &[Prompt::StationSilent], out),
            (LoggingIn, Told::StationTaken(by)) => {
                let digits = by.bytes().filter(u8::is_ascii_digit).map(|byte| Prompt::Digit(byte - b'0'));
                let why: Says = std::iter::once(Prompt::StationTaken).chain(digits).collect();
                self.no_login(now, &why, out);
            }
            (LoggingOut, Told::Done) => self.done(now, &[Prompt::LoggedOut], out),
            (LoggingOut, Told::NobodyThere) => self.done(now, &[Prompt::NobodyThere], out),
            _ => self.leave(now, &[Prompt::Unavailable], out),
        }
    }

    /// Whose menu it is has been shown.
    fn let_in(&mut self, now: Mono, out: &mut Vec<Output>) {
        match (self.plan.service, self.plan.at, self.plan.station.take()) {
            (Service::Login, At::Station, _) => {
                self.ask(now, State::LoggingIn, Request::LogIn(None), out);
            }
            (Service::Login, At::Phone, None) => self.question(now, State::Station, &[], out),
            (Service::Login, At::Phone, station) => {
                self.ask(now, State::LoggingIn, Request::LogIn(station), out);
            }
            (Service::Menu | Service::Logout, _, _) => self.question(now, State::Choosing, &[], out),
        }
    }

    /// Something was done; if more than that was dialled, there are choices again.
    fn done(&mut self, now: Mono, says: &[Prompt], out: &mut Vec<Output>) {
        match self.plan.service {
            Service::Menu => self.question(now, State::Choosing, says, out),
            Service::Login | Service::Logout => self.leave(now, says, out),
        }
    }

    fn no_login(&mut self, now: Mono, why: &[Prompt], out: &mut Vec<Output>) {
        match (self.plan.at, self.plan.service) {
            (At::Phone, _) => self.fail(now, State::Station, why, out),
            (At::Station, Service::Menu) => self.fail(now, State::Choosing, why, out),
            (At::Station, _) => self.leave(now, why, out),
        }
    }

    fn played(&mut self, now: Mono, out: &mut Vec<Output>) {
        self.talking = false;
        if self.state == State::Leaving {
            return self.hang_up(out);
        }
        self.due = Some(now + limit::MENU_FIRST_KEY_MAX);
    }

    fn woken(&mut self, now: Mono, out: &mut Vec<Output>) {
        if self.ends.take_if(|ends| *ends <= now).is_some() {
            return self.leave(now, &[], out);
        }
        if self.due.take_if(|due| *due <= now).is_none() {
            return;
        }
        match self.state {
            State::Leaving => self.hang_up(out),
            state if state.waits_for_answer() => self.leave(now, &[Prompt::Unavailable], out),
            // A prompt without an end: then as if it had been played.
            _ if self.talking => self.played(now, out),
            _ => self.entered(now, out),
        }
    }

    /// One failed attempt; with the last the call ends.
    fn fail(&mut self, now: Mono, state: State, why: &[Prompt], out: &mut Vec<Output>) {
        self.tries += 1;
        self.ahead.clear();
        if self.tries >= limit::MENU_TRIES_MAX {
            return self.leave(now, why, out);
        }
        self.question(now, state, why, out);
    }

    /// Asks a question, behind what else is to be said.
    fn question(&mut self, now: Mono, state: State, says: &[Prompt], out: &mut Vec<Output>) {
        self.state = state;
        self.entry.clear();
        self.say(now, says.iter().copied().chain(state.question()).collect(), out);
        while self.state.question().is_some()
            && let Some(digit) = self.ahead.pop()
        {
            self.key(now, digit, out);
        }
    }

    fn ask(&mut self, now: Mono, state: State, request: Request, out: &mut Vec<Output>) {
        self.state = state;
        self.due = Some(now + limit::MENU_WAIT_MAX);
        out.push(Output::Ask(request));
    }

    fn leave(&mut self, now: Mono, says: &[Prompt], out: &mut Vec<Output>) {
        if matches!(self.state, State::Leaving | State::Over) {
            return;
        }
        self.state = State::Leaving;
        self.forget();
        self.say(now, says.iter().copied().chain([Prompt::Goodbye]).collect(), out);
    }

    fn say(&mut self, now: Mono, says: Says, out: &mut Vec<Output>) {
        self.talking = true;
        self.due = Some(now + limit::MENU_WAIT_MAX);
        out.push(Output::Say(says));
    }

    fn hang_up(&mut self, out: &mut Vec<Output>) {
        self.state = State::Over;
        (self.due, self.ends, self.talking) = (None, None, false);
        out.push(Output::HangUp);
    }

    fn forget(&mut self) {
        self.entry.clear();
        self.ahead.clear();
        (self.extension, self.new_pin) = (None, None);
    }
}
