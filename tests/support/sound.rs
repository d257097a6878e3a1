//! Tones in WAV files: what a test phone says, and what it must have heard.

use std::f64::consts::TAU;
use std::path::Path;

/// Samples a second, of telephony and of all files here.
pub(crate) const RATE: u32 = 8000;

/// Bytes before the first sample of a plain WAV file.
const HEADER: usize = 44;

/// Writes a tone: 16 bits, one channel.
pub(crate) fn write_tone(file: &Path, hertz: f64, seconds: u32) {
    let samples = (0..RATE * seconds).flat_map(|n| {
        ((12_000.0 * (TAU * hertz * f64::from(n) / f64::from(RATE)).sin()) as i16).to_le_bytes()
    });
    let data: Vec<u8> = samples.collect();
    let length = u32::try_from(data.len()).unwrap();
    let mut wav = Vec::with_capacity(HEADER + data.len());
    wav.extend(b"RIFF");
    wav.extend((length + 36).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend(1_u16.to_le_bytes()); // PCM
    wav.extend(1_u16.to_le_bytes()); // channels
    wav.extend(RATE.to_le_bytes());
    wav.extend((RATE * 2).to_le_bytes());
    wav.extend(2_u16.to_le_bytes());
    wav.extend(16_u16.to_le_bytes());
    wav.extend(b"data");
    wav.extend(length.to_le_bytes());
    wav.extend(data);
    std::fs::write(file, wav).unwrap();
}

/// Seconds of sound in a recording, which may still be growing; 0 if there is none.
pub(crate) fn seconds_in(file: &Path) -> f64 {
    let bytes = std::fs::metadata(file).map_or(0, |data| data.len());
    bytes.saturating_sub(HEADER as u64) as f64 / f64::from(RATE * 2)
}

/// How much of a recording's power is at this frequency: about 1 for that tone alone, about 0 for
/// silence or another tone. A multiple of 10 Hz. Gaps and jumps in the tone cost little.
pub(crate) fn share_of_tone(file: &Path, hertz: f64) -> f64 {
    let wav = std::fs::read(file).unwrap();
    let samples: Vec<f64> = wav
        .get(HEADER..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])))
        .collect();
    let (mut all, mut tone) = (0.0, 0.0);
    for window in samples.chunks_exact(RATE as usize / 10) {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in window.iter().enumerate() {
            let angle = TAU * hertz * n as f64 / f64::from(RATE);
            re += sample * angle.cos();
            im += sample * angle.sin();
        }
        tone += 2.0 * (re * re + im * im) / window.len() as f64;
        all += window.iter().map(|sample| sample * sample).sum::<f64>();
    }
    if all == 0.0 { 0.0 } else { tone / all }
}

#[test]
fn a_tone_is_told_from_another_and_from_silence() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tone.wav");
    write_tone(&file, 440.0, 2);
    assert!((seconds_in(&file) - 2.0).abs() < 0.01, "{} s", seconds_in(&file));
    assert!(share_of_tone(&file, 440.0) > 0.99, "{}", share_of_tone(&file, 440.0));
    assert!(share_of_tone(&file, 880.0) < 0.01, "{}", share_of_tone(&file, 880.0));
    write_tone(&file, 0.0, 2);
    assert!(share_of_tone(&file, 440.0) < 0.01, "{}", share_of_tone(&file, 440.0));
}
