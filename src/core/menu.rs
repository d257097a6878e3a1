//! Calls to the phone menu: who may make one, and what passes between its machine ([`crate::menu`]), its
//! call ([`crate::call`]), its sound and those who know ([`super::voice`]).
//!
//! | dialled by | what | the menu |
//! |------------|------|----------|
//! | an extension's device | any code | its own; the digits behind the login code spell a station |
//! | a station with an agent | menu, logout | the agent's |
//! | a station with an agent | login | a logout |
//! | a station | login with an extension behind it | that extension's, once it has shown its PIN |
//! | a station without an agent | login, menu | whoever's, once they have said and shown who they are |
//! | anybody | a code with anything else behind it | none: 404, and nothing of it is recorded |
//! | anybody | a code in a sips URI, in the clear | none: 480 with `Warning: 380` |
//!
//! Keys come in RTP or by INFO. A phone may send each by both, so the way of the first is the way of the
//! call.

use super::Core;
use super::boundary::Output;
use super::caller::Caller;
use super::invite::registered;
use super::meters::CoreShed;
use super::refusal::Refusal;
use super::voice::{Enquiry, Heard, Line, Order, Reply, Visitor};
use crate::account::{LoginName, TenantCode};
use crate::base::flow::Flow;
use crate::base::language::Language;
use crate::base::limit;
use crate::base::private::Secret;
use crate::base::time::{Mono, Now};
use crate::call::{self, CallRef, End, Hosted, Inside};
use crate::menu::{self, At, Input, Menu, Plan, Service, Whose};
use crate::route::Reason;
use crate::rtp::Digit;
use crate::sip::{Message, Name, Scheme, Uri};
use compact_str::CompactString;
use std::collections::BTreeMap;

/// A code that was dialled.
pub(super) struct Dialled {
    service: Service,
    code: CompactString,
    /// What stands behind it, if it may.
    rest: Option<Secret<String>>,
}

/// How keys come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Rtp,
    Info,
}

/// One call to the menu.
#[derive(Debug)]
struct Session {
    menu: Menu,
    visitor: Visitor,
    language: Option<Language>,
    /// How often something was said, and asked.
    said: u32,
    asked: u32,
    way: Option<Way>,
}

/// The calls to the menu of a shard.
#[derive(Debug, Default)]
pub(super) struct Menus(BTreeMap<CallRef, Session>);

impl Menus {
    /// When a time of one of them comes.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.0.values().filter_map(|session| session.menu.next_deadline()).min()
    }

    fn due(&self, now: Mono) -> Vec<CallRef> {
        let is_due = |session: &Session| session.menu.next_deadline().is_some_and(|due| due <= now);
        self.0.iter().filter(|(_, session)| is_due(session)).map(|(call, _)| *call).collect()
    }
}

impl Core {
    /// The code that a request dials, if it dials one.
    pub(super) fn code_dialled(&self, message: &Message) -> Option<Dialled> {
        // Most calls are to numbers: that is seen without a closer look.
        let may = memchr::memchr2(b'*', b'%', message.request_uri()).is_some();
        if !may && message.field(Name::Route).is_none() {
            return None;
        }
        let uri = Uri::parse(self.asked_for(message))?;
        if !uri.host.is_empty() && !self.settings.is_ours(&uri) {
            return None;
        }
        let user = uri.user_decoded();
        let dialled = self.settings.menu.codes.dialled(std::str::from_utf8(&user).ok()?)?;
        Some(Dialled {
            service: dialled.service,
            code: dialled.code.into(),
            rest: dialled.rest.map(|rest| Secret::new(rest.to_owned())),
        })
    }

    /// Answers a call to the menu. `account` is whose credentials it had.
    pub(super) fn call_menu(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        account: &LoginName,
        caller: &Caller,
        dialled: Dialled,
    ) {
        let Dialled { service, code, rest } = dialled;
        let whose = caller.agent.as_ref().unwrap_or(account);
        let whose = CompactString::from(whose.as_str());
        let sips = Scheme::of(self.asked_for(message)) == Some(Scheme::Sips);
        if sips && !flow.transport.is_secure() {
            return self.no_menu(now, flow, message, [whose, code], Reason::NotSecure);
        }
        let Some(rest) = rest else {
            return self.no_menu(now, flow, message, [whose, code], Reason::UnknownNumber);
        };
        let listener = self.settings.listeners.get(usize::from(flow.listener));
        let Some((listener, tenant)) = listener.zip(TenantCode::parse(account.tenant()).ok()) else { return };
        let (bind, told) = (listener.local.ip(), listener.advertised.ip());
        let told = self.settings.menu.advertise.filter(|ip| ip.is_ipv4() == told.is_ipv4()).unwrap_or(told);
        if self.menus.0.len() >= limit::MENU_CALLS_MAX {
            self.meters.shed(CoreShed::Menu);
            return self.refuse(flow, message, Refusal::Overload);
        }
        let (plan, person) = plan(service, account, caller, rest);
        let hosted = Hosted {
            caller: whose,
            device: registered(account.as_str(), caller.device, flow),
            called: code,
            sent_by: self.sent_by(flow),
            family: told,
            service: plan.service,
        };
        let call = match self.calls.host(now, message, flow, hosted) {
            Ok(call) => call,
            Err(call::Refused::Answered(status)) => return self.meters.call(End::Refused(status)),
            Err(call::Refused::Full) => {
                self.meters.shed(CoreShed::Calls);
                return self.refuse(flow, message, Refusal::Overload);
            }
        };
        self.meters.menu_call(service);
        let language = self.directory.tenant(tenant.as_str()).and_then(|tenant| tenant.policies.language);
        let agent = message.field(Name::UserAgent).unwrap_or_default();
        let visitor = Visitor {
            tenant,
            person,
            station: Some(account.clone()).filter(LoginName::is_station),
            device: caller.device,
            from: flow.remote.ip(),
            agent: String::from_utf8_lossy(agent).into(),
        };
        let session = Session { menu: Menu::new(plan), visitor, language, said: 0, asked: 0, way: None };
        self.menus.0.insert(call, session);
        self.order(call, Order::Open { bind, told, peer: flow.remote.ip() });
    }

    /// There is no menu for this call: something that cannot stand there is behind the code, or it has come
    /// in the clear to a sips URI.
    fn no_menu(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        parties: [CompactString; 2],
        reason: Reason,
    ) {
        self.meters.passed_over(reason);
        self.nobody_rings(now, flow, message, parties, reason);
    }

    /// Something happens in a call to the menu.
    pub(super) fn inside(&mut self, now: Now, call: CallRef, what: Inside) {
        match what {
            Inside::Agreed(audio) => self.order(call, Order::Agree(audio)),
            Inside::Stands => self.menu(now, call, Input::Begin),
            Inside::Key(digit) => self.pressed(now, call, digit, Way::Info),
            Inside::Over => {
                if self.menus.0.remove(&call).is_some() {
                    self.order(call, Order::Close);
                }
            }
        }
    }

    /// Something is heard on the line of one.
    pub(super) fn heard(&mut self, now: Now, line: Line, heard: Heard) {
        let Some(session) = self.menus.0.get(&line.call) else { return };
        match heard {
            Heard::Opened(local) => self.calls.pick_up(now, line.call, local),
            Heard::Full => {
                self.meters.shed(CoreShed::Menu);
                self.calls.turn_down(now, line.call, 503);
            }
            Heard::Key(digit) => self.pressed(now, line.call, digit, Way::Rtp),
            Heard::Played(number) if number == session.said => self.menu(now, line.call, Input::Played),
            Heard::Played(_) => {}
        }
        self.drain_calls(now);
    }

    /// What was asked is answered.
    pub(super) fn replied(&mut self, now: Now, reply: Reply) {
        let Some(session) = self.menus.0.get_mut(&reply.line.call) else { return };
        if session.asked != reply.number {
            return;
        }
        session.visitor.person = reply.person.or_else(|| session.visitor.person.take());
        self.menu(now, reply.line.call, Input::Told(reply.told));
        self.drain_calls(now);
    }

    /// Does what is due in them.
    pub(super) fn menus_further(&mut self, now: Now) {
        for call in self.menus.due(now.mono) {
            self.menu(now, call, Input::Due);
        }
        self.drain_calls(now);
    }

    fn pressed(&mut self, now: Now, call: CallRef, digit: Digit, way: Way) {
        let Some(session) = self.menus.0.get_mut(&call) else { return };
        if *session.way.get_or_insert(way) == way {
            self.menu(now, call, Input::Key(digit));
        }
    }

    /// One input to the machine of a call, and all that it then wants.
    fn menu(&mut self, now: Now, call: CallRef, input: Input) {
        let line = Line { shard: self.shard, call };
        let Some(session) = self.menus.0.get_mut(&call) else { return };
        let mut wanted = Vec::new();
        session.menu.handle(now.mono, input, &mut wanted);
        for output in wanted {
            let output = match output {
                menu::Output::Say(says) => {
                    session.said = session.said.wrapping_add(1);
                    let (number, language) = (session.said, session.language);
                    Output::Voice { line, order: Order::Play { number, says, language } }
                }
                menu::Output::Hush => Output::Voice { line, order: Order::Hush },
                menu::Output::Ask(request) => {
                    session.asked = session.asked.wrapping_add(1);
                    let (number, visitor) = (session.asked, session.visitor.clone());
                    Output::Enquire(Box::new(Enquiry { line, number, visitor, request }))
                }
                menu::Output::HangUp => {
                    self.calls.put_down(now, call);
                    continue;
                }
            };
            self.out.push_back(output);
        }
    }

    fn order(&mut self, call: CallRef, order: Order) {
        self.out.push_back(Output::Voice { line: Line { shard: self.shard, call }, order });
    }
}

/// What a call is for, and whose menu it is from the start.
fn plan(
    service: Service,
    account: &LoginName,
    caller: &Caller,
    rest: Secret<String>,
) -> (Plan, Option<LoginName>) {
    let rest = Some(rest).filter(|rest| !rest.expose().is_empty());
    if !account.is_station() {
        let plan = Plan { service, at: At::Phone, whose: Whose::Own, station: rest };
        return (plan, Some(account.clone()));
    }
    let (service, whose, person) = match (service, rest, &caller.agent) {
        (Service::Login, Some(number), _) => (Service::Login, Whose::Dialled(number), None),
        (Service::Menu, _, Some(agent)) => (service, Whose::Agents, Some(agent)),
        (Service::Login | Service::Logout, None, Some(agent)) => {
            (Service::Logout, Whose::Agents, Some(agent))
        }
        (service, _, _) => (service, Whose::Asked, None),
    };
    (Plan { service, at: At::Station, whose, station: None }, person.cloned())
}
