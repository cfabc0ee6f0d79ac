//! One step of a scenario, in words.

use meseta_proto::mesos::v1;
use v1::framework_info::{Capability, capability};
use v1::scheduler::attribute_constraint::{Predicate, Selector, predicate, selector};
use v1::scheduler::offer_constraints::{RoleConstraints, role_constraints::Group};
use v1::scheduler::{AttributeConstraint, OfferConstraints};

use crate::words::quantities;

/// `verb plain… name=value…`
pub struct Call<'a> {
    pub verb: &'a str,
    plain: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Call<'a> {
    pub fn parse(line: &'a str) -> Self {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (named, plain): (Vec<_>, Vec<_>) =
            rest.split_whitespace().partition(|word| word.contains('='));
        Self {
            verb,
            plain,
            options: named
                .into_iter()
                .filter_map(|word| word.split_once('='))
                .collect(),
        }
    }

    /// The plain word at this place, from 0.
    pub fn word(&self, at: usize) -> &'a str {
        let word = self.plain.get(at).copied();
        word.unwrap_or_else(|| panic!("{} wants more words", self.verb))
    }

    /// The plain words from this place on.
    pub fn words(&self, from: usize) -> Vec<String> {
        let words = self.plain.iter().skip(from);
        words.map(|&word| word.to_owned()).collect()
    }

    pub fn options(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.options.iter().copied()
    }

    pub fn option(&self, name: &str) -> Option<&'a str> {
        let mut options = self.options();
        options.find_map(|(other, value)| (other == name).then_some(value))
    }

    /// The values of an option that may be given several times.
    pub fn each(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(other, value)| (other == name).then_some(value);
        self.options().filter_map(named)
    }

    /// The values of an option, by comma.
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.option(name).into_iter();
        values
            .flat_map(|value| value.split(','))
            .map(str::to_owned)
            .collect()
    }

    /// The quantities that an option names, zero among them.
    pub fn amounts(&self, name: &str) -> Vec<(String, f64)> {
        let pairs = self.list(name).into_iter().map(|pair| {
            let (name, quantity) = pair.split_once(':').expect("name:quantity");
            (name.to_owned(), quantity.parse().expect("a number"))
        });
        pairs.collect()
    }

    /// For how many seconds something is refused. Said by every step that refuses: how it settles
    /// depends on it.
    pub fn refuse_seconds(&self) -> f64 {
        let seconds = self.option("refuse").expect("refuse=seconds");
        seconds.parse().expect("a number")
    }

    /// The framework that a step describes, in all but its id.
    pub fn framework_info(&self) -> v1::FrameworkInfo {
        let mut names = self.list("can");
        names.extend(["MULTI_ROLE", "RESERVATION_REFINEMENT"].map(str::to_owned));
        let capabilities = names.iter().map(|name| {
            let kind = capability::Type::from_str_name(name).expect("a capability");
            Capability {
                r#type: Some(kind.into()),
            }
        });
        v1::FrameworkInfo {
            user: "root".to_owned(),
            name: self.word(0).to_owned(),
            roles: self.words(1),
            failover_timeout: Some(3600.0),
            capabilities: capabilities.collect(),
            offer_filters: self.each("min").map(offer_filters).collect(),
            ..Default::default()
        }
    }

    /// Its offer constraints.
    pub fn offer_constraints(&self) -> Option<OfferConstraints> {
        let role_constraints = self.each("match").map(constraints).collect();
        let constraints = OfferConstraints { role_constraints };
        (!constraints.role_constraints.is_empty()).then_some(constraints)
    }
}

fn offer_filters(text: &str) -> (String, v1::OfferFilters) {
    let (role, sets) = text.rsplit_once('/').expect("role/quantities");
    let of_a_set = |set: &str| {
        let pairs = quantities(set);
        let pairs = pairs.iter().map(|(name, quantity)| {
            let value = quantity.to_f64();
            (name.to_string(), v1::value::Scalar { value })
        });
        v1::offer_filters::ResourceQuantities {
            quantities: pairs.collect(),
        }
    };
    let sets = sets.split('|').filter(|set| !set.is_empty());
    let least = v1::offer_filters::MinAllocatableResources {
        quantities: sets.map(of_a_set).collect(),
    };
    let filters = v1::OfferFilters {
        min_allocatable_resources: Some(least),
    };
    (role.to_owned(), filters)
}

fn constraints(text: &str) -> (String, RoleConstraints) {
    let (role, groups) = text.rsplit_once('/').expect("role/rules");
    let groups = groups.split('|').map(|rules| Group {
        attribute_constraints: rules.split(',').map(constraint).collect(),
    });
    let groups = groups.collect();
    (role.to_owned(), RoleConstraints { groups })
}

/// `name=value`, `name!=value`, `name~pattern`, `name!~pattern`, `name!exists`, `name:exists`.
fn constraint(rule: &str) -> AttributeConstraint {
    let at = rule.find(['=', '~', '!', ':']).expect("an operator");
    let (name, rest) = rule.split_at(at);
    let mut predicate = Predicate::default();
    let text = |operator: &str| rest.strip_prefix(operator).map(str::to_owned);
    if let Some(value) = text("!=") {
        predicate.text_not_equals = Some(predicate::TextNotEquals { value });
    } else if let Some(value) = text("=") {
        predicate.text_equals = Some(predicate::TextEquals { value });
    } else if let Some(regex) = text("!~") {
        predicate.text_not_matches = Some(predicate::TextNotMatches { regex });
    } else if let Some(regex) = text("~") {
        predicate.text_matches = Some(predicate::TextMatches { regex });
    } else if rest == "!exists" {
        predicate.not_exists = Some(predicate::NotExists {});
    } else {
        assert_eq!(rest, ":exists", "{rule}");
        predicate.exists = Some(predicate::Exists {});
    }
    let selector = match selector::PseudoattributeType::from_str_name(name) {
        Some(kind) => Selector {
            pseudoattribute_type: Some(kind.into()),
            attribute_name: None,
        },
        None => Selector {
            pseudoattribute_type: None,
            attribute_name: Some(name.to_owned()),
        },
    };
    AttributeConstraint {
        selector,
        predicate,
    }
}
