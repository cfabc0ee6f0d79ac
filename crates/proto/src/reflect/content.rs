//! The Rust types that fields have, as values to read and places to write.
use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Place, Record, Value};

/// What a field's type can do.
pub trait Content: Send + Sync {
    /// Reads it.
    fn get(&self) -> Value<'_>;
    /// Gives access to it for writing.
    fn place(&mut self) -> Place<'_>;
}

/// A field that may be unset.
pub trait Maybe {
    /// Reads it; [`Value::Unset`] when unset.
    fn get(&self) -> Value<'_>;
    /// What is set, for writing.
    fn get_mut(&mut self) -> Option<Place<'_>>;
    /// Sets it to an empty value and gives access to that.
    fn set(&mut self) -> Place<'_>;
    /// Unsets it.
    fn unset(&mut self);
}

/// A repeated field.
pub trait List: Send + Sync + std::fmt::Debug {
    /// How many elements there are.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The element at `index`, or [`Value::Unset`] beyond the end.
    fn get(&self, index: usize) -> Value<'_>;
    /// Removes all elements.
    fn clear(&mut self);
    /// Appends an empty element and gives access to it.
    fn push(&mut self) -> Place<'_>;
    /// Removes the elements for which `keep` is false.
    fn retain(&mut self, keep: &dyn Fn(Value<'_>) -> bool);
    /// Visits all elements.
    fn each(&mut self, visit: &mut dyn FnMut(Place<'_>));
}

/// A map from strings.
pub trait Map: Send + Sync + std::fmt::Debug {
    /// Whether there is no entry.
    fn is_empty(&self) -> bool;
    /// Visits all entries in the order of their keys.
    fn entries(&self, visit: &mut dyn FnMut(&str, Value<'_>));
    /// Removes all entries.
    fn clear(&mut self);
    /// Removes one entry.
    fn remove(&mut self, key: &str);
    /// Puts an empty value under `key` and gives access to it.
    fn insert(&mut self, key: &str) -> Place<'_>;
    /// Visits all values.
    fn each(&mut self, visit: &mut dyn FnMut(Place<'_>));
}

macro_rules! scalars {
    ($($type:ty, $variant:ident;)*) => {
        $(impl Content for $type {
            fn get(&self) -> Value<'_> {
                Value::$variant(*self)
            }

            fn place(&mut self) -> Place<'_> {
                Place::$variant(self)
            }
        })*
    };
}

scalars! {
    bool, Bool;
    i32, I32;
    i64, I64;
    u32, U32;
    u64, U64;
    f64, F64;
}

impl Content for String {
    fn get(&self) -> Value<'_> {
        Value::Str(self)
    }

    fn place(&mut self) -> Place<'_> {
        Place::Str(self)
    }
}

impl Content for Bytes {
    fn get(&self) -> Value<'_> {
        Value::Bytes(self)
    }

    fn place(&mut self) -> Place<'_> {
        Place::Bytes(self)
    }
}

impl<M: Record> Content for Box<M> {
    fn get(&self) -> Value<'_> {
        Value::Message(self.as_ref())
    }

    fn place(&mut self) -> Place<'_> {
        Place::Message(self.as_mut())
    }
}

impl<T: Content + Default> Content for Option<T> {
    fn get(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Unset, Content::get)
    }

    fn place(&mut self) -> Place<'_> {
        Place::Maybe(self)
    }
}

impl<T: Content + Default> Maybe for Option<T> {
    fn get(&self) -> Value<'_> {
        Content::get(self)
    }

    fn get_mut(&mut self) -> Option<Place<'_>> {
        self.as_mut().map(Content::place)
    }

    fn set(&mut self) -> Place<'_> {
        self.insert(T::default()).place()
    }

    fn unset(&mut self) {
        *self = None;
    }
}

impl<T: Content + Default + std::fmt::Debug> Content for Vec<T> {
    fn get(&self) -> Value<'_> {
        Value::List(self)
    }

    fn place(&mut self) -> Place<'_> {
        Place::List(self)
    }
}

impl<T: Content + Default + std::fmt::Debug> List for Vec<T> {
    fn len(&self) -> usize {
        self.len()
    }

    fn get(&self, index: usize) -> Value<'_> {
        self.as_slice()
            .get(index)
            .map_or(Value::Unset, Content::get)
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn push(&mut self) -> Place<'_> {
        self.push_mut(T::default()).place()
    }

    fn retain(&mut self, keep: &dyn Fn(Value<'_>) -> bool) {
        self.retain(|element| keep(element.get()));
    }

    fn each(&mut self, visit: &mut dyn FnMut(Place<'_>)) {
        for element in self {
            visit(element.place());
        }
    }
}

impl<T: Content + Default + std::fmt::Debug> Content for BTreeMap<String, T> {
    fn get(&self) -> Value<'_> {
        Value::Map(self)
    }

    fn place(&mut self) -> Place<'_> {
        Place::Map(self)
    }
}

impl<T: Content + Default + std::fmt::Debug> Map for BTreeMap<String, T> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn entries(&self, visit: &mut dyn FnMut(&str, Value<'_>)) {
        for (key, value) in self {
            visit(key, value.get());
        }
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn remove(&mut self, key: &str) {
        self.remove(key);
    }

    fn insert(&mut self, key: &str) -> Place<'_> {
        let value = self.entry(key.to_owned()).or_default();
        *value = T::default();
        value.place()
    }

    fn each(&mut self, visit: &mut dyn FnMut(Place<'_>)) {
        for value in self.values_mut() {
            visit(value.place());
        }
    }
}
