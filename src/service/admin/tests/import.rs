use super::*;
use crate::service::tables::EXTENSIONS;

#[test]
fn an_import_is_judged_whole_before_anything_is_stored() {
    let bench = Bench::with_extension();
    let csv = format!(
        "tenant,extension,name,email,password\n\
         acme,300,Good,,{GOOD}\n\
         none,301,Name,,{GOOD}\n\
         ACME,302,Name,,{GOOD}\n\
         acme,3,Name,,{GOOD}\n\
         acme,304,,x,{GOOD}\n\
         acme,305,Name,,short\n\
         acme,300,Twice,,{GOOD}\n\
         acme,200,There,,{GOOD}\n\
         acme,308\n\
         none,309,Name,,{GOOD}\n"
    );
    let Err(Refusal::BadRows(faults)) = bench.import(&csv) else { panic!() };
    let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 3, tenant: there is no tenant none",
            "line 4, tenant: \"ACME\": a tenant code has 2 to 32 characters, a-z and 0-9",
            "line 5, extension: \"3\": an extension number has 2 to 8 digits",
            "line 6, name: it is empty",
            "line 6, email: \"x\" is no e-mail address",
            "line 7, password: it needs at least 8 characters; it needs a digit; it needs a special character",
            "line 8, extension: 300-acme stands there twice",
            "line 9, extension: extension 200-acme exists already",
            "line 10: 2 fields, the header has 5",
            "line 11, tenant: there is no tenant none",
        ]
    );
    assert_eq!(bench.seen("300-acme"), None);
    assert!(bench.import(&csv).unwrap_err().to_string().ends_with("nothing was imported"));
}

#[test]
fn imported_extensions_can_sign_in_at_once() {
    let bench = Bench::with_extension();
    let csv = format!(
        "password,tenant,name,email,extension\r\n\
         {GOOD},acme,\"Lovelace, Ada\",ada@example.test,300\r\n\
         ,acme,Without,,301\r\n"
    );
    assert_eq!(bench.import(&csv), Ok(Response::Imported { extensions: 2, skipped: 0 }));
    assert_eq!(bench.seen("300-acme"), Some((Life::Active, true, 0, Some(1))));
    assert_eq!(bench.seen("301-acme"), Some((Life::Invite, false, 0, None)));
    let view = bench.show("300-acme");
    assert_eq!((view.name.as_str(), view.email.as_deref()), ("Lovelace, Ada", Some("ada@example.test")));
    assert!(bench.record("300-acme").is_some());
}

#[test]
fn an_import_without_its_header_is_refused() {
    let bench = Bench::with_extension();
    for (csv, faults) in [
        ("", "line 1, tenant: the column is missing\nline 1, extension: the column is missing\n"),
        (
            "tenant,extension,name,email,password,x\n",
            "line 1, x: no such column; there are tenant,extension,",
        ),
        ("tenant,extension,name,email,password,name\n", "line 1, name: the column stands there twice\n"),
    ] {
        let told = bench.import(csv).unwrap_err().to_string();
        assert!(told.starts_with(faults), "{csv:?}: {told}");
    }
    assert_eq!(
        bench.import("tenant,extension,name,email,password\n"),
        Ok(Response::Imported { extensions: 0, skipped: 0 })
    );
}

#[test]
fn many_rows_come_in_groups_and_lists_in_order() {
    let bench = Bench::with_extension();
    bench.done(add_tenant("beta"));
    let rows = (10_000..12_500).map(|n| format!("acme,{n},User {n},,Pw!{n}xyz\n"));
    let csv = "tenant,extension,name,email,password\n".to_owned() + &rows.collect::<String>();
    assert_eq!(bench.import(&csv), Ok(Response::Imported { extensions: 2_500, skipped: 0 }));
    bench.done(add("10-beta", None));
    let list = |tenant: Option<&str>, after: Option<&str>| {
        let request = Request::ExtensionList {
            tenant: tenant.map(code),
            search: Search::default(),
            page: Page { after: after.map(login), limit: None },
        };
        match bench.ask(request) {
            Ok(Response::Extensions { rows, next: None }) => {
                rows.into_iter().map(|row| row.login).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    let all = list(None, None);
    assert_eq!((all.len(), all[0].as_str(), all[2_501].as_str()), (2_502, "10000-acme", "10-beta"));
    assert_eq!(list(Some("acme"), Some("12498-acme")), ["12499-acme", "200-acme"]);
    assert_eq!(list(Some("beta"), None), ["10-beta"]);
    assert_eq!(EXTENSIONS.scan(&bench.admin.services.store.view(), &[], None, 9_999).unwrap().len(), 2_502);
}

/// Columns may be left out, or be those that an export tells besides; a role is taken over.
#[test]
fn columns_of_an_export() {
    let bench = Bench::with_extension();
    let csv = "tenant,extension,name,email,role,state,app,devices,station\n\
               acme,300,Ada,a@example.test,admin,active,enabled,3,desk1\n\
               acme,301,Bell,,,,,,\n";
    assert_eq!(bench.import(csv), Ok(Response::Imported { extensions: 2, skipped: 0 }));
    let view = bench.show("300-acme");
    assert_eq!((view.role.as_str(), view.state.as_str(), view.devices), ("admin", "invite", 0));
    assert_eq!((bench.show("301-acme").role.as_str(), view.station), ("user", None));
    let told = bench.import("tenant,extension,name,email,role\nacme,302,Ada,,boss\n").unwrap_err();
    assert!(told.to_string().starts_with("line 2, role: \"boss\" is neither user nor admin"), "{told}");
}

/// Behind a quote that is not closed, the rest of the file is one field: it must not be passed over, not even
/// in a column that is not taken over.
#[test]
fn no_row_is_swallowed_by_a_quote() {
    const CONTROLS: &str = "it has a line break or another control character; perhaps a quote is not closed";
    let head = "tenant,extension,name,email,station\n";
    for (rows, faults) in [
        ("acme,302,A,,\"\nacme,303,B,,\nacme,304,C,,\n", &[(2, "station", CONTROLS)][..]),
        ("acme,302,A,,desk1\nacme,303,B,,\"desk2", &[(3, "", "a quote is not closed")]),
        ("acme,302,A,,\"", &[(2, "", "a quote is not closed")]),
        ("acme,302,\"A\nB\",,\nacme,303,C\tD,,\n", &[(2, "name", CONTROLS), (4, "name", CONTROLS)]),
        ("acme,302,A,,de\u{7}sk1\n", &[(2, "station", CONTROLS)]),
        ("acme,302,A,,,\"x\ny\"\n", &[(2, "", CONTROLS)]),
    ] {
        let bench = Bench::with_extension();
        let Err(Refusal::BadRows(found)) = bench.import(&[head, rows].concat()) else { panic!("{rows:?}") };
        let found: Vec<_> = found.iter().map(|it| (it.row, it.column.as_str(), it.reason.as_str())).collect();
        assert_eq!(found, faults, "{rows:?}");
        assert_eq!((bench.seen("302-acme"), bench.seen("303-acme")), (None, None));
    }
    let bench = Bench::with_extension();
    let told = bench.import("tenant,extension,name,email,\"station\nacme,302,A,,\n").unwrap_err().to_string();
    assert_eq!(told, format!("line 1: {CONTROLS}\nnothing was imported"));
    let quoted = "\"acme\",\"302\",\"A \"\"B\"\", C\",,\"desk\"\n\nacme,303,A \"B\",,\"\"";
    assert_eq!(bench.import(&[head, quoted].concat()), Ok(Response::Imported { extensions: 2, skipped: 0 }));
    assert_eq!(
        (bench.show("302-acme").name.as_str(), bench.show("303-acme").name.as_str()),
        ("A \"B\", C", "A \"B\"")
    );
}

#[test]
fn a_fault_names_its_line() {
    for (csv, lines) in [
        ("tenant,extension,name,email\n\n\nacme,3,A,\nacme,4,A,\n", [4, 5]),
        ("\u{feff}tenant,extension,name,email\r\nacme,3,A,\r\n\r\nacme,4,A,", [2, 4]),
        ("\n\ntenant,extension,name,email\nacme,3,A,\nacme,4,A,\n", [4, 5]),
        ("tenant,extension,name,email\racme,3,A,\r\racme,4,A,", [2, 4]),
        ("tenant,extension,name,email\nacme,301,\"A\n\n\",\nacme,4,A,\n", [2, 5]),
        ("tenant,extension,name,email\nacme,3,\"J\u{f6}, rg\",\n\nacme\n", [2, 4]),
    ] {
        let bench = Bench::with_extension();
        let Err(Refusal::BadRows(faults)) = bench.import(csv) else { panic!("{csv:?}") };
        assert_eq!(faults.iter().map(|fault| fault.row).collect::<Vec<_>>(), lines, "{csv:?}: {faults:?}");
    }
}

#[test]
fn numbers_and_what_is_disabled_come_in() {
    let bench = Bench::with_extension();
    let main = TenantSettings { main_number: Some("+1 604 555 0100".into()), ..TenantSettings::default() };
    bench.done(Request::TenantSet { code: code("acme"), settings: main });
    let csv = format!(
        "tenant,extension,name,email,numbers,state,password\n\
         acme,300,'=A,,'+16045550199;(604) 555-0198; ,active,{GOOD}\n\
         acme,301,B,,,disabled,{GOOD}\n\
         acme,302,C,,+16045550197,disabled,\n"
    );
    assert_eq!(bench.import(&csv), Ok(Response::Imported { extensions: 3, skipped: 0 }));
    let view = bench.show("300-acme");
    assert_eq!((view.name.as_str(), view.numbers.as_str()), ("=A", "+16045550199 +16045550198"));
    assert_eq!(bench.seen("300-acme"), Some((Life::Active, true, 0, Some(1))));
    assert_eq!(bench.seen("301-acme").unwrap().0, Life::Disabled);
    assert_eq!(bench.show("302-acme").state, "disabled");
    bench.done(Request::ExtensionEnable { login: login("301-acme") });
    assert_eq!(bench.seen("301-acme"), Some((Life::Active, true, 0, Some(1))));

    let many = (0..17).map(|n| format!("+160455502{n:02}")).collect::<Vec<_>>().join(";");
    let csv = format!(
        "tenant,extension,name,email,numbers,state\n\
         acme,400,A,,+16045550199,\n\
         acme,401,A,,x,gone\n\
         acme,402,A,,+16045550166,\n\
         acme,403,A,,+16045550166,\n\
         acme,404,A,,{many},\n"
    );
    let Err(Refusal::BadRows(faults)) = bench.import(&csv) else { panic!() };
    let told: Vec<_> = faults.iter().map(|fault| (fault.row, fault.column.as_str())).collect();
    assert_eq!(told, [(2, "numbers"), (3, "state"), (3, "numbers"), (5, "numbers"), (6, "numbers")]);
    assert_eq!(faults[0].reason, "+16045550199 is taken");
    assert_eq!(faults[1].reason, "\"gone\" is none of invite pending expired active disabled");
}

#[test]
fn what_exists_is_left_alone_if_that_is_asked() {
    let bench = Bench::with_extension();
    let import =
        |csv: &str| bench.ask(Request::Import { csv: Password::new(csv.into()), skip_existing: true });
    let csv = "tenant,extension,name,email,password\nacme,200,Other,,short\nacme,300,New,,\n";
    assert_eq!(import(csv), Ok(Response::Imported { extensions: 1, skipped: 1 }));
    assert_eq!((bench.show("200-acme").name, bench.show("300-acme").name), ("Ada".into(), "New".into()));
    assert_eq!(import(csv), Ok(Response::Imported { extensions: 0, skipped: 2 }));
    let twice = "tenant,extension,name,email\nacme,301,A,\nacme,301,A,\nnone,302,A,\n";
    let Err(Refusal::BadRows(faults)) = import(twice) else { panic!() };
    assert_eq!(faults.iter().map(|fault| fault.row).collect::<Vec<_>>(), [3, 4]);
}
