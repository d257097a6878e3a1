//! PCMU and PCMA: ITU-T G.711, a sample in 8 bits.

/// Added to a µ-law magnitude, so that its highest bit tells the segment.
const BIAS: u16 = 0x84;

/// The largest magnitude that µ-law has.
const CLIP: u16 = 32_635;

/// A sample in µ-law.
#[must_use]
pub fn to_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(CLIP) + BIAS;
    let segment = 8 - magnitude.leading_zeros(); // the highest bit is one of 7 to 14
    let mantissa = magnitude >> (segment + 3) & 0x0f;
    !(sign | (segment as u8) << 4 | mantissa as u8)
}

/// A sample from µ-law.
#[must_use]
pub fn from_ulaw(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i16::from(byte & 0x0f) << 3) + 0x84) << (byte >> 4 & 7);
    if byte & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude }
}

/// A sample in A-law.
#[must_use]
pub fn to_alaw(sample: i16) -> u8 {
    let (magnitude, mask) = if sample >= 0 {
        (sample.unsigned_abs() >> 3, 0xd5)
    } else {
        ((!sample).unsigned_abs() >> 3, 0x55) // 13 bits in one's complement
    };
    let segment = 11_u32.saturating_sub(magnitude.leading_zeros());
    let mantissa = magnitude >> segment.max(1) & 0x0f;
    ((segment as u8) << 4 | mantissa as u8) ^ mask
}

/// A sample from A-law.
#[must_use]
pub fn from_alaw(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let low = i16::from(byte & 0x0f) << 4;
    let magnitude = match byte >> 4 & 7 {
        0 => low + 8,
        segment => (low + 0x108) << (segment - 1),
    };
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (sample, ulaw, alaw) in [
            (0, 0xff, 0xd5),
            (-1, 0x7f, 0x55),
            (8, 0xfe, 0xd5),
            (1_000, 0xce, 0xfa),
            (-1_000, 0x4e, 0x7a),
            (32_767, 0x80, 0xaa),
            (-32_768, 0x00, 0x2a),
        ] {
            assert_eq!((to_ulaw(sample), to_alaw(sample)), (ulaw, alaw), "{sample}");
        }
    }

    #[test]
    fn every_byte_is_a_sample_and_comes_back() {
        for byte in 0..=255 {
            let (ulaw, alaw) = (from_ulaw(byte), from_alaw(byte));
            // Minus zero is zero.
            assert!(to_ulaw(ulaw) == byte || (byte, ulaw) == (0x7f, 0), "{byte}: {ulaw}");
            assert_eq!(to_alaw(alaw), byte, "{alaw}");
        }
    }

    #[test]
    fn every_sample_comes_back_nearly() {
        for sample in i16::MIN..=i16::MAX {
            let allowed = i32::from(sample).abs() / 16 + 16;
            for (name, back) in [("µ", from_ulaw(to_ulaw(sample))), ("A", from_alaw(to_alaw(sample)))] {
                let error = (i32::from(back) - i32::from(sample)).abs();
                assert!(error <= allowed || sample.unsigned_abs() > CLIP, "{name}: {sample} became {back}");
            }
        }
    }
}
