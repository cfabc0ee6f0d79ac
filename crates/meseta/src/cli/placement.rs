//! Which task fits which offer.

use meseta_proto::mesos::v1;

/// What a task needs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Needs {
    /// Name and amount; amounts of zero need not be there.
    pub scalars: Vec<(&'static str, f64)>,
    /// Attribute and value that the agent must have.
    pub constraints: Vec<(String, String)>,
}

impl Needs {
    /// What `attributes` lacks of the constraints, for people.
    #[must_use]
    pub fn unmet(&self, attributes: &[v1::Attribute]) -> Option<String> {
        let met = |name: &str, value: &str| {
            attributes
                .iter()
                .any(|attribute| attribute.name == name && attribute_text(attribute) == value)
        };
        let unmet = self
            .constraints
            .iter()
            .find(|(name, value)| !met(name, value));
        unmet.map(|(name, value)| format!("its attributes lack {name}={value}"))
    }

    /// Every need that `resources` does not meet, for people.
    #[must_use]
    pub fn shortfalls(&self, resources: &[v1::Resource]) -> Vec<String> {
        let short = self.scalars.iter().filter_map(|(name, need)| {
            let has = amount(resources, name);
            (millis(has) < millis(*need)).then(|| format!("{name}: {has} of {need}"))
        });
        short.collect()
    }
}

/// What is left of an offer.
#[derive(Debug)]
pub struct Pool<'a> {
    left: Vec<v1::Resource>,
    attributes: &'a [v1::Attribute],
}

impl<'a> Pool<'a> {
    /// The whole offer.
    #[must_use]
    pub fn new(offer: &'a v1::Offer) -> Self {
        Self {
            left: offer.resources.clone(),
            attributes: &offer.attributes,
        }
    }

    /// Takes what is needed out of the pool; `None`, and nothing taken, if it does not hold that.
    pub fn take(&mut self, needs: &Needs) -> Option<Vec<v1::Resource>> {
        if needs.unmet(self.attributes).is_some() || !needs.shortfalls(&self.left).is_empty() {
            return None;
        }
        let mut taken = Vec::new();
        for (name, need) in &needs.scalars {
            let mut wanted = millis(*need);
            for resource in self
                .left
                .iter_mut()
                .filter(|r| r.name == *name && r.disk.is_none())
            {
                let Some(scalar) = &mut resource.scalar else {
                    continue;
                };
                let part = wanted.min(millis(scalar.value));
                if part <= 0 {
                    continue;
                }
                scalar.value = (millis(scalar.value) - part) as f64 / 1000.0;
                wanted -= part;
                let scalar = Some(v1::value::Scalar {
                    value: part as f64 / 1000.0,
                });
                taken.push(v1::Resource {
                    scalar,
                    ..resource.clone()
                });
            }
        }
        Some(taken)
    }

    /// Everything that is left.
    #[must_use]
    pub fn rest(self) -> Vec<v1::Resource> {
        let left = self.left.into_iter();
        left.filter(|r| r.scalar.as_ref().is_none_or(|scalar| scalar.value > 0.0))
            .collect()
    }
}

/// The sum of a scalar, volumes and special disks left out.
fn amount(resources: &[v1::Resource], name: &str) -> f64 {
    let plain = resources
        .iter()
        .filter(|r| r.name == name && r.disk.is_none());
    plain
        .filter_map(|r| r.scalar.as_ref())
        .map(|scalar| scalar.value)
        .fold(0.0, |sum, value| sum + value)
}

/// Thousandths, the unit in which Mesos compares.
fn millis(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

fn attribute_text(attribute: &v1::Attribute) -> String {
    if let Some(text) = &attribute.text {
        return text.value.clone();
    }
    attribute
        .scalar
        .as_ref()
        .map(|scalar| scalar.value.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Needs, Pool};
    use meseta_proto::mesos::v1;

    #[allow(deprecated)]
    fn scalar(name: &str, value: f64, role: Option<&str>) -> v1::Resource {
        v1::Resource {
            name: name.into(),
            r#type: v1::value::Type::Scalar.into(),
            scalar: Some(v1::value::Scalar { value }),
            role: role.map(Into::into),
            ..Default::default()
        }
    }

    fn offer() -> v1::Offer {
        let text = Some(v1::value::Text { value: "r1".into() });
        let rack = v1::Attribute {
            name: "rack".into(),
            text,
            ..Default::default()
        };
        let resources = vec![
            scalar("cpus", 0.3, None),
            scalar("cpus", 1.0, Some("web")),
            scalar("mem", 64.0, None),
        ];
        v1::Offer {
            attributes: vec![rack],
            resources,
            ..Default::default()
        }
    }

    #[test]
    fn a_need_may_be_met_from_several_reservations() {
        let offer = offer();
        let mut pool = Pool::new(&offer);
        let needs = Needs {
            scalars: vec![("cpus", 0.5), ("mem", 64.0)],
            ..Default::default()
        };
        let taken = pool.take(&needs).expect("it fits");
        let expected = [
            scalar("cpus", 0.3, None),
            scalar("cpus", 0.2, Some("web")),
            scalar("mem", 64.0, None),
        ];
        assert_eq!(taken, expected);
        assert_eq!(pool.take(&needs), None, "the memory is used up");
        assert_eq!(needs.shortfalls(&pool.left), ["mem: 0 of 64"]);
    }

    #[test]
    fn constraints_are_named_when_unmet() {
        let offer = offer();
        let constraint = |value: &str| Needs {
            constraints: vec![("rack".into(), value.into())],
            ..Default::default()
        };
        assert_eq!(Pool::new(&offer).take(&constraint("r1")), Some(vec![]));
        assert_eq!(Pool::new(&offer).take(&constraint("r2")), None);
        assert_eq!(
            constraint("r2").unmet(&offer.attributes).as_deref(),
            Some("its attributes lack rack=r2")
        );
    }
}
