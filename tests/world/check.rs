//! What must be true, at all times and in the end.

use super::World;
use super::phone::call::{Call, Ended};
use super::phone::register::{Ask, Claim};
use super::phone::{Phone, Setup};
use super::program::Plan;
use super::server::Server;
use std::time::Duration;

/// Activated devices that an extension may have.
const DEVICES_MAX: usize = 4;

/// Civil time may have jumped by so much.
const SLACK: Duration = Duration::from_secs(10);

/// What must be true after each step: no fifth device, nobody bound without the password, and
/// after a restart everybody bound who was told so.
pub(crate) fn always(world: &mut World<Server>, plan: &Plan) {
    let World { host, phones, now, .. } = world;
    if !host.is_up() {
        return;
    }
    let mut wrong = Vec::new();
    for login in &plan.logins {
        let (bindings, devices) = host.look(login);
        if devices > DEVICES_MAX {
            wrong.push(format!("{login} has {devices} devices"));
        }
        for binding in bindings {
            let honest = phones.iter().any(|phone| {
                phone.setup.login == *login
                    && phone.registration.contact.as_bytes() == &*binding.contact
                    && phone.registration.attempted
                    && !is_liar(phone)
            });
            if !honest {
                let contact = String::from_utf8_lossy(&binding.contact).into_owned();
                wrong.push(format!("{contact} is bound to {login} without its password"));
            }
        }
    }
    if std::mem::take(&mut host.restarted) {
        for phone in phones.iter() {
            if let Claim::Bound { until, .. } = phone.registration.claim
                && until > *now + SLACK
                && bound(host, phone).is_none()
                && !may_be_replaced(phone, phones)
            {
                wrong.push(format!("{} was told 200 and is not bound after the restart", phone.setup.label));
            }
        }
        for login in &plan.logins {
            if host.stored_devices(login) != host.look(login).1 {
                wrong.push(format!("the devices of {login} are not those of the store"));
            }
        }
    }
    host.wrongs.append(&mut wrong);
}

/// Whether another phone may have taken the place of this one: it is switched off, and neither has an
/// instance by which one could be told from the other, which looks like it.
fn may_be_replaced(phone: &Phone, phones: &[Phone]) -> bool {
    let (own, nameless) = (&phone.setup, |phone: &Phone| phone.setup.instance.is_none());
    let looks_like_it = |other: &Phone| {
        let Setup { label, login, user_agent, .. } = &other.setup;
        *label != own.label && (login, user_agent) == (&own.login, &own.user_agent)
    };
    let takes = |other: &&Phone| nameless(other) && looks_like_it(other) && other.registration.attempted;
    !phone.is_on() && nameless(phone) && phones.iter().any(|other| takes(&other))
}

/// What must be true once everything has settled.
pub(crate) fn settled(world: &World<Server>, plan: &Plan) -> Vec<String> {
    let World { host, phones, .. } = world;
    let mut wrong = host.wrongs.clone();
    let left = phones.iter().flat_map(|phone| &phone.calls).filter(|call| is_left(call, phones));
    wrong.extend(host.leaks(left.count()));
    for phone in phones {
        wrong.extend(phone.under_way().iter().map(|what| format!("{}: {what} for ever", phone.setup.label)));
    }
    wrong.extend(
        world
            .astray
            .iter()
            .filter(|to| world.trace.who(**to).is_none())
            .map(|to| format!("a packet was sent to {to}")),
    );
    wrong.extend(world.told.iter().cloned());
    unanswered(world, plan, &mut wrong);
    for phone in phones {
        wrong.extend(phone.overlooked.iter().cloned());
    }
    wrong.extend(calls(phones, !plan.faults.crashes.is_empty()));
    if plan.faults.crashes.is_empty() {
        records(world, &mut wrong);
    }
    for phone in phones {
        registration(world, plan, phone, &mut wrong);
    }
    for login in &plan.logins {
        devices(world, login, &mut wrong);
    }
    wrong
}

/// Each request that reached the server has got a final answer: unless the server died since, told
/// its other shard in vain, or keeps silent towards a banned source.
fn unanswered(world: &World<Server>, plan: &Plan, wrong: &mut Vec<String>) {
    if plan.faults.letters_dropped > 0 || world.trace.count("Banned") > 0 {
        return;
    }
    let last_crash = plan.faults.crashes.iter().max().copied().unwrap_or_default();
    for ((branch, method), asked) in &world.asked {
        if asked.is_some_and(|asked| asked > last_crash) {
            wrong.push(format!("{method} {branch} was never answered"));
        }
    }
}

/// One phone and the registrar agree.
fn registration(world: &World<Server>, plan: &Plan, phone: &Phone, wrong: &mut Vec<String>) {
    let registration = &phone.registration;
    let mut say = |what: String| wrong.push(format!("{}: {what}", phone.setup.label));
    let found = bound(&world.host, phone);
    match registration.claim {
        Claim::Bound { until, from, told }
            if until > world.now + SLACK && !world.host.may_have_forgotten(told) =>
        {
            match found {
                None => say("it was told 200 and is not bound".to_owned()),
                Some(remote) if remote != from => say(format!("it is bound at {remote}, not at {from}")),
                Some(_) => {}
            }
        }
        Claim::Unbound if found.is_some() => say("it was un-registered and is bound".to_owned()),
        Claim::Nothing if registration.activated => say("its books are wrong".to_owned()),
        _ => {}
    }
    if is_liar(phone) {
        if registration.activated {
            say("it was told 200 without the password".to_owned());
        }
        return;
    }
    if let (Some(Ask::Bind(_)), true) = (registration.goal, phone.is_on()) {
        let ended = registration.ended.as_deref().unwrap_or("nothing");
        // A lock refuses newcomers only; who shows an instance that nobody can guess is none.
        let newcomer = !registration.activated || phone.setup.instance.is_none();
        let may_be_locked = plan.liars > 0 && newcomer && ended == "SIP/2.0 403 Account Locked";
        let no_place = ended == "SIP/2.0 403 Device Activation Limit Reached"
            && world.host.look(&phone.setup.login).1 == DEVICES_MAX;
        if ended != "SIP/2.0 200 OK" && !may_be_locked && !no_place {
            say(format!("it knows its password and got {ended}"));
        }
    }
}

/// An extension has a device for each phone that was told so, and none that no phone can be.
fn devices(world: &World<Server>, login: &str, wrong: &mut Vec<String>) {
    let own = || world.phones.iter().filter(|phone| phone.setup.login == login && !is_liar(phone));
    let attempted = own().filter(|phone| phone.registration.attempted).count();
    // Without an instance, a phone may have taken the place of a dead one that looks like it.
    let told = own().filter(|phone| phone.registration.activated && phone.setup.instance.is_some()).count();
    let (found, stored) = (world.host.look(login).1, world.host.stored_devices(login));
    if found < told || found > attempted.min(DEVICES_MAX) {
        wrong.push(format!("{login} has {found} devices; {told} were told so and {attempted} tried"));
    }
    if found != stored {
        wrong.push(format!("{login} has {found} devices in memory and {stored} in the store"));
    }
    if world.host.is_in_doubt(login) {
        wrong.push(format!("what a failed commit did to {login} is still open"));
    }
}

/// Each call that was taken up has one record, whatever became of it.
fn records(world: &World<Server>, wrong: &mut Vec<String>) {
    let callers = || world.phones.iter().flat_map(|phone| &phone.calls).filter(|call| call.caller);
    let sure = |ended| {
        matches!(ended, Some(Ended::HungUp | Ended::PeerHungUp | Ended::Refused(404 | 480 | 486 | 603)))
    };
    let never = |ended| matches!(ended, Some(Ended::Refused(401 | 403 | 407)));
    let least = callers().filter(|call| sure(call.ended) && !is_left(call, &world.phones)).count();
    let most = callers().filter(|call| !never(call.ended)).count();
    if !(least..=most).contains(&world.host.records) {
        wrong.push(format!("{} call records for {least} to {most} calls", world.host.records));
    }
}

/// Where a phone's contact is bound, if it is.
fn bound(host: &Server, phone: &Phone) -> Option<std::net::SocketAddr> {
    let (bindings, _) = host.look(&phone.setup.login);
    let own = bindings.iter().find(|binding| &*binding.contact == phone.registration.contact.as_bytes());
    own.map(|binding| binding.remote)
}

fn is_liar(phone: &Phone) -> bool {
    phone.setup.password.starts_with("Wrong")
}

/// Everything that is wrong with the calls of these phones, all of which are over.
/// `restarted` says that the server was, which ends its calls without a word.
pub(crate) fn calls(phones: &[Phone], restarted: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let all = || phones.iter().flat_map(|phone| phone.calls.iter().map(move |call| (phone, call)));
    for (phone, call) in all() {
        let mut say = |what: String| wrong.push(format!("{} call {}: {what}", phone.setup.label, call.id));
        match call.ended {
            None => say(format!("never ended, {:?}", call.stage)),
            Some(Ended::NoFinal) if !restarted => say("its INVITE got no final answer".to_owned()),
            _ => {}
        }
        // The side that called has one peer; one that was called may have answered too late, and
        // was let go at once.
        if restarted || !call.caller || !call.was_up {
            continue;
        }
        let peers: Vec<_> = all().filter(|(_, peer)| talks_with(call, peer)).collect();
        let [(other, peer)] = peers[..] else {
            say(format!("{} sides have the session {:?}", peers.len(), Call::origin(&call.remote_sdp)));
            continue;
        };
        let both = [(&call.remote_sdp, &peer.local_sdp), (&peer.remote_sdp, &call.local_sdp)];
        // An offer that came with the 200 is refused by the server if the caller is gone by then.
        let let_go = !peer.was_up || Call::origin(&peer.remote_sdp).starts_with("o=- 0 0 ");
        let settled = !call.unsettled && !peer.unsettled && !let_go;
        if settled && both.iter().any(|(here, there)| here != there) {
            let origins = both.map(|(here, there)| (Call::origin(here), Call::origin(there)));
            say(format!("it and {} call {} have {origins:?}", other.setup.label, peer.id));
        }
    }
    for phone in phones {
        wrong.extend(phone.wrongs.iter().cloned());
        wrong.extend(phone.contradictions.iter().filter(|_| !restarted).cloned());
    }
    wrong
}

/// Whether this is the caller's side of a call that both sides left without a word. Such a call stands
/// in the server for ever, since there are no session timers.
fn is_left(call: &Call, phones: &[Phone]) -> bool {
    let mut peers = phones.iter().flat_map(|phone| &phone.calls).filter(|peer| talks_with(call, peer));
    call.caller && call.left && peers.next().is_some_and(|peer| peer.left) && peers.all(|peer| peer.left)
}

/// Whether what one side heard is the other side's session, of whatever version.
fn talks_with(call: &Call, peer: &Call) -> bool {
    call.caller != peer.caller && session(&call.remote_sdp) == session(&peer.local_sdp)
}

/// Who described a session, and which.
fn session(sdp: &str) -> Option<(&str, &str)> {
    let mut words = Call::origin(sdp).split(' ');
    Some((words.next()?, words.next()?)).filter(|(origin, _)| !origin.is_empty())
}
