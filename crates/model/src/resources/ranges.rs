//! Sets of whole numbers as sorted, disjoint, coalesced inclusive ranges (ports).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

/// A list while it is made; as many ranges fit in place as a busy agent's ports are in.
type Draft = SmallVec<[(u64, u64); 24]>;

/// A sorted list of inclusive ranges that neither overlap nor touch. Clones share it.
#[derive(Clone)]
pub struct Ranges(List);

/// One range, the common case, is kept in place.
#[derive(Clone)]
enum List {
    One([(u64, u64); 1]),
    Other(Arc<[(u64, u64)]>),
}

impl Ranges {
    /// No number at all.
    #[must_use]
    pub fn new() -> Self {
        Self(List::Other(Arc::default()))
    }

    fn as_slice(&self) -> &[(u64, u64)] {
        match &self.0 {
            List::One(only) => only,
            List::Other(list) => list,
        }
    }

    fn finished(draft: &[(u64, u64)]) -> Self {
        Self(match draft {
            [only] => List::One([*only]),
            other => List::Other(other.into()),
        })
    }

    fn is_same_list(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (List::Other(mine), List::Other(other)) => Arc::ptr_eq(mine, other),
            _ => false,
        }
    }

    /// Sorts and joins what overlaps or touches; pairs with the end before the beginning are
    /// dropped (callers that must refuse them look first).
    #[must_use]
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut pairs: Vec<(u64, u64)> = pairs.into_iter().filter(|(a, b)| a <= b).collect();
        pairs.sort_unstable();
        Self::joined(pairs)
    }

    /// Joins what overlaps or touches in a list sorted by beginning.
    fn joined(sorted: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut joined = Draft::new();
        for (begin, end) in sorted {
            match joined.last_mut() {
                Some(last) if begin <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => joined.push((begin, end)),
            }
        }
        Self::finished(&joined)
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.as_slice().iter().copied()
    }

    /// Whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// How many numbers, saturating.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.iter().fold(0, |sum: u64, (a, b)| {
            sum.saturating_add((b - a).saturating_add(1))
        })
    }

    /// Whether `number` is in it.
    #[must_use]
    pub fn has(&self, number: u64) -> bool {
        let list = self.as_slice();
        let after = list.partition_point(|(begin, _)| *begin <= number);
        after > 0 && list[after - 1].1 >= number
    }

    /// Whether every number of `other` is in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        if self.is_same_list(other) {
            return true;
        }
        let mut mine = self.as_slice().iter();
        let mut current = mine.next();
        other.as_slice().iter().all(|(begin, end)| {
            while let Some((_, last)) = current
                && last < begin
            {
                current = mine.next();
            }
            current.is_some_and(|(first, last)| first <= begin && end <= last)
        })
    }

    /// Whether some number is in both.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        let (mine, other) = (self.as_slice(), other.as_slice());
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (mine.get(i), other.get(j)) {
            if a.1 < b.0 {
                i += 1;
            } else if b.1 < a.0 {
                j += 1;
            } else {
                return true;
            }
        }
        false
    }

    /// Adds every number of `other`; what is in both counts once.
    pub fn add(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        *self = Self::joined(merge(self.iter(), other.iter()));
    }

    /// Takes every number of `other` away; what is absent stays absent.
    pub fn subtract(&mut self, other: &Self) {
        if !self.intersects(other) {
            return;
        }
        let mut left = Draft::new();
        let mut keep = |range: (u64, u64)| left.push(range);
        let mut gaps = other.as_slice().iter().peekable();
        for &(begin, end) in self.as_slice() {
            let mut begin = Some(begin);
            while let Some(&&(gap_begin, gap_end)) = gaps.peek() {
                let Some(first) = begin else { break };
                if gap_begin > end {
                    break;
                }
                if gap_end >= first {
                    if gap_begin > first {
                        keep((first, gap_begin - 1));
                    }
                    begin = if gap_end < end {
                        Some(gap_end + 1)
                    } else {
                        None
                    };
                }
                if gap_end > end {
                    break;
                }
                gaps.next();
            }
            if let Some(first) = begin {
                keep((first, end));
            }
        }
        *self = Self::finished(&left);
    }
}

impl Default for Ranges {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Ranges {
    fn eq(&self, other: &Self) -> bool {
        self.is_same_list(other) || self.as_slice() == other.as_slice()
    }
}

impl Eq for Ranges {}

impl Ord for Ranges {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl PartialOrd for Ranges {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Ranges {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ranges").field(&self.as_slice()).finish()
    }
}

/// Two sorted lists as one.
fn merge(
    one: impl Iterator<Item = (u64, u64)>,
    other: impl Iterator<Item = (u64, u64)>,
) -> impl Iterator<Item = (u64, u64)> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if b < a => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

impl fmt::Display for Ranges {
    /// `[31000-32000, 33000-33000]`, as Mesos prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, (begin, end)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{begin}-{end}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ranges(pairs: &[(u64, u64)]) -> Ranges {
        Ranges::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn joins_what_overlaps_or_touches() {
        assert_eq!(
            ranges(&[(5, 9), (1, 2), (3, 3), (8, 12)]).as_slice(),
            [(1, 3), (5, 12)]
        );
        assert_eq!(
            ranges(&[(0, u64::MAX), (u64::MAX, u64::MAX)]).as_slice(),
            [(0, u64::MAX)]
        );
        assert_eq!(ranges(&[(3, 1)]), Ranges::new());
        assert_eq!(ranges(&[(0, u64::MAX)]).count(), u64::MAX);
    }

    #[test]
    fn subtraction_cuts_at_both_ends() {
        let mut all = ranges(&[(0, u64::MAX)]);
        all.subtract(&ranges(&[(0, 0), (10, 20), (u64::MAX, u64::MAX)]));
        assert_eq!(all.as_slice(), [(1, 9), (21, u64::MAX - 1)]);
    }

    fn small() -> impl Strategy<Value = Ranges> {
        prop::collection::vec((0u64..60, 0u64..12), 0..6)
            .prop_map(|v| Ranges::from_pairs(v.into_iter().map(|(b, l)| (b, b + l))))
    }

    fn numbers(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.iter().flat_map(|(a, b)| a..=b).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_plain_sets(a in small(), b in small()) {
            let (x, y) = (numbers(&a), numbers(&b));
            let (mut sum, mut rest) = (a.clone(), a.clone());
            sum.add(&b);
            rest.subtract(&b);
            prop_assert_eq!(numbers(&sum), x.union(&y).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(numbers(&rest), x.difference(&y).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(Ranges::from_pairs(rest.iter()), rest, "stays coalesced");
            prop_assert_eq!(a.contains(&b), y.is_subset(&x));
            prop_assert_eq!(a.intersects(&b), !x.is_disjoint(&y));
            prop_assert_eq!(a.count(), x.len() as u64);
            for n in 0..75 {
                prop_assert_eq!(a.has(n), x.contains(&n));
            }
        }
    }
}
