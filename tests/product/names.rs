//! PRODUCT §2, "Login names people type".

use super::place::{Place, rings};
use crate::support::server::password;
use serde_json::json;

/// Numbers that no other test has: the main one, and a direct one, each without its country's code.
fn numbers(place: &Place) -> [String; 2] {
    let number = 1000 + place.tenant.trim_start_matches('t').parse::<u32>().unwrap();
    [format!("778555{number}"), format!("236555{number}")]
}

/// A tenant with a main number, and its extension 202 with a direct one.
fn numbered() -> (Place, [String; 2]) {
    let place = Place::with(&["201", "202"]);
    let [main, direct] = numbers(&place);
    place.change(&json!({ "main_number": format!("+1{main}") }));
    place.set("PATCH", "202", "", &json!({ "add_numbers": [format!("+1{direct}")] })).is(200);
    (place, [main, direct])
}

/// The usual notations of a number of ten digits.
fn notations(number: &str) -> [String; 5] {
    let (area, rest) = number.split_at(3);
    let (three, four) = rest.split_at(3);
    [
        format!("+1 {area} {three} {four}"),
        format!("({area}) {three}-{four}"),
        number.to_owned(),
        format!("{area}-{three}-{four}"),
        format!("1.{area}.{three}.{four}"),
    ]
}

/// > **Login names people type**: `201-wickedsprockets`; a direct number in any usual notation (`+1 604 555 0199`,
/// > `(604) 555-0199`, `6045550199`); main number + extension.
#[test]
fn login_names_people_type() {
    let (place, [main, direct]) = numbered();
    let mut typed =
        vec![place.login("202"), place.login("202").to_uppercase(), format!(" {} ", place.login("202"))];
    typed.extend(notations(&direct));
    for main in notations(&main) {
        typed.extend([format!("{main} x202"), format!("{main} ext. 202")]);
    }
    for (last, typed) in (100..).zip(&typed) {
        let entered = place.browser_at(last).try_in(typed, &password("202"));
        assert_eq!(entered.is(201)["login"], json!(place.login("202")), "{typed}");
    }
    // On the wire a phone signs in by the login name, and dials the number in those notations.
    let mut phone = place.phone("202").registered();
    let mut caller = place.phone("201").registered();
    for dialled in notations(&direct).iter().chain([&place.login("202"), &"202".to_owned()]) {
        if !dialled.contains([' ', '(']) {
            rings(&mut caller, &mut phone, dialled);
        }
    }
}

/// > All normalise to one identity.
///
/// The failures of a direct number, in all its notations, are counted by the number, whoever has it: else they
/// would tell whose it is.
#[test]
fn all_normalise_to_one_identity() {
    let (place, [main, direct]) = numbered();
    let names = [
        place.login("202"),
        format!("{main} x202"),
        place.login("202").to_uppercase(),
        format!("+1 {main} ext. 202"),
        format!(" {} ", place.login("202")),
    ];
    let numbers = notations(&direct);
    for (first, typed) in [(100, &names), (120, &numbers)] {
        for (last, typed) in (first..).zip(&typed[..4]) {
            place.browser_at(last).try_in(typed, "NotMyPassword!1").problem(401);
        }
        place.browser_at(first + 4).try_in(&typed[4], "NotMyPassword!1").problem(403);
        for (last, typed) in (first + 10..).zip(typed) {
            place.browser_at(last).try_in(typed, &password("202")).problem(403);
        }
        let locks = place.items("202", "/locks");
        assert_eq!(
            (locks.len(), &locks[0]["extension"], &locks[0]["scope"]),
            (1, &json!("202"), &json!("portal"))
        );
        place.tell("DELETE", "202", "/locks");
    }
    place.phone("202").registered();
}
