//! Random UUIDs for streams. Nothing else in this room is random.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use meseta_model::rng::uuid_text;

/// A keyed hash whose key the standard library takes from the operating system's generator: of a
/// counter it gives draws that nobody outside can foresee.
static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static DRAWS: AtomicU64 = AtomicU64::new(0);

/// A random UUID (RFC 9562, version 4) in its usual text form.
pub(crate) fn random() -> String {
    let mut bytes = [0; 16];
    for half in bytes.chunks_exact_mut(8) {
        let draw = KEYED.hash_one(DRAWS.fetch_add(1, Ordering::Relaxed));
        half.copy_from_slice(&draw.to_be_bytes());
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    uuid_text(&bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_draw_is_new_and_well_formed() {
        let drawn: std::collections::BTreeSet<String> =
            (0..1_000).map(|_| super::random()).collect();
        assert_eq!(drawn.len(), 1_000);
        for uuid in drawn {
            assert_eq!(uuid.len(), 36);
            assert_eq!(&uuid[14..15], "4");
            assert!("89ab".contains(&uuid[19..20]), "{uuid}");
        }
    }
}
