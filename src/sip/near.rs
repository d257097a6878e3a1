//! Finding a byte that stands near: what a message is cut by is mostly a few bytes away, where the
//! start-up of `memchr` costs more than the search. Here eight bytes are compared at a time, in one
//! word of the machine, and only what is far is left to `memchr`.

/// How far is near, in bytes.
const NEAR: usize = 32;

/// Where `wanted` first stands.
#[inline]
#[must_use]
pub(super) fn find(text: &[u8], wanted: u8) -> Option<usize> {
    first(text, |word| marks(word, wanted), |far| memchr::memchr(wanted, far))
}

/// Where either of two bytes first stands.
#[inline]
#[must_use]
pub(super) fn find_either(text: &[u8], one: u8, other: u8) -> Option<usize> {
    first(text, |word| marks(word, one) | marks(word, other), |far| memchr::memchr2(one, other, far))
}

/// Where the first control character stands from `at` on: a byte below the space.
#[inline]
#[must_use]
pub(super) fn find_control(text: &[u8], at: usize) -> Option<usize> {
    let mut rest = text.get(at..)?;
    let place = loop {
        let Some((block, after)) = rest.split_first_chunk::<16>() else {
            break rest.iter().position(|byte| *byte < b' ')?;
        };
        // Without an early end, so that it is done by all bytes at once.
        if block.iter().fold(false, |has, byte| has | (*byte < b' ')) {
            let block = u128::from_le_bytes(*block);
            let marks = block.wrapping_sub(u128::from_le_bytes([b' '; 16]))
                & !block
                & u128::from_le_bytes([0x80; 16]);
            break marks.trailing_zeros() as usize / 8;
        }
        rest = after;
    };
    Some(text.len() - rest.len() + place)
}

/// Where `wanted` first stands in a word, whose bytes are in little-endian order.
#[inline]
#[must_use]
pub(super) fn place(word: u64, wanted: u8) -> Option<usize> {
    first_mark(marks(word, wanted))
}

const fn first_mark(marks: u64) -> Option<usize> {
    if marks == 0 { None } else { Some(marks.trailing_zeros() as usize / 8) }
}

/// The first byte that `mark` gives a mark, which is its upper bit; what is not near is left to
/// `search`.
#[inline]
fn first(text: &[u8], mark: impl Fn(u64) -> u64, search: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = text.get(at..)?.first_chunk() {
        if let Some(place) = first_mark(mark(u64::from_le_bytes(*word))) {
            return Some(at + place);
        }
        at += 8;
        if at == NEAR {
            return text.get(at..).and_then(search).map(|place| at + place);
        }
    }
    match text.last_chunk() {
        // The rest makes a word with the bytes before it, which have no mark.
        Some(last) => first_mark(mark(u64::from_le_bytes(*last))).map(|place| text.len() - 8 + place),
        None => text.iter().position(|byte| mark((*byte).into()) & 0x80 != 0),
    }
}

/// The bytes of a word that are `wanted`, each marked by its upper bit. The first mark is right; one
/// above it may be wrong, since the subtraction carries.
#[inline]
const fn marks(word: u64, wanted: u8) -> u64 {
    let zero_if_same = word ^ each(wanted);
    zero_if_same.wrapping_sub(each(1)) & !zero_if_same & each(0x80)
}

/// Eight times this byte.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As a search byte by byte has it: in texts of any length, with bytes that differ in one bit
        /// from what is wanted.
        #[test]
        fn what_is_found(text in prop::collection::vec(prop_oneof![any::<u8>(), Just(b';'), Just(b':'), Just(b'"'), Just(0x1f), Just(0xbb)], 0..80),
                         quiet in 0..80usize) {
            let mut text = text;
            text.iter_mut().take(quiet).filter(|byte| **byte < 0x80).for_each(|byte| *byte |= 0x40);
            let position = |wanted: &dyn Fn(u8) -> bool| text.iter().position(|byte| wanted(*byte));
            prop_assert_eq!(find(&text, b';'), position(&|byte| byte == b';'));
            prop_assert_eq!(find_either(&text, b';', b'"'), position(&|byte| matches!(byte, b';' | b'"')));
            prop_assert_eq!(find_control(&text, quiet.min(text.len())), position(&|byte| byte < b' '));
        }
    }
}
