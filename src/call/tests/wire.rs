//! Messages as lines.

use std::fmt::Write as _;

/// A message: first line, fields in order, body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Msg {
    pub(super) first: String,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: String,
}

/// A dialog as a phone sees it.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    pub(super) local: String,
    pub(super) remote: String,
    pub(super) target: String,
    pub(super) cseq: u32,
}

impl Msg {
    /// Reads what the server wrote; it must be exactly well-formed.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
        let mut lines = head.split("\r\n");
        let first = lines.next().expect("a first line").to_owned();
        let fields: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let msg = Self { first, fields, body: body.to_owned() };
        assert_eq!(msg.field("Content-Length"), body.len().to_string(), "{text}");
        assert!(!head.contains('\n') || head.replace("\r\n", "").find(['\r', '\n']).is_none(), "{text}");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            assert!(msg.find(name).is_some(), "no {name}: {text}");
        }
        msg
    }

    /// A message with these fields.
    pub(super) fn new(first: impl Into<String>, fields: &[(&str, &str)], body: &str) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { first: first.into(), fields, body: body.to_owned() }
    }

    /// One more field.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another value for a field.
    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        for field in self.fields.iter_mut().filter(|field| field.0 == name) {
            value.clone_into(&mut field.1);
        }
        self
    }

    /// A body of this type.
    pub(super) fn carrying(mut self, kind: &str, body: &str) -> Self {
        if !body.is_empty() {
            body.clone_into(&mut self.body);
            self = self.with("Content-Type", kind);
        }
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.fields {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        text.into_bytes()
    }

    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {}", self.first))
    }

    pub(super) fn is_request(&self) -> bool {
        !self.first.starts_with("SIP/2.0 ")
    }

    /// The status; 0 for a request.
    pub(super) fn status(&self) -> u16 {
        self.first.strip_prefix("SIP/2.0 ").map_or(0, |rest| rest[..3].parse().expect("a status"))
    }

    pub(super) fn cseq(&self) -> u32 {
        self.field("CSeq").split_once(' ').expect("a CSeq").0.parse().expect("a number")
    }

    /// The method; of a response that of its CSeq.
    pub(super) fn method(&self) -> &str {
        self.field("CSeq").split_once(' ').expect("a CSeq").1
    }

    pub(super) fn uri(&self) -> &str {
        self.first.split(' ').nth(1).expect("a Request-URI")
    }

    /// `INVITE`, or `180 INVITE`.
    pub(super) fn what(&self) -> String {
        if self.is_request() {
            self.first.split(' ').next().expect("a method").to_owned()
        } else {
            format!("{} {}", self.status(), self.method())
        }
    }

    pub(super) fn branch(&self) -> &str {
        param(self.field("Via"), "branch").expect("a branch")
    }

    /// The tag of From or To.
    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        param(self.field(name), "tag")
    }

    /// The URI in Contact.
    pub(super) fn contact(&self) -> &str {
        self.field("Contact").split(['<', '>']).nth(1).expect("a URI in angles")
    }

    /// An answer to this request, with a To tag if it has none.
    pub(super) fn answer(&self, status: u16, tag: &str) -> Self {
        let fields = ["Via", "From", "To", "Call-ID", "CSeq"];
        let mut answer = Self::new(format!("SIP/2.0 {status} Whatever"), &[], "");
        for (name, value) in self.fields.iter().filter(|field| fields.contains(&field.0.as_str())) {
            let value = match name.as_str() {
                "To" if self.tag("To").is_none() && status > 100 => format!("{value};tag={tag}"),
                _ => value.clone(),
            };
            answer = answer.with(name, &value);
        }
        answer
    }

    /// The dialog of who sent this INVITE and got this 2xx.
    pub(super) fn dialog_by(&self, ok: &Self) -> Dialog {
        Dialog {
            call_id: self.field("Call-ID").to_owned(),
            local: self.field("From").to_owned(),
            remote: ok.field("To").to_owned(),
            target: ok.contact().to_owned(),
            cseq: self.cseq(),
        }
    }

    /// The dialog of who got this INVITE and answered so.
    pub(super) fn dialog_of(&self, ok: &Self) -> Dialog {
        Dialog {
            call_id: self.field("Call-ID").to_owned(),
            local: ok.field("To").to_owned(),
            remote: self.field("From").to_owned(),
            target: self.contact().to_owned(),
            cseq: 0,
        }
    }
}

impl Dialog {
    /// A request within it, with the number after the last.
    pub(super) fn request(&mut self, method: &str, host: &str, branch: &str) -> Msg {
        self.cseq += 1;
        self.numbered(method, self.cseq, host, branch)
    }

    /// A request within it with this number, as an ACK has.
    pub(super) fn numbered(&self, method: &str, cseq: u32, host: &str, branch: &str) -> Msg {
        Msg::new(
            format!("{method} {} SIP/2.0", self.target),
            &[
                ("Via", &format!("SIP/2.0/UDP {host};rport;branch=z9hG4bK{branch}")),
                ("Max-Forwards", "70"),
                ("From", &self.local),
                ("To", &self.remote),
                ("Call-ID", &self.call_id),
                ("CSeq", &format!("{cseq} {method}")),
            ],
            "",
        )
    }
}

/// The value of a parameter.
pub(super) fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let params = value.rsplit_once('>').map_or(value, |(_, params)| params);
    params.split(';').find_map(|param| param.strip_prefix(name)?.strip_prefix('='))
}
