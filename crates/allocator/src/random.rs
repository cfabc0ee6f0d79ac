//! Random order, where it takes the place of Dominant Resource Fairness.

use meseta_model::rng::Rng;

use crate::sorter::{OWN, ROOT, Sorter};

/// The roles that want offers, each with its part of its parent's chance by weight.
pub(crate) fn chances(sorter: &Sorter) -> Vec<(u32, f64)> {
    let mut leaves = Vec::new();
    let mut inner = vec![(ROOT, 1.0)];
    while let Some((slot, chance)) = inner.pop() {
        let node = sorter.node(slot);
        let weight = |member: u32| match member {
            OWN => 1.0,
            child => sorter.weight(child),
        };
        let sum: f64 = node.members.iter().map(|member| weight(*member)).sum();
        for member in &node.members {
            let part = chance * weight(*member) / sum;
            if *member == OWN {
                leaves.push((slot, part));
            } else {
                inner.push((*member, part));
            }
        }
    }
    leaves.sort_unstable_by_key(|(slot, _)| *slot);
    leaves
}

/// A random order in which who has twice the chance is twice as likely to come first.
pub(crate) fn draw(chances: &[(u32, f64)], rng: &mut Rng, order: &mut Vec<u32>) {
    order.clear();
    order.extend(chances.iter().map(|(slot, _)| *slot));
    let equal = chances.windows(2).all(|pair| pair[0].1 == pair[1].1);
    if equal {
        rng.shuffle(order);
        return;
    }
    let mut keys: Vec<(f64, u32)> = chances
        .iter()
        .map(|(slot, chance)| {
            let uniform = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            (-(1.0 - uniform).ln() / chance, *slot)
        })
        .collect();
    keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    order.clear();
    order.extend(keys.iter().map(|(_, slot)| *slot));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_chance_comes_first_twice_as_often() {
        let chances = [(5, 0.5), (6, 0.25), (7, 0.25)];
        let mut rng = Rng::new(1);
        let mut order = Vec::new();
        let mut first = [0; 3];
        for _ in 0..10_000 {
            draw(&chances, &mut rng, &mut order);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [5, 6, 7], "everybody, once");
            first[order[0] as usize - 5] += 1;
        }
        assert!((4_800..5_200).contains(&first[0]), "{first:?}");
        assert!((2_350..2_650).contains(&first[1]), "{first:?}");
    }

    #[test]
    fn equal_chances_are_shuffled() {
        let mut order = Vec::new();
        let mut firsts = [false; 4];
        let mut rng = Rng::new(1);
        for _ in 0..50 {
            draw(
                &[(0, 0.25), (1, 0.25), (2, 0.25), (3, 0.25)],
                &mut rng,
                &mut order,
            );
            firsts[order[0] as usize] = true;
        }
        assert_eq!(firsts, [true; 4]);
    }
}
