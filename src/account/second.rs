//! Two-step verification: codes of an authenticator app, codes by mail or SMS, recovery codes (PRODUCT §2).
//!
//! | code | good | and then |
//! |------|------|----------|
//! | of the app (RFC 6238) | in its step of 30 s, the one before and the one after | it and all before it are used |
//! | by mail | until its end | used |
//! | by SMS ([`Mobile`]) | until its end, of the number that it was sent to | used |
//! | recovery | always | used |
//!
//! A code that was used is refused. All that is decided here changes the [`Portal`] that was asked; who
//! asked writes it, and with it that the code is used.

use super::portal::{CodeHash, Enrolling, MailedCode, Portal, SecondFactor, Totp};
use super::{LoginName, Mobile};
use crate::base::keyed::keyed;
use crate::base::limit;
use crate::base::private::Secret;
use crate::base::rng::Rng;
use crate::base::time::Wall;
use std::fmt::Write as _;
use std::time::Duration;
use subtle::ConstantTimeEq;
use totp_rs::Builder;

/// How long a code by mail is good.
pub const MAILED_FOR: Duration = Duration::from_secs(10 * 60);

/// How soon another one may be had.
pub const MAILED_AGAIN: Duration = Duration::from_secs(60);

/// Seconds of a step.
const STEP_S: u64 = 30;

/// Digits of a code by mail.
const MAILED_DIGITS: usize = 6;

/// Characters of a recovery code: 60 bits.
const RECOVERY_CHARS: usize = 12;

/// Characters that nobody confuses.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The secret that an authenticator app shares: 160 random bits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TotpSecret(Secret<[u8; 20]>);

/// How a code was good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Used {
    /// As one of the app.
    Totp,
    /// As the one that was mailed.
    Mailed,
    /// As the one that was sent by SMS.
    Texted,
    /// As a recovery code.
    Recovery,
}

impl Used {
    /// What it is called where a sign-in names what may be shown.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Mailed => "mail",
            Self::Texted => "sms",
            Self::Recovery => "recovery",
        }
    }
}

impl TotpSecret {
    /// A new one.
    #[must_use]
    pub fn mint(rng: &mut Rng) -> Self {
        let mut bytes = [0; 20];
        rng.fill(&mut bytes);
        Self(Secret::new(bytes))
    }

    /// The one with these bytes; `None` if there are not 20.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        Some(Self(Secret::new(bytes.try_into().ok()?)))
    }

    /// Its bytes, for whoever seals them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 20] {
        self.0.expose()
    }

    /// As people type it into an app that cannot read a picture.
    #[must_use]
    pub fn base32(&self) -> Secret<String> {
        Secret::new(totp_rs::Secret::new_stack(*self.expose()).to_base32())
    }

    /// As apps read it from a picture: `otpauth://totp/ISSUER:LOGIN?…`.
    #[must_use]
    pub fn uri(&self, issuer: &str, login: &LoginName) -> Secret<String> {
        // A colon ends the issuer, however it is escaped.
        let issuer = escaped(&issuer.replace(':', " "));
        let secret = self.base32();
        let uri = format!("otpauth://totp/{issuer}:{login}?secret={}&issuer={issuer}", secret.expose());
        Secret::new(uri)
    }

    /// The step in which a code is good, if it is later than `last` and not more than one away from now.
    #[must_use]
    pub fn step_of(&self, code: &str, last: u64, now: Wall) -> Option<u64> {
        let step = now.as_secs() / STEP_S;
        let app = Builder::new().with_skew(0).with_secret(totp_rs::Secret::new_stack(*self.expose()));
        let app = app.build().ok()?;
        // Every step is looked at, whichever is right.
        let steps = [step.saturating_sub(1), step, step.saturating_add(1)];
        let good = steps.map(|step| app.check(code, step.saturating_mul(STEP_S)).is_some() && step > last);
        steps.into_iter().zip(good).find_map(|(step, good)| good.then_some(step))
    }

    /// The code of an instant, as an app shows it.
    #[must_use]
    pub fn code(&self, at: Wall) -> String {
        let app = Builder::new().with_secret(totp_rs::Secret::new_stack(*self.expose())).build();
        app.map(|app| app.generate(at.as_secs()).to_string()).unwrap_or_default()
    }
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

impl CodeHash {
    /// The hash of a code of this person, in its one form.
    #[must_use]
    pub fn of(key: &Secret<[u8; 32]>, login: &LoginName, code: &str) -> Self {
        Self(keyed(key, &[b"code", login.as_str().as_bytes(), plain(code).expose().as_bytes()]))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A code as it is compared: without what people put between its parts, in lower case.
fn plain(code: &str) -> Secret<String> {
    Secret::new(code.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect())
}

/// A new code for a mail.
#[must_use]
pub fn mint_mailed(rng: &mut Rng) -> Secret<String> {
    Secret::new((0..MAILED_DIGITS).map(|_| char::from(b'0' + (rng.below(10) as u8))).collect())
}

/// New recovery codes, `abcd-efgh-ijkm` each.
#[must_use]
pub fn mint_recovery(rng: &mut Rng) -> Vec<Secret<String>> {
    let code = |rng: &mut Rng| {
        (0..RECOVERY_CHARS).fold(String::new(), |mut code, at| {
            if at > 0 && at % 4 == 0 {
                code.push('-');
            }
            code.push(char::from(ALPHABET[(rng.bits() & 31) as usize]));
            code
        })
    };
    (0..limit::RECOVERY_CODES).map(|_| Secret::new(code(rng))).collect()
}

impl Portal {
    /// Uses a code, if it is good; then it is not any more. `mobile` are this person's codes by SMS, `secret`
    /// is the one of the app, out of its seal.
    pub fn use_code(
        &mut self,
        mobile: Option<&mut Mobile>,
        secret: Option<&TotpSecret>,
        hash: CodeHash,
        code: &str,
        now: Wall,
    ) -> Option<Used> {
        let second = self.second.as_mut().filter(|second| second.since.is_some())?;
        let digits = plain(code);
        if let (Some(app), Some(secret)) = (&mut second.totp, secret)
            && let Some(step) = secret.step_of(digits.expose(), app.last_step, now)
        {
            app.last_step = step;
            return Some(Used::Totp);
        }
        if second.use_mailed(hash, now) {
            return Some(Used::Mailed);
        }
        if mobile.is_some_and(|mobile| mobile.use_code(hash, now)) {
            return Some(Used::Texted);
        }
        let at = self.recovery.iter().position(|known| known.is(&hash))?;
        self.recovery.remove(at);
        Some(Used::Recovery)
    }

    /// Whether a code shows that its person has what is being set up; then it is turned on.
    pub fn confirm(
        &mut self,
        mobile: Option<&mut Mobile>,
        secret: Option<&TotpSecret>,
        hash: CodeHash,
        code: &str,
        now: Wall,
    ) -> bool {
        let Some(second) = &mut self.second else { return false };
        let good = match &second.enrolling {
            None => false,
            Some(Enrolling::Mail) => second.use_mailed(hash, now),
            Some(Enrolling::Sms(number)) => mobile.is_some_and(|mobile| mobile.confirm(number, hash, now)),
            Some(Enrolling::Totp(sealed)) => {
                let step = secret.and_then(|secret| secret.step_of(plain(code).expose(), 0, now));
                let totp = step.map(|last_step| Totp { sealed: sealed.clone(), last_step });
                let good = totp.is_some();
                second.totp = totp.or_else(|| second.totp.take());
                good
            }
        };
        if good {
            second.by_mail |= second.enrolling == Some(Enrolling::Mail);
            second.enrolling = None;
            second.since = second.since.or(Some(now));
        }
        good
    }
}

impl SecondFactor {
    /// A code was mailed.
    ///
    /// # Errors
    /// How long it must be waited, if one was just before.
    pub fn mail(&mut self, hash: CodeHash, now: Wall) -> Result<(), Duration> {
        if let Some(before) = &self.mailed {
            let again = before.until - MAILED_FOR + MAILED_AGAIN;
            let wait = again.since(now).min(MAILED_AGAIN);
            if !wait.is_zero() {
                return Err(wait);
            }
        }
        self.mailed = Some(MailedCode { hash, until: now + MAILED_FOR });
        Ok(())
    }

    fn use_mailed(&mut self, hash: CodeHash, now: Wall) -> bool {
        // A clock that was set back makes no code last longer.
        let good = |mailed: &MailedCode| {
            mailed.hash.is(&hash) && mailed.until > now && mailed.until.since(now) <= MAILED_FOR
        };
        let good = self.mailed.as_ref().is_some_and(good);
        if good {
            self.mailed = None;
        }
        good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, prop_assume, proptest};

    const KEY: Secret<[u8; 32]> = Secret::new([7; 32]);
    const NOW: Wall = Wall::from_secs(1_800_000_010);

    fn login() -> LoginName {
        LoginName::parse("201-acme").unwrap()
    }

    fn secret() -> TotpSecret {
        TotpSecret::mint(&mut Rng::from_number(1))
    }

    fn with_app() -> Portal {
        let totp = Totp { sealed: Vec::new(), last_step: 0 };
        let second = SecondFactor { since: Some(NOW), totp: Some(totp), ..SecondFactor::default() };
        Portal { second: Some(second), ..Portal::default() }
    }

    fn use_code(portal: &mut Portal, code: &str, now: Wall) -> Option<Used> {
        portal.use_code(None, Some(&secret()), CodeHash::of(&KEY, &login(), code), code, now)
    }

    /// RFC 6238, appendix B: the last six of eight digits.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        let secret = TotpSecret::of(b"12345678901234567890").unwrap();
        for (at, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(secret.code(Wall::from_secs(at)), code, "{at}");
            assert_eq!(secret.step_of(code, 0, Wall::from_secs(at)), Some(at / 30));
        }
        assert!(TotpSecret::of(b"short").is_none());
    }

    #[test]
    fn a_code_is_good_one_step_before_and_after_and_no_more() {
        let code = secret().code(NOW);
        for (away_s, good) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            let now = Wall::from_secs(NOW.as_secs().checked_add_signed(away_s).unwrap());
            assert_eq!(secret().step_of(&code, 0, now).is_some(), good, "{away_s}");
        }
    }

    #[test]
    fn a_step_is_good_once() {
        let mut portal = with_app();
        let code = secret().code(NOW);
        assert_eq!(use_code(&mut portal, &format!(" {} {} ", &code[..3], &code[3..]), NOW), Some(Used::Totp));
        assert_eq!(use_code(&mut portal, &code, NOW), None);
        let before = secret().code(NOW - Duration::from_secs(30));
        assert_eq!(use_code(&mut portal, &before, NOW), None, "one from before it either");
        let after = secret().code(NOW + Duration::from_secs(30));
        assert_eq!(use_code(&mut portal, &after, NOW), Some(Used::Totp));
    }

    #[test]
    fn a_recovery_code_is_good_once_however_it_is_typed() {
        let mut portal = with_app();
        let codes = mint_recovery(&mut Rng::from_number(2));
        assert_eq!(codes.len(), limit::RECOVERY_CODES);
        portal.recovery = codes.iter().map(|code| CodeHash::of(&KEY, &login(), code.expose())).collect();
        let code = codes[3].expose();
        assert_eq!((code.len(), code.matches('-').count()), (14, 2));
        assert_eq!(use_code(&mut portal, &code.replace('-', " ").to_uppercase(), NOW), Some(Used::Recovery));
        assert_eq!(use_code(&mut portal, code, NOW), None);
        assert_eq!(portal.recovery.len(), limit::RECOVERY_CODES - 1);
        let other = LoginName::parse("202-acme").unwrap();
        let hash = CodeHash::of(&KEY, &other, codes[4].expose());
        assert_eq!(portal.use_code(None, None, hash, codes[4].expose(), NOW), None, "another person's");
    }

    #[test]
    fn a_mailed_code_is_good_once_for_ten_minutes_and_another_may_be_had_after_one() {
        let code = mint_mailed(&mut Rng::from_number(3));
        let hash = CodeHash::of(&KEY, &login(), code.expose());
        let at = |seconds: u64| NOW + Duration::from_secs(seconds);
        let mailed = || {
            let mut portal = with_app();
            assert_eq!(portal.second.as_mut().unwrap().mail(hash, NOW), Ok(()));
            portal
        };
        for (now, used) in [
            (at(0), Some(Used::Mailed)),
            (at(599), Some(Used::Mailed)),
            (at(600), None),
            (NOW - Duration::from_secs(1), None),
        ] {
            assert_eq!(use_code(&mut mailed(), code.expose(), now), used);
        }
        let mut portal = mailed();
        assert_eq!(use_code(&mut portal, code.expose(), NOW), Some(Used::Mailed));
        assert_eq!(use_code(&mut portal, code.expose(), NOW), None);
        let mut again = mailed();
        let again = again.second.as_mut().unwrap();
        assert_eq!(again.mail(hash, at(10)), Err(Duration::from_secs(50)));
        assert_eq!(again.mail(hash, at(60)), Ok(()));
        assert_eq!(
            again.mail(hash, NOW - Duration::from_secs(9_999)),
            Err(MAILED_AGAIN),
            "no longer than that"
        );
    }

    #[test]
    fn what_is_being_set_up_counts_once_it_is_confirmed() {
        let mut portal = Portal::default();
        let code = secret().code(NOW);
        let hash = |code: &str| CodeHash::of(&KEY, &login(), code);
        assert!(!portal.confirm(None, Some(&secret()), hash(&code), &code, NOW), "nothing is set up");
        let enrolling = Some(Enrolling::Totp(vec![1]));
        portal.second = Some(SecondFactor { enrolling, ..SecondFactor::default() });
        assert!(!portal.needs_second());
        assert_eq!(use_code(&mut portal, &code, NOW), None);
        assert!(!portal.confirm(None, Some(&secret()), hash("000000"), "000000", NOW));
        assert!(portal.confirm(None, Some(&secret()), hash(&code), &code, NOW));
        assert!(portal.needs_second());
        assert_eq!(use_code(&mut portal, &code, NOW), None, "it was used to confirm");
        // Another app does not take the place of the first before it is confirmed.
        portal.second.as_mut().unwrap().enrolling = Some(Enrolling::Totp(vec![2]));
        let later = NOW + Duration::from_secs(90);
        assert!(!portal.confirm(None, Some(&secret()), hash("000000"), "000000", later));
        assert_eq!(portal.second.as_ref().unwrap().totp.as_ref().unwrap().sealed, [1]);
        assert_eq!(use_code(&mut portal, &secret().code(later), later), Some(Used::Totp));
    }

    #[test]
    fn the_uri_of_a_secret_is_one_that_apps_read() {
        let secret = TotpSecret::of(b"12345678901234567890").unwrap();
        assert_eq!(
            secret.uri("Acme: Ltd & Söhne", &login()).expose(),
            "otpauth://totp/Acme%20%20Ltd%20%26%20S%C3%B6hne:201-acme\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme%20%20Ltd%20%26%20S%C3%B6hne"
        );
        assert!(!format!("{secret:?}").contains("49"));
    }

    proptest! {
        #[test]
        fn no_text_is_a_good_code_by_chance_or_panics(code in any::<String>()) {
            let mut portal = with_app();
            prop_assume!(plain(&code).expose().len() != 6);
            prop_assert_eq!(use_code(&mut portal, &code, NOW), None);
        }
    }
}
