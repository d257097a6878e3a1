//! Nanoseconds of each row of [`work`], by divan: `cargo bench --bench time [FILTER]`.
//!
//! With 10,000 users, so that what belongs to one of them is as cold as in service.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on has nothing to measure")]

mod work;

use divan::Bencher;
use std::cell::RefCell;
use work::{ROWS, Row};

const USERS: u32 = 10_000;

fn main() {
    divan::main();
}

#[divan::bench(args = ROWS, sample_size = 100)]
fn work(bencher: Bencher<'_, '_>, row: &Row) {
    let work = RefCell::new((row.make)(USERS));
    bencher.with_inputs(|| work.borrow_mut().prepare()).bench_local_values(|()| work.borrow_mut().run());
}
