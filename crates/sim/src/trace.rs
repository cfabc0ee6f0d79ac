//! What a run leaves behind for people and for comparison: lines if asked for, a fingerprint always.

/// The trace of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
    fingerprint: u64,
}

impl Trace {
    /// With `keep`, every line is kept.
    pub(crate) fn new(keep: bool) -> Self {
        Self {
            lines: keep.then(Vec::new),
            fingerprint: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// Whether lines are kept; making one costs more than the step it describes.
    pub(crate) fn keeps(&self) -> bool {
        self.lines.is_some()
    }

    pub(crate) fn line(&mut self, now_us: u64, text: &str) {
        if let Some(lines) = &mut self.lines {
            let (seconds, micros) = (now_us / 1_000_000, now_us % 1_000_000);
            lines.push(format!("{seconds:>4}.{micros:06} {text}"));
        }
    }

    /// Mixes a number into the fingerprint (FNV-1a over its bytes).
    pub(crate) fn mix(&mut self, number: u64) {
        for byte in number.to_le_bytes() {
            self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
