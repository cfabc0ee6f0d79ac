//! One typed id per kind of thing. Cheap to clone; ordered by text.

use std::fmt;
use std::sync::Arc;

use meseta_proto::mesos::v1;

macro_rules! id {
    ($(#[$doc:meta] $name:ident => $wire:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text; validity is checked where it enters (`validation`).
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The wire form.
            #[must_use]
            pub fn to_wire(&self) -> v1::$wire {
                v1::$wire { value: self.0.to_string() }
            }
        }

        impl From<&v1::$wire> for $name {
            fn from(wire: &v1::$wire) -> Self {
                Self(wire.value.as_str().into())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    )+};
}

id! {
    /// A framework: master id, dash, four or more digits.
    FrameworkId => FrameworkId,
    /// An agent: master id, `-S`, a counter.
    AgentId => AgentId,
    /// An offer or inverse offer: master id, `-O`, a counter.
    OfferId => OfferId,
    /// A task; chosen by the framework, unique among its live and unreachable tasks.
    TaskId => TaskId,
    /// An executor; chosen by the framework, unique per framework and agent.
    ExecutorId => ExecutorId,
    /// An operation; chosen by the framework.
    OperationId => OperationId,
}

/// The most levels a container id may have (Mesos: `MAX_CONTAINER_DEPTH` 32).
pub const CONTAINER_DEPTH_LIMIT: usize = 32;

/// A container, as the path from its outermost parent: `[executor run, nested, …]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ContainerId(Arc<[String]>);

impl ContainerId {
    /// A top-level container.
    #[must_use]
    pub fn root(value: impl Into<String>) -> Self {
        Self(Arc::from([value.into()]))
    }

    /// A container nested in this one; `None` past [`CONTAINER_DEPTH_LIMIT`].
    #[must_use]
    pub fn child(&self, value: impl Into<String>) -> Option<Self> {
        if self.0.len() >= CONTAINER_DEPTH_LIMIT {
            return None;
        }
        let mut path = self.0.to_vec();
        path.push(value.into());
        Some(Self(path.into()))
    }

    /// From outermost to innermost; never empty.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.0
    }

    /// The innermost value.
    #[must_use]
    pub fn value(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The wire form, parents nested inside.
    #[must_use]
    pub fn to_wire(&self) -> v1::ContainerId {
        let mut wire: Option<v1::ContainerId> = None;
        for value in self.0.iter() {
            wire = Some(v1::ContainerId {
                value: value.clone(),
                parent: wire.map(Box::new),
            });
        }
        wire.unwrap_or_default()
    }

    /// From the wire form; `None` past [`CONTAINER_DEPTH_LIMIT`].
    #[must_use]
    pub fn from_wire(wire: &v1::ContainerId) -> Option<Self> {
        let mut path = vec![wire.value.clone()];
        let mut next = wire.parent.as_deref();
        while let Some(parent) = next {
            if path.len() >= CONTAINER_DEPTH_LIMIT {
                return None;
            }
            path.push(parent.value.clone());
            next = parent.parent.as_deref();
        }
        path.reverse();
        Some(Self(path.into()))
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_their_text() {
        let id = TaskId::new("t-1");
        assert_eq!(
            id.to_wire(),
            v1::TaskId {
                value: "t-1".to_owned()
            }
        );
        assert_eq!(TaskId::from(&id.to_wire()), id);
        assert_eq!(
            (id.to_string(), format!("{id:?}")),
            ("t-1".to_owned(), "TaskId(t-1)".to_owned())
        );
        assert!(TaskId::new("a") < TaskId::new("b"));
    }

    #[test]
    fn containers_are_paths() {
        let Some(nested) = ContainerId::root("outer")
            .child("middle")
            .and_then(|c| c.child("inner"))
        else {
            panic!("three levels fit");
        };
        assert_eq!(nested.path(), ["outer", "middle", "inner"]);
        assert_eq!(
            (nested.value(), nested.to_string().as_str()),
            ("inner", "outer.middle.inner")
        );
        let wire = nested.to_wire();
        assert_eq!(wire.value, "inner");
        assert_eq!(
            wire.parent.as_ref().map(|parent| parent.value.as_str()),
            Some("middle")
        );
        assert_eq!(ContainerId::from_wire(&wire), Some(nested));
    }

    #[test]
    fn containers_nest_only_so_deep() {
        let mut deepest = ContainerId::root("x");
        while let Some(child) = deepest.child("x") {
            deepest = child;
        }
        assert_eq!(deepest.path().len(), CONTAINER_DEPTH_LIMIT);
        assert_eq!(
            ContainerId::from_wire(&deepest.to_wire()),
            Some(deepest.clone())
        );
        let parent = Some(Box::new(deepest.to_wire()));
        let deeper = v1::ContainerId {
            value: "x".to_owned(),
            parent,
        };
        assert_eq!(ContainerId::from_wire(&deeper), None);
    }
}
