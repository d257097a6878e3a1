//! What is exported can be read by others, and imported again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use support::phone::Phone;
use support::server::{Server, password};

fn rows(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn an_export_is_imported_as_it_was_but_for_passwords() {
    let server = Server::start();
    server.cli(&["tenant", "add", "acme", "--name", "Acme"], "");
    server.cli(&["tenant", "add", "beta", "--name", "Beta"], "");
    let rows_in = format!(
        "tenant,extension,name,email,password,role\n\
         acme,201,\"Lovelace, \"\"Ada\"\"\",ada@example.test,{},admin\n\
         acme,202,J\u{f6}rg,,,user\n\
         beta,201,=1+1,x@example.test,{},\n\
         beta,202,\" @x\",,,\n",
        password("201"),
        password("201")
    );
    server.cli(&["import", "-"], &rows_in);
    server.cli(&["tenant", "set", "acme", "--main-number", "+1 604 555 0100"], "");
    server.cli(
        &["extension", "set", "acme", "202", "--number", "6045550199", "--number", "+1 604 555 0198"],
        "",
    );
    server.cli(&["extension", "disable", "beta", "202"], "");
    let _phone = Phone::new(&server, "201").registered();
    let all = server.cli(&["export"], "");
    let told = rows(&all);
    assert_eq!(told[0].join(","), "tenant,extension,name,email,role,numbers,state,app,devices,station");
    assert_eq!(
        told[1..].iter().map(|row| row.join("|")).collect::<Vec<_>>(),
        [
            "acme|201|Lovelace, \"Ada\"|ada@example.test|admin||active|enabled|1|",
            "acme|202|J\u{f6}rg||user|'+16045550199;+16045550198|invite|disabled|0|",
            // A spreadsheet must not compute what somebody is called.
            "beta|201|'=1+1|x@example.test|user||active|enabled|0|",
            "beta|202|' @x||user||disabled|disabled|0|",
        ]
    );
    assert!(!all.contains(&password("201")));
    assert_eq!(rows(&server.cli(&["export", "beta"], "")).len(), 3);

    let other = Server::start();
    for code in ["acme", "beta"] {
        other.cli(&["tenant", "add", code, "--name", "Another"], "");
    }
    other.cli(&["import", "-"], &all);
    let again = rows(&other.cli(&["export"], ""));
    // Without its password an extension that was active is to be invited; whatever else is carried is as it was.
    let carried = |rows: &[Vec<String>]| {
        let row = |row: &Vec<String>| {
            let state = if row[6] == "active" { "invite" } else { &row[6] };
            [&row[..6], &[state.to_owned()]].concat().join("|")
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(carried(&again), carried(&told));
    assert!(
        again[1..].iter().all(|row| row[6] != "active" && row[7] == "disabled" && row[8] == "0"),
        "{again:?}"
    );
    let show = |server: &Server, number: &str| -> Value {
        serde_json::from_str(&server.cli(&["extension", "show", "beta", number, "--json"], "")).unwrap()
    };
    for number in ["201", "202"] {
        assert_eq!(show(&server, number)["name"], show(&other, number)["name"]);
    }
    other.cli(&["import", "-", "--skip-existing"], &all);
    let refused = other.try_cli(&["import", "-"], &all);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().starts_with("error: line 2, extension: "));
    server.stop();
    other.stop();
}

#[test]
fn the_audit_is_exported_as_csv_and_as_json_lines() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    server.cli(&["extension", "set", "acme", "201", "--name", "Ada, \"L\""], "");
    let csv = rows(&server.cli(&["audit", "export", "acme"], ""));
    assert_eq!(csv[0].join(","), "at,by,action,tenant,extension,source,before,after");
    let actions: Vec<&str> = csv[1..].iter().map(|row| row[2].as_str()).collect();
    assert_eq!(actions, ["tenant add", "import", "import", "extension set"]);
    assert_eq!(csv[4][7], "name=\"Ada, \\\"L\\\"\"");
    let lines = server.cli(&["audit", "export", "--format", "jsonl", "acme", "201"], "");
    assert_eq!(server.cli(&["audit", "export", "acme", "201", "--json"], ""), lines);
    assert_eq!(server.try_cli(&["audit", "export", "--json", "--format", "csv"], "").status.code(), Some(2));
    let objects: Vec<Value> = server
        .cli(&["export", "--json"], "")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects, server.list(&["extension", "list"]));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines.iter().map(|line| line["action"].as_str().unwrap()).collect::<Vec<_>>(),
        ["import", "extension set"]
    );

    let export = |more: &[&str]| rows(&server.cli(&[&["audit", "export"], more].concat(), "")).len() - 1;
    assert_eq!(export(&["--since", "1h"]), 4);
    assert_eq!(export(&["--until", "1h"]), 0);
    assert_eq!(export(&["--since", "2020-01-01", "--until", "2020-02-01T00:00:00Z"]), 0);
    assert_eq!(export(&["--command", "import"]), 2);
    assert_eq!(export(&["--by", "uid ", "--action", "tenant add"]), 1);
    assert_eq!(export(&["--by", "link"]), 0);
    assert_eq!(server.list(&["audit", "list", "--action", "import", "--last", "1"]).len(), 1);
    assert_eq!(server.try_cli(&["audit", "list", "--since", "soon"], "").status.code(), Some(2));
    server.stop();
}
