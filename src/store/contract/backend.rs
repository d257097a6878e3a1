//! What a backend must do by itself.

use super::*;

pub(super) fn expectations(bench: &Bench) {
    let backend = &bench.backend;
    let (there, gone) = (key("there"), key("gone"));
    // For each row: is a write to what is there good, and one to what is not?
    for (expect, good_there, good_gone) in [
        (|_, _| Expect::Any, true, true),
        (|_, _| Expect::Absent, false, true),
        (|_, new| Expect::At(new), true, false),
        (|old, _| Expect::At(old), false, false),
    ] as [(fn(Revision, Revision) -> Expect, bool, bool); 4]
    {
        for (key, good) in [(&there, good_there), (&gone, good_gone)] {
            let fresh = || {
                backend.stage_delete(&gone, Expect::Any).unwrap();
                let old = backend.stage_put(&there, b"old", Expect::Any).unwrap();
                expect(old, backend.stage_put(&there, b"new", Expect::At(old)).unwrap())
            };
            let wanted = if good { Ok(()) } else { Err(StoreError::Conflict) };
            let expect = fresh();
            let put = backend.stage_put(key, b"put", expect);
            assert_eq!(put.map(drop), wanted, "put {key:?} {expect:?}");
            let value = backend.get(&there).unwrap().unwrap().1;
            assert_eq!(value, if good && *key == there { "put" } else { "new" }, "{key:?} {expect:?}");
            let expect = fresh();
            let delete = backend.stage_delete(key, expect);
            assert_eq!(delete, wanted, "delete {key:?} {expect:?}");
            assert_eq!(backend.get(&there).unwrap().is_none(), good && *key == there, "{key:?} {expect:?}");
        }
    }
}

pub(super) fn revisions_grow(bench: &Bench) {
    let backend = &bench.backend;
    let mut last = backend.newest();
    for round in 0..50 {
        let name = ["a", "b"][round % 2];
        let revision = backend.stage_put(&key(name), b"x", Expect::Any).unwrap();
        assert!(revision > last, "{revision:?} after {last:?}");
        assert_eq!(backend.newest(), revision);
        assert_eq!(backend.get(&key(name)).unwrap().unwrap().0, revision);
        last = revision;
        if round % 5 == 0 {
            backend.stage_delete(&key(name), Expect::Any).unwrap();
            assert!(backend.newest() >= last);
        }
    }
}

pub(super) fn scan_pages_in_order(bench: &Bench) {
    let backend = &bench.backend;
    let other = [Namespace::new("s").key(&["z"]).unwrap(), Namespace::new("u").key(&["a"]).unwrap()];
    let neighbours =
        [T.key(&["ac", "1"]).unwrap(), T.key(&["acme"]).unwrap(), T.key(&["acme2", "1"]).unwrap()];
    let names: Vec<Key> = (0..23).map(|n| T.key(&["acme", &format!("{n:02}")]).unwrap()).collect();
    for key in names.iter().rev().chain(&other).chain(&neighbours) {
        backend.stage_put(key, key.as_bytes(), Expect::Any).unwrap();
    }
    let prefix = T.prefix(&["acme"]).unwrap();
    for n in [1, 2, 7, 23, 24, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = backend.scan(&prefix, after.as_ref(), n).unwrap();
            after = page.last().map(|entry| entry.key.clone());
            let full = page.len() == n;
            assert!(page.iter().all(|entry| entry.value == entry.key.as_bytes()));
            found.extend(page.into_iter().map(|entry| entry.key));
            if !full {
                break;
            }
        }
        assert_eq!(found, names, "pages of {n}");
    }
    let from = backend.scan(&prefix, Some(&other[0]), 1).unwrap();
    assert_eq!(from[0].key, names[0], "after a key before the prefix");
    assert_eq!(backend.scan(&prefix, Some(&other[1]), 1).unwrap(), [], "after a key behind the prefix");
    assert_eq!(backend.scan(&Prefix::everything(), None, 100).unwrap().len(), 28);
}
