//! Resources as the legacy JSON documents total them.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Quantities, Resource, ResourceName, Resources, Value};

/// Totals by name as `/state` and its kin show them:
/// `{"disk":0.0,"mem":128.0,"gpus":0.0,"cpus":1.0,"ports":"[31000-32000]"}`.
///
/// The four known quantities are always there, in this order; then the others by name; revocable
/// totals under `NAME_revocable`. Ranges and sets are text.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceDocument(Vec<(String, Value)>);

impl Resources {
    /// The totals as legacy documents show them.
    #[must_use]
    pub fn document(&self) -> ResourceDocument {
        let always = [
            ResourceName::Disk,
            ResourceName::Mem,
            ResourceName::Gpus,
            ResourceName::Cpus,
        ];
        let firm = self.non_revocable();
        let mut fields: Vec<(String, Value)> = always
            .iter()
            .map(|name| (name.to_string(), Value::Scalar(firm.total(name))))
            .collect();
        let others = firm
            .names()
            .into_iter()
            .filter(|name| !always.contains(name));
        fields.extend(others.map(|name| (name.to_string(), firm.value_of(&name))));
        let revocable = self.revocable();
        let names = revocable.names().into_iter();
        fields.extend(names.map(|name| (format!("{name}_revocable"), revocable.value_of(&name))));
        ResourceDocument(fields)
    }

    /// The names that appear, each once, in their order.
    #[must_use]
    pub fn names(&self) -> Vec<ResourceName> {
        let mut names: Vec<ResourceName> = self.iter().map(|entry| entry.name().clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Everything of that name, in the type its first entry has.
    fn value_of(&self, name: &ResourceName) -> Value {
        match self
            .iter()
            .find(|entry| entry.name() == name)
            .map(Resource::value)
        {
            Some(Value::Ranges(_)) => Value::Ranges(self.ranges(name)),
            Some(Value::Set(_)) => Value::Set(self.items(name)),
            _ => Value::Scalar(self.total(name)),
        }
    }
}

impl ResourceDocument {
    /// Names and values in the order shown.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl Serialize for ResourceDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            match value {
                Value::Scalar(quantity) => map.serialize_entry(name, &quantity.to_f64())?,
                Value::Ranges(ranges) => map.serialize_entry(name, &ranges.to_string())?,
                Value::Set(items) => {
                    let items: Vec<&str> = items.iter().map(String::as_str).collect();
                    map.serialize_entry(name, &format!("{{{}}}", items.join(", ")))?;
                }
            }
        }
        map.end()
    }
}

impl Serialize for Quantities {
    /// `{"cpus":1.0,"mem":128.0}`, as `/roles` shows totals; what is zero is left out.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.iter()
                .map(|(name, quantity)| (name.as_str(), quantity.to_f64())),
        )
    }
}
