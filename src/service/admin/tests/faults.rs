//! The store fails in the middle of a reset: nothing is half done. And for known and unknown it is asked
//! for the same.

use super::invite::Post;
use super::once::over_http;
use super::*;
use crate::account::{MailKind, Typed};
use crate::store::Store;
use crate::store::faulty::{Fault, Faulty, Operation};
use crate::store::memory::Memory;
use std::net::IpAddr;
use std::sync::Mutex;

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

impl Post {
    /// As [`Post::with_person`], on a store that fails by plan.
    fn faulty() -> (Self, Arc<Faulty>) {
        let mut post = Self::new();
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new()), |_| Fault::None));
        let later = Arc::clone(&post.bench.later);
        let clock = Arc::new(move || NOW + Duration::from_secs(later.load(Ordering::Relaxed)));
        let store = Store::start(faulty.clone(), clock, metrics::Histogram::noop()).unwrap();
        post.bench.admin.services.store = store;
        for name in ["200-acme", "201-acme"] {
            post.bench.admin.services.directory.remove(name);
        }
        post.bench.done(add_tenant("acme"));
        let (name, email) = ("Zoé".to_owned(), Some("zoe@example.test".to_owned()));
        let password = Some(Password::new(GOOD.into()));
        post.bench.done(Request::ExtensionAdd { login: login("201-acme"), name, email, password });
        (post, faulty)
    }

    fn tokens_owed(&self) -> usize {
        let record = self.bench.record("201-acme").unwrap();
        record.mails.waiting().iter().filter(|mail| matches!(mail.kind, MailKind::Reset { .. })).count()
    }
}

/// The same fault at the so many-th operation of a kind, and none after it.
fn once(at: usize, kind: Operation, fault: Fault) -> impl FnMut(Operation) -> Fault + Send + 'static {
    let mut seen = 0;
    move |operation| {
        seen += usize::from(operation == kind);
        if operation == kind && seen == at + 1 { fault } else { Fault::None }
    }
}

#[test]
fn the_same_work_is_done_for_known_and_unknown() {
    let (post, faulty) = Post::faulty();
    let count = |typed: &str| {
        let done: Arc<Mutex<Vec<Operation>>> = Arc::default();
        let noted = Arc::clone(&done);
        post.wait(1);
        faulty.follow(move |operation| {
            noted.lock().unwrap().push(operation);
            Fault::None
        });
        post.bench.runtime.block_on(post.bench.admin.forgot(Typed::read(typed), FROM)).unwrap();
        faulty.follow(|_| Fault::None);
        let done = done.lock().unwrap();
        [Operation::Read, Operation::Stage, Operation::Flush]
            .map(|kind| done.iter().filter(|it| **it == kind).count())
    };
    let known = count("201-acme");
    assert!(known[0] > 0 && known[1] > 0 && known[2] > 0, "{known:?}");
    for unknown in ["999-acme", "201-globex", "604 555 0199", "", "x"] {
        assert_eq!(count(unknown), known, "{unknown:?}");
    }
    assert_eq!(count("zoe@example.test"), count("nobody@example.test"));
    // Nor when no more mails are sent.
    let fourth = count("201-acme");
    assert_eq!((count("201-acme"), fourth), (known, known));
    // Nor where an administrator has asked for a link, which goes on.
    post.wait(3600);
    post.bench.ask(Request::PasswordReset { login: login("201-acme") }).unwrap();
    assert_eq!(count("201-acme"), known);
}

#[test]
fn a_failure_while_it_is_asked_for_leaves_a_link_with_its_mail_or_neither() {
    for fault in [Fault::Fails, Fault::Lies] {
        for kind in [Operation::Read, Operation::Stage, Operation::Flush] {
            for at in 0..12 {
                let (post, faulty) = Post::faulty();
                faulty.follow(once(at, kind, fault));
                let asked =
                    post.bench.runtime.block_on(post.bench.admin.forgot(Typed::read("201-acme"), FROM));
                faulty.follow(|_| Fault::None);
                let record = post.bench.record("201-acme").unwrap();
                let linked = record.portal.is_some_and(|portal| portal.reset.is_some());
                assert_eq!(post.tokens_owed(), usize::from(linked), "{fault:?} {kind:?} {at}");
                if asked.is_ok() {
                    assert!(linked, "{fault:?} {kind:?} {at}: it was acknowledged");
                }
                assert_eq!(post.epoch(), 1, "the password stays");
                // And it can be asked for again.
                let token = post.asked();
                assert!(post.reset(&token, "Other-Horse8").is_ok(), "{fault:?} {kind:?} {at}");
            }
        }
    }
}

#[test]
fn a_failure_while_a_link_is_used_leaves_the_old_password_with_its_link_or_the_new_one_without() {
    for fault in [Fault::Fails, Fault::Lies] {
        for kind in [Operation::Read, Operation::Stage, Operation::Flush] {
            for at in 0..8 {
                let (post, faulty) = Post::faulty();
                let token = post.asked();
                faulty.follow(once(at, kind, fault));
                let used = post.reset(&token, "Other-Horse8");
                faulty.follow(|_| Fault::None);
                let again = post.reset(&token, "Third-Horse9");
                match (used, post.epoch()) {
                    (Ok(_), 2) => assert_eq!(again, Err(Refusal::NoInvitation), "{fault:?} {kind:?} {at}"),
                    // It may have been done all the same, and then the link is dead.
                    (Err(Refusal::Store(_)), 2) => {
                        let done_first = again == Err(Refusal::NoInvitation);
                        assert!(done_first || again.is_ok(), "{fault:?} {kind:?} {at}: {again:?}");
                    }
                    other => panic!("{fault:?} {kind:?} {at}: {other:?}"),
                }
                let record = post.bench.record("201-acme").unwrap();
                assert!(record.portal.is_none_or(|portal| portal.reset.is_none()), "{fault:?} {kind:?} {at}");
            }
        }
    }
}

/// The answer is the last write of a change. If that alone fails the change is kept, memory follows it, and
/// asked again under its key it is answered and not done again.
#[test]
fn a_change_whose_answer_could_not_be_kept_is_answered_when_it_is_asked_again() {
    let (post, faulty) = Post::faulty();
    post.bench.admin.services.mind_doubts();
    let change = |key: &str| {
        let login = login("201-acme");
        over_http(&post.bench, Request::PasswordSet { login, password: NewPassword::Generate }, Some(key))
    };
    let epoch = || post.bench.record("201-acme").unwrap().credentials.unwrap().epoch;
    let writes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&writes);
    faulty.follow(move |operation| {
        counted.fetch_add(u64::from(operation == Operation::Stage), Ordering::Relaxed);
        Fault::None
    });
    change("first").unwrap();
    assert_eq!(epoch(), 2);
    let last = writes.load(Ordering::Relaxed) as usize - 1;
    faulty.follow(once(last, Operation::Stage, Fault::Fails));
    assert!(matches!(change("second"), Err(Refusal::Store(_))));
    assert_eq!((epoch(), post.bench.seen("201-acme").unwrap().3), (3, Some(3)), "memory follows the store");
    let Ok(Answer { response: Response::Generated { password, .. }, .. }) = change("second") else {
        panic!()
    };
    assert_eq!(epoch(), 3, "nothing was done again");
    let services = &post.bench.admin.services;
    let kept = services.unseal(&post.bench.record("201-acme").unwrap()).unwrap().unwrap().ha1;
    let told = crate::digest::Ha1::new("201-acme", &services.realm, &password);
    assert_eq!(kept.to_bytes().expose(), told.to_bytes().expose(), "the password that is told is the one");
}

#[test]
fn a_mail_that_was_handed_over_is_not_handed_over_again_while_nothing_can_be_written() {
    for fault in [Fault::Fails, Fault::Lies] {
        let (post, faulty) = Post::faulty();
        post.forgot(&Typed::read("201-acme")).unwrap();
        faulty.follow(once(0, Operation::Stage, fault));
        // It waits until it could be written that the mail is done with.
        assert!(post.send_to(&post.spool()), "{fault:?}");
        assert_eq!((post.mails().len(), post.count("handed_over")), (1, 1), "{fault:?}");
        assert_eq!((post.tokens_owed(), post.count("failed")), (0, 0), "{fault:?}");
        std::fs::remove_dir_all(post.spool()).unwrap();
        assert!(post.send_to(&post.spool()));
        assert_eq!(post.mails().len(), 0, "{fault:?}: it left the record");
    }
}
