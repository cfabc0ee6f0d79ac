//! What frameworks, agents and masters say they can handle, as small sets.
//!
//! A number on the wire that names nothing known here is left out: it says nothing to us.

use std::fmt;

use meseta_proto::mesos::v1;

use crate::resources::ResourceFormat;

/// Makes a set type over one of Mesos's capability enumerations, named by its module in the wire
/// types. Bit `n` stands for the number `n` on the wire.
macro_rules! capability_set {
    ($(#[$doc:meta])* $set:ident of $module:ident: $($name:ident)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $set(u32);

        impl $set {
            /// None of them.
            pub const NONE: Self = Self(0);
            /// Every one known here.
            pub const ALL: Self = Self(0 $(| (1 << v1::$module::capability::Type::$name as u32))+);

            /// From the wire's list.
            #[must_use]
            pub fn from_wire(list: &[v1::$module::Capability]) -> Self {
                list.iter().fold(Self::NONE, |set, capability| set.with(capability.r#type()))
            }

            /// The wire's list, by number.
            #[must_use]
            pub fn to_wire(self) -> Vec<v1::$module::Capability> {
                let one = |kind| v1::$module::Capability { r#type: Some(kind as i32) };
                self.iter().map(one).collect()
            }

            /// Those in the set, by number.
            pub fn iter(self) -> impl Iterator<Item = v1::$module::capability::Type> {
                let known = [$(v1::$module::capability::Type::$name),+];
                known.into_iter().filter(move |kind| self.has(*kind))
            }

            /// The set with one more; UNKNOWN adds nothing.
            #[must_use]
            pub const fn with(self, kind: v1::$module::capability::Type) -> Self {
                Self(self.0 | ((1 << kind as u32) & Self::ALL.0))
            }

            /// The set without one.
            #[must_use]
            pub const fn without(self, kind: v1::$module::capability::Type) -> Self {
                Self(self.0 & !(1 << kind as u32))
            }

            /// Whether it is in the set.
            #[must_use]
            pub const fn has(self, kind: v1::$module::capability::Type) -> bool {
                self.0 & (1 << kind as u32) != 0
            }

            /// Whether everything in `other` is in this set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl fmt::Debug for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_set().entries(self.iter().map(|kind| kind.as_str_name())).finish()
            }
        }
    };
}

capability_set! {
    /// What a framework can handle (`FrameworkInfo.capabilities`).
    FrameworkCapabilities of framework_info:
    RevocableResources TaskKillingState GpuResources SharedResources PartitionAware MultiRole
    ReservationRefinement RegionAware
}

capability_set! {
    /// What an agent can handle (`RegisterSlaveMessage.agent_capabilities`).
    AgentCapabilities of agent_info:
    MultiRole HierarchicalRole ReservationRefinement ResourceProvider ResizeVolume
    AgentOperationFeedback AgentDraining TaskResourceLimits
}

capability_set! {
    /// What a master can handle (`MasterInfo.capabilities`).
    MasterCapabilities of master_info: AgentUpdate AgentDraining QuotaV2
}

/// What a framework is offered and told, as far as its capabilities decide it.
impl FrameworkCapabilities {
    /// The format its resources are written in.
    #[must_use]
    pub const fn resource_format(self) -> ResourceFormat {
        if self.has(v1::framework_info::capability::Type::ReservationRefinement) {
            ResourceFormat::PostRefinement
        } else {
            ResourceFormat::PreRefinement
        }
    }

    /// Whether it tells the ways to lose a task apart.
    #[must_use]
    pub const fn is_partition_aware(self) -> bool {
        self.has(v1::framework_info::capability::Type::PartitionAware)
    }

    /// Whether it names its roles in `roles`.
    #[must_use]
    pub const fn is_multi_role(self) -> bool {
        self.has(v1::framework_info::capability::Type::MultiRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::framework_info::Capability;
    use v1::framework_info::capability::Type;

    fn wire(numbers: &[i32]) -> Vec<Capability> {
        numbers
            .iter()
            .map(|number| Capability {
                r#type: Some(*number),
            })
            .collect()
    }

    #[test]
    fn unknown_numbers_are_left_out() {
        let mut list = wire(&[6, 0, 99, -1, 6, 5]);
        list.push(Capability { r#type: None });
        let set = FrameworkCapabilities::from_wire(&list);
        assert_eq!(
            set,
            FrameworkCapabilities::NONE
                .with(Type::PartitionAware)
                .with(Type::MultiRole)
        );
        assert_eq!(set.to_wire(), wire(&[5, 6]), "by number, once");
        assert!(!set.has(Type::Unknown));
        assert_eq!(format!("{set:?}"), r#"{"PARTITION_AWARE", "MULTI_ROLE"}"#);
    }

    #[test]
    fn sets_compare() {
        let all = FrameworkCapabilities::ALL;
        assert_eq!(all.iter().count(), 8);
        assert!(all.contains(FrameworkCapabilities::NONE));
        assert!(!FrameworkCapabilities::NONE.contains(all));
        assert!(!all.without(Type::MultiRole).is_multi_role());
        assert_eq!(AgentCapabilities::ALL.to_wire().len(), 8);
        assert_eq!(MasterCapabilities::ALL.to_wire().len(), 3);
    }

    #[test]
    fn the_format_follows_from_refinement() {
        assert_eq!(
            FrameworkCapabilities::NONE.resource_format(),
            ResourceFormat::PreRefinement
        );
        assert_eq!(
            FrameworkCapabilities::ALL.resource_format(),
            ResourceFormat::PostRefinement
        );
        assert!(FrameworkCapabilities::ALL.is_partition_aware());
    }
}
