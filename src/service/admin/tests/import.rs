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
            "row 3, tenant: there is no tenant none",
            "row 4, tenant: \"ACME\": a tenant code has 2 to 32 characters, a-z and 0-9",
            "row 5, extension: \"3\": an extension number has 2 to 8 digits",
            "row 6, name: it is empty",
            "row 6, email: \"x\" is no e-mail address",
            "row 7, password: it needs at least 8 characters; it needs a digit; it needs a special character",
            "row 8, extension: 300-acme stands there twice",
            "row 9, extension: extension 200-acme exists already",
            "row 10: 2 fields, the header has 5",
            "row 11, tenant: there is no tenant none",
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
    assert_eq!(bench.import(&csv), Ok(Response::Imported { extensions: 2 }));
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
        ("", "row 1, tenant: the column is missing\nrow 1, extension: the column is missing\n"),
        ("tenant,extension,name,email,password,x\n", "row 1, x: no such column; there are tenant,extension,"),
        ("tenant,extension,name,email,password,name\n", "row 1, name: the column stands there twice\n"),
    ] {
        let told = bench.import(csv).unwrap_err().to_string();
        assert!(told.starts_with(faults), "{csv:?}: {told}");
    }
    assert_eq!(
        bench.import("tenant,extension,name,email,password\n"),
        Ok(Response::Imported { extensions: 0 })
    );
}

#[test]
fn many_rows_come_in_groups_and_lists_in_order() {
    let bench = Bench::with_extension();
    bench.done(add_tenant("beta"));
    let rows = (10_000..12_500).map(|n| format!("acme,{n},User {n},,Pw!{n}xyz\n"));
    let csv = "tenant,extension,name,email,password\n".to_owned() + &rows.collect::<String>();
    assert_eq!(bench.import(&csv), Ok(Response::Imported { extensions: 2_500 }));
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
    assert_eq!(bench.import(csv), Ok(Response::Imported { extensions: 2 }));
    let view = bench.show("300-acme");
    assert_eq!((view.role.as_str(), view.state.as_str(), view.devices), ("admin", "invite", 0));
    assert_eq!((bench.show("301-acme").role.as_str(), view.station), ("user", None));
    let told = bench.import("tenant,extension,name,email,role\nacme,302,Ada,,boss\n").unwrap_err();
    assert!(told.to_string().starts_with("row 2, role: \"boss\" is neither user nor admin"), "{told}");
}
