//! Secrets come in by standard input, never in an argument, where every user of the machine would
//! see them.

use crate::service::admin::Password;
use std::io::BufRead;
use zeroize::Zeroize;

/// Longest line read, in bytes; a longer one is refused whole.
const LINE_BYTES_MAX: u64 = 1024;

/// The first line, without its end: `what` is what it should have.
///
/// # Errors
/// If there is none, it is empty or too long, or no UTF-8.
pub(super) fn first_line(input: impl BufRead, what: &str) -> Result<Password, String> {
    let mut bytes = Vec::new();
    let read = input.take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes);
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = match read {
        Err(error) => Err(format!("the {what} cannot be read from standard input: {error}")),
        Ok(_) if line.is_empty() => Err(format!("standard input has no {what}")),
        Ok(_) if bytes.len() as u64 > LINE_BYTES_MAX => {
            Err(format!("the {what} on standard input is longer than {LINE_BYTES_MAX} bytes"))
        }
        Ok(_) => std::str::from_utf8(line)
            .map(str::to_owned)
            .map_err(|_| format!("the {what} on standard input is no UTF-8")),
    };
    bytes.zeroize();
    text.map(Password::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_no_more() {
        let long = format!("{}\n", "x".repeat(1024));
        for (input, password) in [
            (&b"secret\n"[..], Some("secret")),
            (b"secret", Some("secret")),
            (b"se cret \r\nmore\n", Some("se cret ")),
            ("Zürich!1\n".as_bytes(), Some("Zürich!1")),
            (b"", None),
            (b"\n", None),
            (b"\xff\n", None),
            (long.as_bytes(), None),
            (&long.as_bytes()[1..], Some(&long[1..1024])),
        ] {
            let found = first_line(input, "password").ok();
            assert_eq!(found.as_ref().map(Password::expose), password, "{input:?}");
        }
    }
}
