//! What the product promises of accounts, lockout, and devices (its sections 2 to 4), sentence by sentence: each
//! is shown to a running server, over the API or by command and on the wire of a phone.
//!
//! Every sentence has its test. The sentences of the table, in its order and without those that begin with an
//! ellipsis, are the whole text of the three sections. A test's own sentence stands above it, word for word. A row
//! with an ellipsis says where else a part of the sentence before it is shown: where time is moved by hand, since a
//! server that runs has no hours to wait.
//!
//! | sentence | file | test |
//! |----------|------|------|
//! | **Life cycle** `invite → pending → active`, plus `disabled`. | life_cycle | life_cycle_from_invite_to_pending_to_active_plus_disabled |
//! | A new extension is in *invite*. | life_cycle | a_new_extension_is_in_invite |
//! | Sending the invitation mail makes it *pending*; | life_cycle | sending_the_invitation_mail_makes_it_pending |
//! | the link works once and for 7 days (configurable), | life_cycle | the_link_works_once_and_for_7_days_configurable |
//! | after which it shows as *expired* and can be re-sent (the old link dies). | life_cycle | after_which_it_can_be_re_sent_and_the_old_link_dies |
//! | … after which it shows as *expired* and can be re-sent (the old link dies). | src/service/admin/tests/invite.rs | a_link_works_for_seven_days |
//! | Accepting it sets the password and makes it *active*. | life_cycle | accepting_it_sets_the_password_and_makes_it_active |
//! | An administrator can also set a password straight away, which makes it active. | life_cycle | an_administrator_can_also_set_a_password_straight_away_which_makes_it_active |
//! | *Disabled* (by an administrator, or because the tenant is suspended) keeps everything but refuses sign-in and rings nowhere. | life_cycle | disabled_keeps_everything_but_refuses_sign_in_and_rings_nowhere |
//! | Only *active* extensions register or receive calls. | life_cycle | only_active_extensions_register_or_receive_calls |
//! | **One password** opens the portal and the softphone. | password | one_password_opens_the_portal_and_the_softphone |
//! | Policy per tenant: `alphanumeric` (default: 8–32 characters with at least one letter, one digit and one special character) or `basic` (at least 8). | password | policy_per_tenant_alphanumeric_by_default_or_basic |
//! | Passwords that contain the login name, or that are among the commonest, are refused. | password | passwords_that_contain_the_login_name_or_are_among_the_commonest_are_refused |
//! | Each refusal names every rule that failed. | password | each_refusal_names_every_rule_that_failed |
//! | Generated passwords (the "recycle" button) satisfy the policy, have at least 96 bits of entropy, are shown once, and are never mailed. | password | generated_passwords_satisfy_the_policy_are_shown_once_and_are_never_mailed |
//! | … have at least 96 bits of entropy | src/account/password.rs | generated_ones_have_at_least_96_bits |
//! | A password change or reset ends every other login: other portal sessions and all SIP bindings made with the old password, at once | password | a_password_change_or_reset_ends_every_other_login_at_once |
//! | (the session that made the change stays signed in). | password | the_session_that_made_the_change_stays_signed_in |
//! | It does not reset the activations. | password | it_does_not_reset_the_activations |
//! | **PIN** for phone access (6–10 digits; no run like 123456, no repetition like 111111). | pin | a_pin_has_6_to_10_digits_and_is_no_run_and_no_repetition |
//! | Set in the portal | pin | set_in_the_portal |
//! | The password cannot be changed by phone. | pin | the_password_cannot_be_changed_by_phone |
//! | **Forgot password**: asks for e-mail or main number + extension number or login name; | forgotten | asks_for_e_mail_or_main_number_and_extension_number_or_login_name |
//! | always answers the same whether or not it matched; | forgotten | always_answers_the_same_whether_or_not_it_matched |
//! | … always answers the same | src/service/admin/tests/faults.rs | the_same_work_is_done_for_known_and_unknown |
//! | mails a link that works once and for 1 hour. | forgotten | mails_a_link_that_works_once_and_for_1_hour |
//! | … and for 1 hour. | src/service/admin/tests/reset.rs | and_for_one_hour |
//! | No e-mail on file: the answer tells everyone to contact the administrator in that case. | forgotten | no_e_mail_on_file_the_answer_tells_everyone_to_contact_the_administrator |
//! | A tenant may also require a security question (answers normalised and hashed). | forgotten | a_tenant_may_also_require_a_security_question_answers_normalised_and_hashed |
//! | **Administrator's reset**: suggests a generated password, may be overridden; | reset | suggests_a_generated_password_which_may_be_overridden |
//! | or mails a set-password link. | reset | or_mails_a_set_password_link |
//! | A policy `random_password_by_mail` exists for tenants that insist on mailing one; it is off by default | reset | a_policy_random_password_by_mail_exists_and_is_off_by_default |
//! | and such a password must be changed at first sign-in. | reset | and_such_a_password_must_be_changed_at_first_sign_in |
//! | **Two-step verification**: TOTP with recovery codes, | second_step | two_step_verification_by_totp_with_recovery_codes |
//! | or a code by e-mail | second_step | or_a_code_by_e_mail |
//! | An administrator can clear another's secret. | second_step | an_administrator_can_clear_anothers_secret |
//! | The last tenant administrator is warned before turning it on, | second_step | the_last_tenant_administrator_is_warned_before_turning_it_on |
//! | and is given recovery codes. | second_step | and_is_given_recovery_codes |
//! | **Access keys**: key id + secret; | access_keys | an_access_key_is_a_key_id_and_a_secret |
//! | the secret is shown once and only its hash is kept; | access_keys | the_secret_is_shown_once_and_only_its_hash_is_kept |
//! | generate again to replace; | access_keys | generate_again_to_replace |
//! | used for the HTTP API. | access_keys | used_for_the_http_api |
//! | **Portal session**: 4 hours, sliding with each request; | sessions | a_portal_session_lasts_4_hours_sliding_with_each_request |
//! | … 4 hours, sliding with each request; | src/service/portal/tests/sessions.rs | a_session_lasts_four_hours_sliding_with_each_request_and_is_written_once_a_minute |
//! | sign-out ends it; | sessions | sign_out_ends_it |
//! | a list of sessions lets a user end the others. | sessions | a_list_of_sessions_lets_a_user_end_the_others |
//! | **Login names people type**: `201-wickedsprockets`; a direct number in any usual notation (`+1 604 555 0199`, `(604) 555-0199`, `6045550199`); main number + extension. | names | login_names_people_type |
//! | All normalise to one identity. | names | all_normalise_to_one_identity |
//! | A failed sign-in is a wrong secret for a well-formed attempt: portal password, SIP digest response, IVR PIN. | lockout | a_failed_sign_in_is_a_wrong_secret_for_a_well_formed_attempt |
//! | … IVR PIN. | src/service/portal/tests/pins.rs | five_wrong_pins_lock_phone_access_and_nothing_else_for_known_and_unknown_alike |
//! | Default: 5 failures on an identity within 15 minutes lock it for 15 minutes | lockout | by_default_5_failures_on_an_identity_within_15_minutes_lock_it_for_15_minutes |
//! | … within 15 minutes lock it for 15 minutes | tests/shard/passing.rs | by_default_5_failures_on_an_identity_within_15_minutes_lock_it_for_15_minutes |
//! | … within 15 minutes lock it for 15 minutes | src/service/portal/tests/locks.rs | five_failures_on_an_identity_lock_it_for_fifteen_minutes_and_then_right_and_wrong_get_the_same_answer |
//! | (`max_failures`, `window`, `duration` per tenant; 1 hour is common). | lockout | max_failures_window_and_duration_per_tenant |
//! | … `window` | src/lockout/tests.rs | failures_older_than_the_window_do_not_count |
//! | An administrator sees who is locked, since when, by which source and device, | lockout | an_administrator_sees_who_is_locked_since_when_by_which_source_and_device |
//! | and unlocks with one confirmation. | lockout | and_unlocks_with_one_confirmation |
//! | Not failures: a request without credentials, | lockout | not_failures_a_request_without_credentials |
//! | a stale nonce, | lockout | not_failures_a_stale_nonce |
//! | a retransmission of the same wrong answer; | lockout | not_failures_a_retransmission_of_the_same_wrong_answer |
//! | a phone that still uses the previous password counts once, | lockout | a_phone_that_still_uses_the_previous_password_counts_once |
//! | … a phone that still uses the previous password counts once, | tests/shard/passing.rs | a_phone_that_still_uses_the_previous_password_counts_once_for_30_days |
//! | and the portal says which phone it is. | lockout | and_the_portal_says_which_phone_it_is |
//! | While locked, right and wrong secrets get the same answer, | lockout | while_locked_right_and_wrong_secrets_get_the_same_answer |
//! | and the lock tells when it ends (`Retry-After`). | lockout | and_the_lock_tells_when_it_ends |
//! | **A lock must not be a weapon.** It refuses new sign-ins from anywhere; | weapon | a_lock_must_not_be_a_weapon_it_refuses_new_sign_ins_from_anywhere |
//! | a device that is already activated and signs in correctly over its known flow (the same known device key, | weapon | a_device_that_is_already_activated_by_its_known_device_key_is_not_touched_by_it |
//! | or the same flow), | weapon | or_by_the_same_flow |
//! | or a browser known by its device cookie, is not touched by it, | weapon | or_a_browser_known_by_its_device_cookie_is_not_touched_by_it |
//! | and calls keep ringing there. | weapon | and_calls_keep_ringing_there |
//! | A source that guesses at many identities is banned by address before any of them locks. | weapon | a_source_that_guesses_at_many_identities_is_banned_by_address_before_any_of_them_locks |
//! | Unknown identities behave exactly like known ones: same challenge, | weapon | unknown_identities_behave_exactly_like_known_ones_same_challenge |
//! | same timing, | weapon | same_timing |
//! | … same timing, | src/service/portal/tests/locks.rs | unknown_identities_behave_exactly_like_known_ones |
//! | same counting, same lock. | weapon | same_counting_same_lock |
//! | No enumeration. | weapon | no_enumeration |
//! | Locks of known identities survive a restart. | weapon | locks_of_known_identities_survive_a_restart |
//! | Each extension's licence allows **4 activated devices** (`max_devices` per tenant). | devices | each_extensions_licence_allows_4_activated_devices_max_devices_per_tenant |
//! | The first successful sign-in of a new device is an activation, written durably **before** the 200 OK. | devices | the_first_sign_in_of_a_new_device_is_an_activation_written_durably_before_the_200_ok |
//! | The 5th new device is refused: `403 Device Activation Limit Reached`, | devices | the_5th_new_device_is_refused_403_device_activation_limit_reached |
//! | and the portal shows the same words with the way out. | devices | and_the_portal_shows_the_same_words_with_the_way_out |
//! | A race of many new devices never yields a 5th. | devices | a_race_of_many_new_devices_never_yields_a_5th |
//! | Re-registration, reboot, new address, new transport, app update: same device, no new activation. | devices | re_registration_reboot_new_address_new_transport_app_update_same_device_no_new_activation |
//! | Expiry or un-REGISTER of a binding frees no activation. | devices | expiry_or_un_register_of_a_binding_frees_no_activation |
//! | … Expiry | tests/shard/passing.rs | expiry_of_a_binding_frees_no_activation |
//! | *Disable app* refuses the extension's devices, removes their bindings at once, and clears the activations. | app | disable_app_refuses_the_devices_removes_their_bindings_at_once_and_clears_the_activations |
//! | *Enable app* (e-mail + secure password, typed or generated) starts a new generation with up to 4 new devices | app | enable_app_starts_a_new_generation_with_up_to_4_new_devices |
//! | and mails the download links and the login name (never the password). | app | and_mails_the_download_links_and_the_login_name_never_the_password |
//! | Beyond that: a list of devices with name, model, first and last seen, address; | app | a_list_of_devices_with_name_model_first_and_last_seen_address |
//! | each can be renamed and revoked alone. | app | each_can_be_renamed_and_revoked_alone |
//! | Who is a device: the identity ladder in ARCHITECTURE.md. | identity | who_is_a_device_the_identity_ladder |
//! | … the identity ladder | src/licence/tests.rs | adoption_row_by_row |
//! | Two phones behind one NAT are two; | identity | two_phones_behind_one_nat_are_two |
//! | one phone behind a changing NAT is one. | identity | one_phone_behind_a_changing_nat_is_one |
//! | Renaming the extension changes the name shown to others and by its softphones (display name in calls, and in the portal). | identity | renaming_the_extension_changes_the_name_shown_to_others_and_by_its_softphones |
//! | Stations have their own credentials and do not count. | identity | stations_have_their_own_credentials_and_do_not_count |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

mod product {
    mod access_keys;
    mod app;
    mod devices;
    mod forgotten;
    mod identity;
    mod life_cycle;
    mod lockout;
    mod names;
    mod password;
    mod pin;
    mod place;
    mod reset;
    mod second_step;
    mod sessions;
    mod weapon;
}

use std::fs;
use std::path::Path;

/// A row of the table.
#[derive(Debug)]
struct Row {
    sentence: String,
    file: String,
    test: String,
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn table() -> Vec<Row> {
    let source = read("tests/product.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1);
    let cells = rows.map(|row| {
        let cells: Vec<_> =
            row.trim_end_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        <[String; 3]>::try_from(cells).unwrap_or_else(|cells| panic!("no row: {cells:?}"))
    });
    cells.map(|[sentence, file, test]| Row { sentence, file, test }).collect()
}

/// The tests of a file of this suite, in their order, each with the sentence above it.
fn quoted(file: &str) -> Vec<(String, String)> {
    let (mut found, mut sentence, mut is_test) = (Vec::new(), Vec::new(), false);
    for line in read(&format!("tests/product/{file}.rs")).lines() {
        if let Some(part) = line.strip_prefix("/// > ") {
            sentence.push(part.to_owned());
        } else if line == "#[test]" {
            is_test = true;
        } else if let Some(name) = line.strip_prefix("fn ") {
            let quote = std::mem::take(&mut sentence).join(" ");
            if std::mem::take(&mut is_test) {
                found.push((quote, name.split('(').next().unwrap().to_owned()));
            }
        }
    }
    found
}

/// Each row names a test that there is, and each test of the suite has its row, with its sentence, in the order
/// of the table.
#[test]
fn every_sentence_has_its_test() {
    let table = table();
    let own = |row: &&Row| !row.file.contains('/');
    let mut files: Vec<&str> = table.iter().filter(own).map(|row| row.file.as_str()).collect();
    files.dedup();
    let tests: Vec<_> = files.iter().flat_map(|file| quoted(file)).collect();
    let rows: Vec<_> = table.iter().filter(own).map(|row| (row.sentence.clone(), row.test.clone())).collect();
    for (row, test) in rows.iter().zip(&tests) {
        assert_eq!(row, test, "the table, and the test of the same place");
    }
    assert_eq!(rows.len(), tests.len());
    for row in table.iter().filter(|row| !own(row)) {
        assert!(read(&row.file).contains(&format!("fn {}(", row.test)), "{row:?}");
    }
    let all = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/product")).unwrap();
    assert_eq!(all.count(), files.len() + 1, "each file of the suite, and the place, is in the table");
}
