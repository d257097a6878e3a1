//! Whether memory may be behind the record of an extension.
//!
//! | state    | how it comes about | who decides about a REGISTER |
//! |----------|--------------------|------------------------------|
//! | none     |                    | memory, if it only refreshes; else the store |
//! | under way | a commit of the extension was asked for and is not answered | the store, after it: [`Doubt::begin`], [`Doubt::hold`], [`Doubt::end`] |
//! | open     | a change was refused as unavailable and may have been kept: of a phone, an administrator or anybody else | the store; but memory, if it only refreshes bindings beyond doubt |
//!
//! While the store is down it answers `Unavailable` to whatever it is asked, and then memory decides
//! after all about what only refreshes. So known registrations go on and new ones get 503.
//!
//! **The rule.** Memory may refresh a binding if it is in memory, which holds nothing but what was
//! durable once, and if no open change may have ended it. A change ends the bindings that its record
//! no longer has; all of them count as ended if it changes the password, the licence, the life or what
//! the tenant lets in, or removes the extension. So nobody is told 200 whom a
//! revocation, a new password or a removal may already have signed out; who adds a device or changes a
//! name disturbs nobody. A refresh that may have been kept ends nothing: memory's next one counts as the
//! later. What is under way and perhaps written ([`Doubt::hold`]) counts as ending all.
//!
//! A doubt ends when the record has been read: by the next commit of the extension that comes through,
//! or without any as soon as the store is available again.
//!
//! Calls go by memory alone: what nobody was told was done is not enforced before it is known. So do
//! locks and bans, which begin and end in memory: while it is open whether an unlocking was kept
//! ([`Doubt::unlock`]) the lock holds, and it ends when the record is read and has none.

use crate::base::flow::FlowId;

/// The doubts about one extension.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Doubt {
    /// Commits that were asked for.
    in_flight: u16,
    /// Those of them that may have been written, and are not answered.
    held: u16,
    /// Whether a change is open.
    open: bool,
    /// Whether what is open may have ended all bindings.
    all: bool,
    /// Whether it is open if the tenant is active.
    tenant: bool,
    /// Whether an unlocking was written and is not known to be kept.
    unlocking: bool,
    /// The bindings that it may have ended.
    ended: Box<[u32]>,
    /// The bindings that it may have refreshed, and the turns that they then have.
    refreshed: Box<[(u32, u32)]>,
    /// The connections of bindings that may have been written, by number and turn.
    streams: Box<[(u32, u32, FlowId)]>,
}

impl Doubt {
    /// Whether memory may be behind in any way.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.in_flight > 0 || self.is_open()
    }

    /// Whether a change that was refused as unavailable may have been kept.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open || self.tenant
    }

    /// Whether memory may not refresh a binding with this number.
    #[must_use]
    pub fn touches(&self, binding: u32) -> bool {
        self.all || self.tenant || self.held > 0 || self.ended.contains(&binding)
    }

    /// A commit is asked for.
    pub const fn begin(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// One of those that were asked for is about to be written.
    pub const fn hold(&mut self) {
        self.held = self.held.saturating_add(1);
    }

    /// One is over; `held` if it came as far as that.
    pub fn end(&mut self, held: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.held = self.held.saturating_sub(u16::from(held));
        if self.held == 0 {
            self.streams = Box::default();
        }
    }

    /// One that is held was written: number, turn and connection of each binding with one. They are
    /// kept until none is held, since a record keeps no connection: who comes later in the same group
    /// would take the phone for dead.
    pub fn stage(&mut self, streams: Box<[(u32, u32, FlowId)]>) {
        self.streams = streams;
    }

    /// The connection of a binding that was written and is not in memory yet.
    #[must_use]
    pub fn staged_stream(&self, number: u32, turn: u32) -> Option<FlowId> {
        let staged = self.streams.iter().find(|staged| (staged.0, staged.1) == (number, turn));
        staged.map(|(_, _, stream)| *stream)
    }

    /// The turn that a binding with this number, which has this one, is to be refreshed from: the
    /// next counts as later than any that may have been kept.
    #[must_use]
    pub fn latest_turn(&self, binding: u32, turn: u32) -> u32 {
        let kept = self.refreshed.iter().filter(|(number, _)| *number == binding);
        kept.map(|(_, turn)| *turn).max().unwrap_or(0).max(turn)
    }

    /// A change was refused that ends some bindings and refreshes others, up to these turns, and may
    /// have been kept.
    pub fn arise(&mut self, ended: &[u32], refreshed: &[(u32, u32)]) {
        self.open = true;
        if !refreshed.is_empty() {
            self.refreshed = [&self.refreshed, refreshed].concat().into();
        }
        let known = std::mem::take(&mut self.ended).into_vec();
        let mut all: Vec<u32> = known.into_iter().chain(ended.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        self.ended = all.into();
    }

    /// A change was refused that may end all bindings, and may have been kept.
    pub const fn arise_of_all(&mut self) {
        self.open = true;
        self.all = true;
    }

    /// A change of what the tenant lets in was refused, and may have been kept.
    pub const fn arise_of_tenant(&mut self) {
        self.tenant = true;
    }

    /// An unlocking is about to be written.
    pub const fn unlock(&mut self) {
        self.unlocking = true;
    }

    /// Whether an unlocking was written and is not known to be kept.
    #[must_use]
    pub const fn is_unlocking(&self) -> bool {
        self.unlocking
    }

    /// Whether an unlocking may have been kept that memory has not done; then it is open no more.
    pub const fn may_be_unlocked(&mut self) -> bool {
        std::mem::replace(&mut self.unlocking, false)
    }

    /// The record is known.
    pub fn resolve(&mut self) {
        self.open = false;
        self.all = false;
        self.ended = Box::default();
        self.refreshed = Box::default();
    }

    /// The tenant is known.
    pub const fn resolve_tenant(&mut self) {
        self.tenant = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::flow::ShardId;

    /// What happens, then: is any, is open, touches 1, touches 2.
    type Row = (&'static str, fn(&mut Doubt), [bool; 4]);

    #[rustfmt::skip]
    const ROWS: &[Row] = &[
        ("nothing",               |_| {},                                              [false, false, false, false]),
        ("asked for",             |d| d.begin(),                                       [true,  false, false, false]),
        ("about to be written",   |d| { d.begin(); d.hold(); },                        [true,  false, true,  true]),
        ("answered",              |d| { d.begin(); d.hold(); d.end(true); },           [false, false, false, false]),
        ("refused unwritten",     |d| { d.begin(); d.end(false); },                    [false, false, false, false]),
        ("one of two answered",   |d| { d.begin(); d.begin(); d.hold(); d.end(false); }, [true, false, true,  true]),
        ("perhaps kept",          |d| d.arise(&[1], &[]),                        [true,  true,  true,  false]),
        ("and another",           |d| { d.arise(&[1], &[]); d.arise(&[2, 1], &[]); }, [true, true, true, true]),
        ("that ends nothing"  ,  |d| d.arise(&[], &[]),                         [true,  true,  false, false]),
        ("that ends all"  ,      |d| d.arise_of_all(),                                [true,  true,  true,  true]),
        ("of the tenant",         |d| d.arise_of_tenant(),                             [true,  true,  true,  true]),
        ("record known",          |d| { d.arise_of_all(); d.arise(&[1], &[]); d.resolve(); }, [false, false, false, false]),
        ("record known, not the tenant", |d| { d.arise_of_tenant(); d.resolve(); },    [true,  true,  true,  true]),
        ("tenant known",          |d| { d.arise_of_tenant(); d.resolve_tenant(); },    [false, false, false, false]),
        ("tenant known, not the record", |d| { d.arise_of_tenant(); d.arise(&[2], &[]); d.resolve_tenant(); }, [true, true, false, true]),
    ];

    #[test]
    fn what_memory_may_still_refresh() {
        for (name, happens, wanted) in ROWS {
            let mut doubt = Doubt::default();
            happens(&mut doubt);
            let found = [doubt.is_any(), doubt.is_open(), doubt.touches(1), doubt.touches(2)];
            assert_eq!(found, *wanted, "{name}");
        }
    }

    #[test]
    fn connections_are_kept_while_something_is_held() {
        let stream = FlowId { shard: ShardId(0), slot: 3, generation: 1 };
        let mut doubt = Doubt::default();
        (0..2).for_each(|_| doubt.begin());
        (0..2).for_each(|_| doubt.hold());
        doubt.stage(Box::new([(7, 2, stream)]));
        doubt.resolve();
        doubt.end(true);
        assert_eq!(doubt.staged_stream(7, 2), Some(stream));
        assert_eq!([doubt.staged_stream(7, 1), doubt.staged_stream(8, 2)], [None, None]);
        doubt.end(true);
        assert_eq!(doubt, Doubt::default());
    }

    #[test]
    fn a_refresh_of_memory_is_later_than_one_that_may_have_been_kept() {
        let mut doubt = Doubt::default();
        assert_eq!(doubt.latest_turn(1, 4), 4);
        doubt.arise(&[], &[(1, 5), (2, 9)]);
        doubt.arise(&[], &[(1, 7)]);
        assert_eq!([1, 2, 3].map(|binding| doubt.latest_turn(binding, 4)), [7, 9, 4]);
        assert_eq!(doubt.latest_turn(1, 8), 8);
        doubt.resolve();
        assert_eq!(doubt.latest_turn(1, 4), 4);
    }
}
