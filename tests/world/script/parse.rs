//! Reads a script. Strict: what is not understood is an error that names its line.

use super::{Actor, Kind, Message, Script, Step, Way, Word};
use std::time::Duration;

type Parsed<T> = Result<T, String>;

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The first line that is not understood, and why.
    pub(crate) fn read(text: &str) -> Parsed<Self> {
        let mut script = Self { shards: 1, ..Self::default() };
        for (number, line) in (1..).zip(text.lines()) {
            let words = words(line).map_err(|what| format!("line {number}: {what}"))?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            script.line(number, &words).map_err(|what| format!("line {number}: {what}: {}", line.trim()))?;
        }
        Ok(script)
    }

    fn line(&mut self, number: usize, words: &[&str]) -> Parsed<()> {
        let step = match words {
            [] => return Ok(()),
            ["shards", count] if self.phones.is_empty() => {
                self.shards = number_of(count)?;
                return if (1..=8).contains(&self.shards) { Ok(()) } else { Err("1 to 8 shards".into()) };
            }
            ["phone", name, login, password, options @ ..] => {
                return self.phone(name, login, password, options);
            }
            ["at", time] => Step::At(duration(time)?),
            ["wait", time] => Step::Wait(duration(time)?),
            ["lose", "next", rest @ ..] => Step::Next { doubled: false, way: self.way(rest)? },
            ["double", "next", rest @ ..] => Step::Next { doubled: true, way: self.way(rest)? },
            ["net", "break", name, "tcp"] => Step::Break(self.streaming(name)?),
            ["net", "close", name, "tcp"] => Step::Close(self.streaming(name)?),
            ["net", "move", name, to] => {
                let to = to.parse().map_err(|_| format!("{to} is no address"))?;
                Step::Move(self.without_connection(name)?, to)
            }
            ["store", "fails"] => Step::StoreFails(true),
            ["store", "works"] => Step::StoreFails(false),
            ["check", "devices", login, count] => Step::Devices((*login).into(), number_of(count)?),
            ["check", "bound", login, count] => Step::Bound((*login).into(), number_of(count)?),
            [name, "<", "nothing", time] => Step::Nothing(self.find(name)?, duration(time)?),
            [name, ">", kind, rest @ ..] => {
                let message = self.message(kind, rest)?;
                if let Some(word) = message.words.iter().find(|word| !may_be_sent(word)) {
                    return Err(format!("{word:?} cannot be sent"));
                }
                Step::Send(self.find(name)?, message)
            }
            [name, "<", kind, rest @ ..] => {
                let message = self.message(kind, rest)?;
                if let Some(word) = message.words.iter().find(|word| !may_be_expected(word)) {
                    return Err(format!("{word:?} cannot be expected"));
                }
                Step::Expect(self.find(name)?, message)
            }
            _ => return Err("not understood".into()),
        };
        self.steps.push((number, step));
        Ok(())
    }

    fn phone(&mut self, name: &str, login: &str, password: &str, options: &[&str]) -> Parsed<()> {
        if self.find(name).is_ok() {
            return Err(format!("a second phone {name}"));
        }
        let mut actor =
            Actor { name: name.into(), login: login.into(), password: password.into(), ..Actor::default() };
        for option in options {
            match *option {
                "tcp" => actor.tcp = true,
                "bare" => actor.bare = true,
                "nat" => actor.nat = true,
                "stranger" => actor.stranger = true,
                other => return Err(format!("no such option {other}")),
            }
        }
        self.phones.push(actor);
        Ok(())
    }

    fn find(&self, name: &str) -> Parsed<usize> {
        let found = self.phones.iter().position(|phone| phone.name == name);
        found.ok_or_else(|| format!("no phone {name}"))
    }

    fn streaming(&self, name: &str) -> Parsed<usize> {
        let at = self.find(name)?;
        if self.phones[at].tcp { Ok(at) } else { Err(format!("{name} has no connection")) }
    }

    fn without_connection(&self, name: &str) -> Parsed<usize> {
        let at = self.find(name)?;
        if self.phones[at].tcp { Err(format!("{name} has a connection")) } else { Ok(at) }
    }

    fn way(&self, words: &[&str]) -> Parsed<Option<(Way, usize)>> {
        match words {
            [] => Ok(None),
            ["to", name] => Ok(Some((Way::To, self.find(name)?))),
            ["from", name] => Ok(Some((Way::From, self.find(name)?))),
            _ => Err("not understood".into()),
        }
    }

    fn message(&self, kind: &str, words: &[&str]) -> Parsed<Message> {
        let is_method = |word: &str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        let (kind, words) = match (kind.parse::<u16>(), words) {
            (Ok(code @ 100..=699), [method, rest @ ..]) if is_method(method) => {
                (Kind::Response(code, Some((*method).to_owned())), rest)
            }
            (Ok(code @ 100..=699), rest) => (Kind::Response(code, None), rest),
            (_, rest) if is_method(kind) => (Kind::Request(kind.to_owned()), rest),
            _ => return Err(format!("{kind} is no method and no status")),
        };
        let words = words.iter().map(|word| self.word(word)).collect::<Parsed<_>>()?;
        Ok(Message { kind, words })
    }

    fn word(&self, word: &str) -> Parsed<Word> {
        Ok(match word {
            "+auth" => Word::Auth { wrong: false },
            "+auth=wrong" => Word::Auth { wrong: true },
            "+sdp" => Word::Sdp,
            "-sdp" => Word::NoSdp,
            "stale" => Word::Stale,
            "again" => Word::Again,
            "contact=*" => Word::ContactStar,
            "contact=none" => Word::ContactNone,
            _ => match (word.split_once(['=', '~']), word.strip_prefix('"')) {
                (_, Some(reason)) => Word::Reason(reason.to_owned()),
                (Some(("expires", secs)), _) if word.contains('~') => Word::ExpiresAbout(number_of(secs)?),
                (Some(("expires", secs)), _) => Word::Expires(number_of(secs)?),
                (Some(("contacts", count)), _) => Word::Contacts(number_of(count)?),
                (Some(("to", whom)), _) => match self.find(whom) {
                    Ok(at) => Word::To(self.phones[at].login.clone()),
                    Err(_) if whom.starts_with(|c: char| c.is_ascii_digit()) => Word::To(whom.to_owned()),
                    Err(what) => return Err(what),
                },
                (Some(("call", whose)), _) => Word::Call(self.find(whose)?),
                (None, _) if is_field(word, '+') => Word::Has(word[1..].to_owned()),
                (None, _) if is_field(word, '-') => Word::HasNot(word[1..].to_owned()),
                _ => return Err(format!("{word} is not understood")),
            },
        })
    }
}

fn may_be_sent(word: &Word) -> bool {
    use Word as W;
    matches!(
        word,
        W::To(_)
            | W::Expires(_)
            | W::ContactStar
            | W::ContactNone
            | W::Auth { .. }
            | W::Sdp
            | W::Again
            | W::Call(_)
    )
}

fn may_be_expected(word: &Word) -> bool {
    use Word as W;
    !may_be_sent(word) || matches!(word, W::Expires(_) | W::Sdp | W::Again)
}

fn is_field(word: &str, sign: char) -> bool {
    word.strip_prefix(sign).is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    })
}

/// The words of a line up to its comment. A quoted text is one word and keeps its first quote.
fn words(line: &str) -> Parsed<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let end = match rest.strip_prefix('"') {
            Some(inside) => 1 + inside.find('"').ok_or("a quote is not closed")?,
            None => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start_matches('"').trim_start();
    }
    Ok(words)
}

fn number_of<T: std::str::FromStr>(text: &str) -> Parsed<T> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn duration(text: &str) -> Parsed<Duration> {
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(ms), _) => Ok(Duration::from_millis(number_of(ms)?)),
        (None, Some(secs)) => Ok(Duration::from_secs(number_of(secs)?)),
        _ => Err(format!("{text} is no duration")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_an_error_with_its_line() {
        let start = "shards 2\nphone alice 200-acme Right\nphone t 201-acme Right tcp # comment\n";
        for (line, error) in [
            ("shards 1", "not understood"),
            ("phone alice 200-acme x", "a second phone alice"),
            ("phone bob 200-acme x ipx", "no such option ipx"),
            ("carol > REGISTER", "no phone carol"),
            ("alice > register", "register is no method and no status"),
            ("alice > 99", "99 is no method and no status"),
            ("alice > REGISTER expires=soon", "soon is no number"),
            ("alice > REGISTER expires~60", "ExpiresAbout(60) cannot be sent"),
            ("alice < REGISTER +auth", "Auth { wrong: false } cannot be expected"),
            ("alice > INVITE to=dave", "no phone dave"),
            ("alice > INVITE +SDP", "+SDP is not understood"),
            ("alice ? INVITE", "not understood"),
            ("alice < nothing 5", "5 is no duration"),
            ("net break alice tcp", "alice has no connection"),
            ("lose next at alice", "not understood"),
            ("alice < 403 \"Account", "a quote is not closed"),
        ] {
            let found = Script::read(&format!("{start}{line}")).unwrap_err();
            assert!(found.starts_with(&format!("line 4: {error}")), "{line}: {found}");
        }
    }

    #[test]
    fn lines_are_read() {
        let text =
            "phone a 200-acme x\n\n  a < 403 INVITE \"Account Locked\" +retry-after -sdp # why\nat 5s\n";
        let script = Script::read(text).unwrap();
        let words =
            vec![Word::Reason("Account Locked".to_owned()), Word::Has("retry-after".to_owned()), Word::NoSdp];
        let message = Message { kind: Kind::Response(403, Some("INVITE".to_owned())), words };
        let steps = [(3, Step::Expect(0, message)), (4, Step::At(Duration::from_secs(5)))];
        assert_eq!((script.shards, &script.steps[..]), (1, &steps[..]));
    }
}
