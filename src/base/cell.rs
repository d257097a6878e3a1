//! Cells of CSV as spreadsheets read them: a text that begins with `=`, `+`, `-` or `@`, also behind blanks,
//! would be a formula, and whoever may name an extension could have the operator's program compute it. An
//! apostrophe before it makes it text. Import takes off exactly what export put there.

use std::borrow::Cow;

/// The cell of a text.
#[must_use]
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The text of a cell.
#[must_use]
pub fn plain(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| is_formula(text)).unwrap_or(cell)
}

/// Whether a text would be a formula, or would be taken for one that was guarded.
fn is_formula(text: &str) -> bool {
    let text = text.trim_start_matches('\'').trim_start();
    text.starts_with(['=', '+', '-', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_formula_becomes_text() {
        for (text, cell) in [
            ("Ada", "Ada"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            (" =1", "' =1"),
            ("\t=1", "'\t=1"),
            ("\r@x", "'\r@x"),
            ("'=1", "''=1"),
            ("'quoted'", "'quoted'"),
            ("a=1", "a=1"),
        ] {
            assert_eq!((&*guarded(text), plain(cell)), (cell, text));
        }
    }

    proptest! {
        #[test]
        fn a_text_comes_back_as_it_was(text in "[ '=+@a\t-]{0,6}") {
            let cell = guarded(&text);
            prop_assert_eq!(plain(&cell), text.as_str());
            prop_assert!(!cell.trim_start().starts_with(['=', '+', '-', '@']));
        }
    }
}
