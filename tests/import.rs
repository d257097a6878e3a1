//! How long a large import takes, and what it leaves on the disk. It asks much of the machine, so it is
//! run when it is asked for: `cargo test --release --test import -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use support::phone::Phone;
use support::server::Server;

const ROWS: u32 = 100_000;
const TIME_MAX: Duration = Duration::from_secs(20);
const BYTES_EACH_MAX: u64 = 3 * 1024;

fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            // What is allocated, not what a sparse file seems to have.
            use std::os::unix::fs::MetadataExt;
            let found = entry.metadata().unwrap();
            if found.is_dir() { bytes_in(&entry.path()) } else { found.blocks() * 512 }
        })
        .sum()
}

#[test]
#[ignore = "it takes the whole machine for a while"]
fn a_hundred_thousand_rows_in_20_s_and_3_kib_each() {
    let mut server = Server::start();
    server.cli(&["tenant", "add", "acme", "--name", "Acme"], "");
    let store = server.folder().join("store");
    let empty = bytes_in(&store);
    let mut rows = String::from("tenant,extension,name,email,password\n");
    for number in 100_000..100_000 + ROWS {
        writeln!(rows, "acme,{number},User {number},u{number}@example.test,Semaphore!{number}x").unwrap();
    }
    let file = server.folder().join("many.csv");
    std::fs::write(&file, rows).unwrap();
    let began = Instant::now();
    server.cli(&["import", file.to_str().unwrap()], "");
    let took = began.elapsed();
    assert_eq!(Phone::new(&server, "150000").register().status(), 200);
    server.end();
    let each = (bytes_in(&store) - empty) / u64::from(ROWS);
    println!("{ROWS} rows in {took:?}, {each} bytes of store each");
    assert!(took < TIME_MAX, "{took:?}");
    assert!(each < BYTES_EACH_MAX, "{each} bytes each");
}
