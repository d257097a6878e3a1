//! PRODUCT §2, "Forgot password".

use super::place::{NEW, OTHER, Place, from_now};
use serde_json::{Value, json};

const FORGOT: &str = "/api/v1/forgot";

/// A main number that no other test has.
fn main_number(place: &Place) -> String {
    let number = 1000 + place.tenant.trim_start_matches('t').parse::<u32>().unwrap();
    format!("+1 604 555 {number}")
}

/// > **Forgot password**: asks for e-mail or main number + extension number or login name;
#[test]
fn asks_for_e_mail_or_main_number_and_extension_number_or_login_name() {
    let place = Place::with(&["201", "202", "203", "204"]);
    let main = main_number(&place);
    place.change(&json!({ "main_number": main }));
    for (number, asked) in [
        ("201", json!({ "identity": place.email("201") })),
        ("202", json!({ "main_number": main, "extension": "202" })),
        ("203", json!({ "identity": format!("{main} x203") })),
        ("204", json!({ "identity": place.login("204") })),
    ] {
        let mut phone = place.phone(number).registered();
        assert_eq!(place.post(FORGOT, &asked).status, 202, "{asked}");
        assert_eq!(place.reset(&place.token(number, "reset", 1), NEW).status, 200, "{asked}");
        assert_eq!(phone.register().status(), 401, "{asked}");
        place.phone(number).with_password(NEW).registered();
    }
    assert_eq!(place.nobody().get("/forgot").status, 200, "the page that asks");
}

/// > always answers the same whether or not it matched;
#[test]
fn always_answers_the_same_whether_or_not_it_matched() {
    let place = Place::with(&["201", "202", "203"]);
    let main = main_number(&place);
    place.change(&json!({ "main_number": main }));
    place.set("PATCH", "202", "", &json!({ "email": "" })).is(200);
    place.tell("POST", "203", "/disable");
    let known = place.post(FORGOT, &json!({ "identity": place.login("201") }));
    assert_eq!(known.status, 202);
    for asked in [
        json!({ "identity": place.login("202") }),
        json!({ "identity": place.login("203") }),
        json!({ "identity": place.login("999") }),
        json!({ "identity": "201-nobody" }),
        json!({ "identity": place.email("201") }),
        json!({ "identity": "nobody@example.test" }),
        json!({ "identity": "" }),
        json!({ "main_number": main, "extension": "201" }),
        json!({ "main_number": main, "extension": "999" }),
        json!({ "main_number": "+1 604 555 9999", "extension": "201" }),
    ] {
        let other = place.post(FORGOT, &asked);
        assert_eq!(
            (other.status, &other.head, &other.body),
            (known.status, &known.head, &known.body),
            "{asked}"
        );
    }
}

/// > mails a link that works once and for 1 hour.
#[test]
fn mails_a_link_that_works_once_and_for_1_hour() {
    let place = Place::with(&["201"]);
    let mut phone = place.phone("201").registered();
    place.post(FORGOT, &json!({ "identity": place.login("201") }));
    let token = place.token("201", "reset", 1);
    let mail = place.mail("201", "/reset#", 1);
    let until = mail.split_once("works once, until ").unwrap().1;
    let until = from_now(until.split_once(" UTC").unwrap().0);
    assert!((3600 - 60..=3600).contains(&until), "{mail}");
    assert_eq!(phone.register().status(), 200, "until it is used nothing changes");
    assert_eq!(place.reset(&token, NEW).status, 200);
    assert_eq!(place.reset(&token, OTHER).faults(404), []);
    assert_eq!(phone.register().status(), 401);
    place.phone("201").with_password(NEW).registered();
}

/// > No e-mail on file: the answer tells everyone to contact the administrator in that case.
#[test]
fn no_e_mail_on_file_the_answer_tells_everyone_to_contact_the_administrator() {
    let place = Place::with(&["201", "202"]);
    place.set("PATCH", "202", "", &json!({ "email": "" })).is(200);
    for number in ["201", "202", "999"] {
        let told = place.post(FORGOT, &json!({ "identity": place.login(number) })).is(202);
        let told = told["told"].as_str().unwrap();
        assert!(told.contains("e-mail on file") && told.contains("ask your administrator"), "{told}");
    }
    place.mail("201", "/reset#", 1);
    place.phone("202").registered();
}

/// > A tenant may also require a security question (answers normalised and hashed).
#[test]
fn a_tenant_may_also_require_a_security_question_answers_normalised_and_hashed() {
    let place = Place::with(&["201", "202"]);
    let browser = place.browser("201");
    let question = json!({ "question": "First pet?", "answer": "  R\u{e9}x  the\tDoggo!" });
    assert_eq!(browser.ask("PUT", "/api/v1/me/question", Some(&question)).status, 200);
    let ask = |answer: Option<&str>, token: &str| {
        let mut body = json!({ "token": token, "password": NEW });
        if let Some(answer) = answer {
            body["answer"] = answer.into();
        }
        place.post("/api/v1/reset", &body)
    };
    let view = |token: &str| place.post("/api/v1/reset/view", &json!({ "token": token })).is(200);
    // Only where the tenant requires it.
    let forgot = |number: &str| place.post(FORGOT, &json!({ "identity": place.login(number) }));
    forgot("202");
    let free = place.token("202", "reset", 1);
    assert_eq!((view(&free)["question"].clone(), ask(None, &free).status), (Value::Null, 200));

    place.change(&json!({ "question_required": true }));
    forgot("201");
    let token = place.token("201", "reset", 1);
    assert_eq!(view(&token)["question"], "First pet?");
    for wrong in [None, Some("Max")] {
        assert_eq!(
            ask(wrong, &token).faults(422),
            [("answer".to_owned(), "it is wrong, or missing".to_owned())]
        );
    }
    place.phone("201").registered();
    assert_eq!(ask(Some("rex THE doggo"), &token).status, 200);
    place.phone("201").with_password(NEW).registered();
    place.is_kept_nowhere("oggo");
}
