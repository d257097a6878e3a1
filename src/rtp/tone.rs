//! Tones made by code, for when there are no recorded words.

use super::RATE;
use std::f32::consts::TAU;

/// How loud: about −10 dBm0, as other tones of telephony.
const LOUD: f32 = 9_000.0;

/// Samples over which a tone begins and ends, so that it does not click: 5 ms.
const EDGE: u32 = 40;

/// A piece of a melody: so many hertz for so many milliseconds; 0 Hz is silence.
pub type Note = (u16, u16);

/// The samples of a melody.
#[must_use]
pub fn melody(notes: &[Note]) -> Vec<i16> {
    notes.iter().flat_map(|note| samples(*note)).collect()
}

fn samples((hertz, ms): Note) -> impl Iterator<Item = i16> {
    let length = u32::from(ms) * RATE / 1_000;
    let loud = if hertz == 0 { 0.0 } else { LOUD };
    (0..length).map(move |at| {
        let edge = at.min(length - 1 - at).min(EDGE) as f32 / EDGE as f32;
        let angle = TAU * f32::from(hertz) * at as f32 / RATE as f32;
        (loud * edge * angle.sin()) as i16
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_melody_is_as_long_and_as_high_as_its_notes() {
        let made = melody(&[(400, 100), (0, 50), (800, 100)]);
        assert_eq!(made.len(), 2_000);
        let crossings = |samples: &[i16]| samples.windows(2).filter(|two| two[0] < 0 && two[1] >= 0).count();
        assert!((39..=41).contains(&crossings(&made[..800])), "{}", crossings(&made[..800]));
        assert!(made[800..1_200].iter().all(|sample| *sample == 0));
        assert!((79..=81).contains(&crossings(&made[1_200..])), "{}", crossings(&made[1_200..]));
        assert!(made.iter().all(|sample| sample.unsigned_abs() <= 9_000));
        assert_eq!((made[0], made[799]), (0, 0), "it does not click");
        assert_eq!(melody(&[]), Vec::<i16>::new());
        assert_eq!(melody(&[(400, 0)]), Vec::<i16>::new());
    }
}
