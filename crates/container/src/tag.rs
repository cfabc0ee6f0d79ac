//! The tag that every process of a container carries, whatever it does to leave.
//!
//! A process can leave its session, its process group, its parent and its environment. It keeps its
//! resource limits. `RLIMIT_LOCKS` has had no effect since Linux 2.4.25 (`getrlimit(2)`), anyone may
//! lower the soft value, it is inherited by fork and exec, and `/proc/PID/limits` shows it to all:
//! so the room sets it to a number made from the container's id. When a supervisor was killed, the
//! processes it left are found by it, without any privilege. A process that sets the limit anew on
//! purpose leaves the tag; with cgroups it still does not leave the container.

use std::path::Path;

use meseta_model::ids::ContainerId;

/// The tag of a container: the same in every life of the agent, different for two agents of one
/// host. Above 2^61 and below infinity, so that it would hold nobody up even if it were enforced.
#[must_use]
pub fn tag(runtime_dir: &Path, id: &ContainerId) -> u64 {
    // FNV-1a; the parts are kept apart by a byte that no path or id holds.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for &byte in bytes.iter().chain(&[0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    add(runtime_dir.as_os_str().as_encoded_bytes());
    for element in id.path() {
        add(element.as_bytes());
    }
    (hash >> 3) | (1 << 61)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_differ_by_container_nesting_and_agent_and_stay_in_range() {
        let (a, b) = (Path::new("/run/a"), Path::new("/run/b"));
        let one = ContainerId::root("one");
        let nested = one.child("two").unwrap_or_else(|| one.clone());
        let tags = [
            tag(a, &one),
            tag(b, &one),
            tag(a, &nested),
            tag(a, &ContainerId::root("two")),
            tag(a, &ContainerId::root("onetwo")),
        ];
        for (index, tag) in tags.iter().enumerate() {
            assert!((1 << 61..1 << 62).contains(tag));
            assert!(!tags[..index].contains(tag));
        }
        assert_eq!(tag(a, &one), tag(a, &one));
    }
}
