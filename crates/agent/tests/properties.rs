//! Whatever happens to an agent, in whatever order: it does not panic, answers every request once,
//! keeps updates in order and until they are acknowledged, and does nothing that a restart would
//! forget.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use proptest::prelude::*;
use support::random::{Test, action};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_is_lost_or_disordered(
        actions in prop::collection::vec(action(), 1..120),
        busy in any::<bool>(),
    ) {
        let mut test = if busy { Test::busy() } else { Test::new() };
        for action in &actions {
            test.run(action);
            prop_assert_eq!(&test.watch.exited, &None);
        }
        test.settle();
        for promise in &test.watch.promised {
            prop_assert!(
                test.watch.sent.contains(promise),
                "{:?} was acknowledged to its executor and never sent", promise
            );
        }
    }
}
