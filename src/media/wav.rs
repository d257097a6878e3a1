//! WAV files of prompts: 8,000 samples a second, one channel, 16-bit PCM or G.711.

use crate::rtp::RATE;
use crate::rtp::g711::{from_alaw, from_ulaw};

/// Why a file is none that can be played.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WavError {
    /// No WAV file, or cut off.
    #[error("is no WAV file, or cut off")]
    Unreadable,
    /// Another way to write samples.
    #[error("has format {format} with {bits} bits, neither PCM with 16 (1) nor G.711 with 8 (6, 7)")]
    Format {
        /// The number of its format.
        format: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// More than one channel.
    #[error("has {0} channels, not 1")]
    Channels(u16),
    /// Another rate.
    #[error("has {0} samples a second, not {RATE}")]
    Rate(u32),
}

/// The samples of a file.
///
/// # Errors
/// Why it cannot be played.
pub fn samples(file: &[u8]) -> Result<Vec<i16>, WavError> {
    let mut chunks = file.strip_prefix(b"RIFF").and_then(|rest| rest.get(4..)?.strip_prefix(b"WAVE"));
    let mut format = None;
    while let Some((name, content, rest)) = chunks.and_then(chunk) {
        match &name {
            b"fmt " => format = Some(checked(content)?),
            b"data" => {
                let format = format.ok_or(WavError::Unreadable)?;
                return Ok(match format {
                    6 => content.iter().map(|byte| from_alaw(*byte)).collect(),
                    7 => content.iter().map(|byte| from_ulaw(*byte)).collect(),
                    _ => content.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect(),
                });
            }
            _ => {}
        }
        chunks = Some(rest);
    }
    Err(WavError::Unreadable)
}

/// The first chunk: its name, its content and what is behind it. A stream's data may say that it is longer
/// than the file.
fn chunk(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let (name, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let content = rest.get(..length).or((name == b"data").then_some(rest))?;
    let behind = rest.get(length.saturating_add(length % 2)..).unwrap_or_default();
    Some((*name, content, behind))
}

/// The format of what a `fmt ` chunk describes, if it can be played.
fn checked(content: &[u8]) -> Result<u16, WavError> {
    let Some((head, _)) = content.split_first_chunk::<16>() else { return Err(WavError::Unreadable) };
    let [f1, f2, c1, c2, r1, r2, r3, r4, .., b1, b2] = *head;
    let (format, bits) = (u16::from_le_bytes([f1, f2]), u16::from_le_bytes([b1, b2]));
    let (channels, rate) = (u16::from_le_bytes([c1, c2]), u32::from_le_bytes([r1, r2, r3, r4]));
    match (format, bits) {
        (1, 16) | (6 | 7, 8) => {}
        _ => return Err(WavError::Format { format, bits }),
    }
    if channels != 1 {
        return Err(WavError::Channels(channels));
    }
    if rate == RATE { Ok(format) } else { Err(WavError::Rate(rate)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    fn wav(format: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        out.extend([format.to_le_bytes(), channels.to_le_bytes()].concat());
        out.extend([rate.to_le_bytes(), rate.to_le_bytes()].concat());
        out.extend([1_u16.to_le_bytes(), bits.to_le_bytes()].concat());
        out.extend(b"data");
        out.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn what_can_be_played_and_what_not() {
        for (name, file, wanted) in [
            ("PCM", wav(1, 1, 8_000, 16, &[1, 0, 0xff, 0xff]), Ok(vec![1, -1])),
            ("half a sample", wav(1, 1, 8_000, 16, &[1, 0, 9]), Ok(vec![1])),
            ("A-law", wav(6, 1, 8_000, 8, &[0xd5]), Ok(vec![8])),
            ("µ-law", wav(7, 1, 8_000, 8, &[0xff]), Ok(vec![0])),
            ("no sound", wav(1, 1, 8_000, 16, &[]), Ok(vec![])),
            ("stereo", wav(1, 2, 8_000, 16, &[]), Err(WavError::Channels(2))),
            ("another rate", wav(1, 1, 22_050, 16, &[]), Err(WavError::Rate(22_050))),
            ("8 bits", wav(1, 1, 8_000, 8, &[]), Err(WavError::Format { format: 1, bits: 8 })),
            ("floats", wav(3, 1, 8_000, 32, &[]), Err(WavError::Format { format: 3, bits: 32 })),
            ("nothing", vec![], Err(WavError::Unreadable)),
            ("no data", wav(1, 1, 8_000, 16, &[])[..48].to_vec(), Err(WavError::Unreadable)),
            ("text", b"RIFF....AVI ".to_vec(), Err(WavError::Unreadable)),
        ] {
            assert_eq!(samples(&file), wanted, "{name}");
        }
        let mut streamed = wav(1, 1, 8_000, 16, &[1, 0]);
        let at = streamed.len() - 6;
        streamed[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(samples(&streamed), Ok(vec![1]));
    }

    proptest! {
        #[test]
        fn no_file_is_too_bad(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..60) {
            let _ = samples(&bytes);
            let mut file = wav(1, 1, 8_000, 16, &bytes);
            let at = at.min(file.len() - 1);
            file[at] ^= 0xff;
            let _ = samples(&file);
        }
    }
}
