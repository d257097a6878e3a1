//! SIP text as the scripted phones see it: a small line reader and writer of the tests' own, which
//! shares nothing with the server's parser.
//!
//! Strict where the server writes (one `\r\n` per line, no folding, `Content-Length` exact), so
//! that what it sends is checked by being read.

use std::fmt::Write;

/// One message: its start line, its fields in order (names in lower case and long form), its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    /// Request line or status line.
    pub(crate) start: String,
    /// Fields in order.
    pub(crate) fields: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Text {
    /// A request without fields.
    pub(crate) fn request(method: &str, uri: &str) -> Self {
        Self { start: format!("{method} {uri} SIP/2.0"), ..Self::default() }
    }

    /// Reads a datagram.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("no end of the header")?;
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("no colon in {line:?}"))?;
            if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return Err(format!("a field is named {name:?}"));
            }
            fields.push((long(&name.to_ascii_lowercase()).to_owned(), value.trim().to_owned()));
        }
        let message = Self { start, fields, body: body.to_owned() };
        match message.field("content-length").map(str::parse::<usize>) {
            Some(Ok(length)) if body.len() == length => Ok(message),
            None if body.is_empty() => Ok(message),
            length => Err(format!("Content-Length {length:?} for a body of {}", body.len())),
        }
    }

    /// Writes it, `Content-Length` added.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.start);
        for (name, value) in &self.fields {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        let _ = write!(out, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        out.into_bytes()
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a session description.
    pub(crate) fn with_sdp(self, sdp: &str) -> Self {
        self.with_body("application/sdp", sdp)
    }

    /// Adds a body of this type.
    pub(crate) fn with_body(mut self, kind: &str, body: &str) -> Self {
        if !body.is_empty() {
            self.fields.push(("Content-Type".to_owned(), kind.to_owned()));
            body.clone_into(&mut self.body);
        }
        self
    }

    /// Whether it is a response.
    pub(crate) fn is_response(&self) -> bool {
        self.start.starts_with("SIP/2.0 ")
    }

    /// The method of a request; empty for a response.
    pub(crate) fn method(&self) -> &str {
        if self.is_response() { "" } else { self.start.split(' ').next().unwrap_or_default() }
    }

    /// The Request-URI.
    pub(crate) fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The status code of a response; 0 for a request.
    pub(crate) fn code(&self) -> u16 {
        if self.is_response() { self.uri().parse().unwrap_or(0) } else { 0 }
    }

    /// Every field of this name (lower case).
    pub(crate) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    /// The first field of this name (lower case).
    pub(crate) fn field<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.fields(name).next()
    }

    /// The first field of this name, or nothing.
    pub(crate) fn text<'a>(&'a self, name: &'a str) -> &'a str {
        self.field(name).unwrap_or_default()
    }

    /// The number and the method of CSeq.
    pub(crate) fn cseq(&self) -> (u32, &str) {
        let (number, method) = self.text("cseq").split_once(' ').unwrap_or_default();
        (number.parse().unwrap_or(0), method.trim())
    }

    /// The branch of the topmost Via.
    pub(crate) fn branch(&self) -> &str {
        param(self.text("via"), "branch").unwrap_or_default()
    }

    /// The tag of From or To.
    pub(crate) fn tag<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        param(self.text(name), "tag")
    }
}

/// A parameter of a field value; those inside `<>` and quotes are not the field's.
pub(crate) fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let outside = value.rfind('>').map_or(value, |end| &value[end + 1..]);
    outside.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The URI of a name-addr or addr-spec.
pub(crate) fn uri(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value.split(';').next().unwrap_or_default().trim(),
    }
}

/// Host and port of a SIP URI, without parameters.
pub(crate) fn host_port(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let rest = rest.split(['>', ';', '?']).next().unwrap_or_default();
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// The values of a list field, split at commas outside `<>` and quotes.
pub(crate) fn list(value: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut depth) = (Vec::new(), 0, false, 0);
    for (at, c) in value.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => depth += 1,
            '>' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(value[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Takes the first whole message off a connection's bytes, and line ends before it.
pub(crate) fn cut(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let blank = buffer.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    buffer.drain(..blank);
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let whole = end + length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0);
    (buffer.len() >= whole).then(|| buffer.drain(..whole).collect())
}

fn long(name: &str) -> &str {
    match name {
        "v" => "via",
        "f" => "from",
        "t" => "to",
        "i" => "call-id",
        "m" => "contact",
        "l" => "content-length",
        "c" => "content-type",
        "k" => "supported",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was_written() {
        let sent = Text::request("INVITE", "sip:202@192.0.2.1")
            .with("Via", "SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1")
            .with("t", "\"A, B\" <sip:202@h;x=1>;tag=abc")
            .with("CSeq", "7 INVITE")
            .with_sdp("v=0\r\n");
        let read = Text::read(&sent.write()).unwrap();
        assert_eq!((read.method(), read.uri(), read.code()), ("INVITE", "sip:202@192.0.2.1", 0));
        assert_eq!((read.branch(), read.tag("to"), read.cseq()), ("z9hG4bK1", Some("abc"), (7, "INVITE")));
        assert_eq!(
            (uri(read.text("to")), host_port("sip:a@10.0.0.1:9;x=1")),
            ("sip:202@h;x=1", "10.0.0.1:9")
        );
        assert_eq!(list("\"A, B\" <sip:a,b@h>;q=1, <sip:c@h>"), ["\"A, B\" <sip:a,b@h>;q=1", "<sip:c@h>"]);
        assert_eq!(read.body, "v=0\r\n");
        let mut stream = [b"\r\n", &sent.write()[..], b"OPTIONS"].concat();
        assert_eq!((cut(&mut stream), cut(&mut stream)), (Some(sent.write()), None));
        assert!(Text::read(b"SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\n").is_err());
    }
}
