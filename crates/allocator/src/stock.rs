//! What a client has on an agent, as often as it has it.
//!
//! A sum of resources holds each port and each item once, and no quantity beyond what a number can say.
//! An agent may come back with two tasks that both name a port all the same, and the port is free only
//! when both are over.

use meseta_model::resources::Resources;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stock {
    /// The sum.
    pub(crate) held: Resources,
    /// What did not fit in when it was added; almost always nothing.
    pub(crate) again: Vec<Resources>,
}

impl Stock {
    /// Adds all of it.
    pub(crate) fn put(&mut self, more: &Resources) {
        if self.held.is_empty() {
            self.held.clone_from(more);
            return;
        }
        let sum = self.held.clone() + more;
        let fresh = sum.saturating_sub(&self.held);
        let again = more.saturating_sub(&fresh);
        if !again.is_empty() {
            self.again.push(again);
        }
        self.held = sum;
    }

    /// Takes all of it and says `true`, or says `false` if there was less.
    #[must_use]
    pub(crate) fn take(&mut self, less: &Resources) -> bool {
        let mut less = less.clone();
        for again in self.again.iter_mut().rev() {
            if less.is_empty() {
                break;
            }
            let rest = less.saturating_sub(again);
            *again = again.saturating_sub(&less.saturating_sub(&rest));
            less = rest;
        }
        self.again.retain(|again| !again.is_empty());
        self.held.try_sub_assign(&less)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn some(text: &str) -> Resources {
        Resources::parse(text, &meseta_model::roles::Role::default()).unwrap()
    }

    #[test]
    fn what_is_there_thrice_is_taken_thrice() {
        let mut stock = Stock::default();
        for text in ["cpus:1;ports:[1-5]", "cpus:1;ports:[4-9]", "ports:[5-5]"] {
            stock.put(&some(text));
        }
        assert_eq!(stock.held, some("cpus:2;ports:[1-9]"));
        for text in ["ports:[1-5]", "cpus:2;ports:[5-9]"] {
            assert!(stock.take(&some(text)));
        }
        assert_eq!(stock.held, some("ports:[4-5]"));
        assert!(!stock.take(&some("ports:[3-5]")));
        assert!(stock.take(&some("ports:[4-5]")));
        assert!(stock.held.is_empty() && stock.again.is_empty());
    }

    #[test]
    fn no_quantity_is_lost() {
        let most = some("cpus:9007199254740");
        let mut stock = Stock::default();
        (0..1100).for_each(|_| stock.put(&most));
        assert!(!stock.again.is_empty());
        for _ in 0..1100 {
            assert!(stock.take(&most));
        }
        assert!(!stock.take(&some("cpus:0.001")));
    }
}
