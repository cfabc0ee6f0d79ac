//! The flags that say how resources are offered, as the allocator takes them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use meseta_allocator::{Config, PatternLimits, Scoring, SorterKind};
use meseta_model::resources::{Quantities, Resource, ResourceName, Resources, Scalar, Value};
use meseta_model::roles::{self, Role};
use meseta_model::units;
use meseta_proto::json::from_json;
use meseta_proto::mesos::v1;

use super::Values;

/// The allocator's settings.
///
/// # Errors
/// A value makes no sense.
pub fn allocation(values: &Values) -> anyhow::Result<Config> {
    let default = Config::default();
    let us = |name: &str, absent_us: u64| values.duration(name).map_or(absent_us, micros);
    let config = Config {
        allocation_interval_us: us("allocation_interval", default.allocation_interval_us),
        min_allocatable: minimums(values.text("min_allocatable_resources").unwrap_or_default())
            .context("--min_allocatable_resources")?,
        filter_gpus: values.bool("filter_gpu_resources"),
        role_sorter: sorter(values, "role_sorter")?,
        framework_sorter: sorter(values, "framework_sorter")?,
        weights: weights(values.text("weights").unwrap_or_default()).context("--weights")?,
        fair_sharing_excluded: names(values, "fair_sharing_excluded_resource_names"),
        recovery_factor: values
            .number("allocator_agent_recovery_factor")
            .unwrap_or(default.recovery_factor),
        recovery_timeout_us: us("allocator_recovery_timeout", default.recovery_timeout_us),
        scores: scores(values.text("allocator_scores").unwrap_or_default())?,
        scarce: names(values, "scarce_resource_names"),
        charge_reservations: values.bool("charge_reservations"),
        longest_refusal_us: values.duration("longest_refusal").map(micros),
        starvation_us: us("starvation_warning", default.starvation_us),
        ..default
    };
    config.validate()?;
    Ok(config)
}

/// The bounds of a constraint's expression.
#[must_use]
pub fn constraint_limits(values: &Values) -> PatternLimits {
    let default = PatternLimits::default();
    let bytes: Option<units::Bytes> = values
        .text("offer_constraints_re2_max_mem")
        .and_then(|text| text.parse().ok());
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    PatternLimits {
        max_mem: bytes.map_or(default.max_mem, |bytes| whole(bytes.0)),
        max_program_size: values
            .count("offer_constraints_re2_max_program_size")
            .map_or(default.max_program_size, whole),
    }
}

/// Where this master is.
///
/// # Errors
/// It is no `DomainInfo`.
pub fn domain(values: &Values) -> anyhow::Result<Option<v1::DomainInfo>> {
    let text = values.text("domain");
    let domain = text.map(|text| from_json(text.as_bytes()));
    domain.transpose().context("--domain")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn sorter(values: &Values, name: &str) -> anyhow::Result<SorterKind> {
    match values.text(name) {
        Some("drf") | None => Ok(SorterKind::Drf),
        Some("random") => Ok(SorterKind::Random),
        Some(other) => bail!("--{name}={other}: expecting drf or random"),
    }
}

/// The parts between separators, without those that are empty.
fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let parts = text.split(separator).map(str::trim);
    parts.filter(|part| !part.is_empty())
}

fn names(values: &Values, flag: &str) -> BTreeSet<ResourceName> {
    let text = values.text(flag).unwrap_or_default();
    parts(text, ',').map(ResourceName::new).collect()
}

fn scores(text: &str) -> anyhow::Result<Vec<Scoring>> {
    let named = |name: &str| {
        Scoring::named(name).with_context(|| {
            let known: Vec<&str> = Scoring::names().collect();
            format!(
                "--allocator_scores: '{name}' is none of {}",
                known.join(", ")
            )
        })
    };
    parts(text, ',').map(named).collect()
}

fn weights(text: &str) -> anyhow::Result<BTreeMap<Role, f64>> {
    let mut weights = BTreeMap::new();
    for pair in parts(text, ',') {
        let (role, weight) = pair
            .split_once('=')
            .with_context(|| format!("'{pair}' is not role=weight"))?;
        let weight = weight
            .parse()
            .with_context(|| format!("'{weight}' is no number"))?;
        roles::validate(role)?;
        let twice = weights.insert(Role::from(role), weight);
        ensure!(twice.is_none(), "role '{role}' is named twice");
    }
    Ok(weights)
}

fn minimums(text: &str) -> anyhow::Result<Vec<Quantities>> {
    let least = |part: &str| -> anyhow::Result<Quantities> {
        let resources = Resources::parse(part, &Role::default())?;
        ensure!(
            resources.iter().all(Resource::is_unreserved),
            "'{part}' names a role"
        );
        Ok(resources.iter().map(amount).collect())
    };
    parts(text, '|').map(least).collect()
}

/// Numbers and items count one each, as in Mesos.
fn amount(entry: &Resource) -> (ResourceName, Scalar) {
    let whole = |count: u64| Scalar::from_whole(i64::try_from(count).unwrap_or(i64::MAX));
    let amount = match entry.value() {
        Value::Scalar(quantity) => *quantity,
        Value::Ranges(ranges) => whole(ranges.count()),
        Value::Set(items) => whole(items.len() as u64),
    };
    (entry.name().clone(), amount)
}

#[cfg(test)]
mod tests {
    use super::super::MASTER;
    use super::*;

    fn read(line: &[&str]) -> anyhow::Result<Config> {
        let line: Vec<String> = line.iter().map(|&argument| argument.to_owned()).collect();
        let values = Values::parse(&[MASTER], &line, std::iter::empty()).expect("known flags");
        allocation(&values)
    }

    fn refused(argument: &str) -> String {
        format!("{:#}", read(&[argument]).expect_err(argument))
    }

    #[test]
    fn without_flags_all_is_as_in_mesos() {
        assert_eq!(read(&[]).expect("valid"), Config::default());
    }

    #[test]
    fn every_flag_has_its_setting() {
        let given = read(&[
            "--allocation_interval=250ms",
            "--min_allocatable_resources=cpus:1;mem:64|ports:[1-10]",
            "--no-filter_gpu_resources",
            "--role_sorter=random",
            "--framework_sorter=random",
            "--weights=a=2,b/c=0.5",
            "--fair_sharing_excluded_resource_names=gpus,fpgas",
            "--allocator_agent_recovery_factor=0.5",
            "--allocator_recovery_timeout=1mins",
            "--allocator_scores=scarce,pack",
            "--scarce_resource_names=fpgas",
            "--charge_reservations",
            "--longest_refusal=1hrs",
            "--starvation_warning=1mins",
        ]);
        let named = |name| Scoring::named(name).expect("a score");
        let quantity = |name: &str, whole| (ResourceName::new(name), Scalar::from_whole(whole));
        let expected = Config {
            allocation_interval_us: 250_000,
            min_allocatable: vec![
                [quantity("cpus", 1), quantity("mem", 64)]
                    .into_iter()
                    .collect(),
                [quantity("ports", 10)].into_iter().collect(),
            ],
            filter_gpus: false,
            role_sorter: SorterKind::Random,
            framework_sorter: SorterKind::Random,
            weights: BTreeMap::from([(Role::from("a"), 2.0), (Role::from("b/c"), 0.5)]),
            fair_sharing_excluded: BTreeSet::from([ResourceName::Gpus, ResourceName::new("fpgas")]),
            recovery_factor: 0.5,
            recovery_timeout_us: 60_000_000,
            scores: vec![named("scarce"), named("pack")],
            scarce: BTreeSet::from([ResourceName::new("fpgas")]),
            charge_reservations: true,
            longest_refusal_us: Some(3_600_000_000),
            starvation_us: 60_000_000,
            ..Config::default()
        };
        assert_eq!(given.expect("valid"), expected);
        let all = read(&["--min_allocatable_resources="]).expect("valid");
        assert!(all.min_allocatable.is_empty(), "every offer may go out");
    }

    #[test]
    fn nonsense_is_refused_in_the_words_of_the_flag() {
        let cases = [
            (
                "--role_sorter=fair",
                "--role_sorter=fair: expecting drf or random",
            ),
            ("--weights=a", "--weights: 'a' is not role=weight"),
            (
                "--weights=a=x",
                "--weights: 'x' is no number: invalid float literal",
            ),
            (
                "--weights=a//b=1",
                "--weights: Role 'a//b' cannot contain two adjacent slashes",
            ),
            ("--weights=a=1,a=2", "--weights: role 'a' is named twice"),
            ("--weights=a=0", "the weight of role 'a' must be above zero"),
            (
                "--allocator_agent_recovery_factor=2",
                "allocator_agent_recovery_factor must be between 0 and 1",
            ),
            (
                "--allocator_scores=best",
                "--allocator_scores: 'best' is none of pack, spread, largest_demand, scarce",
            ),
            (
                "--min_allocatable_resources=cpus(a):1",
                "--min_allocatable_resources: 'cpus(a):1' names a role",
            ),
        ];
        for (argument, why) in cases {
            assert_eq!(refused(argument), why);
        }
    }

    #[test]
    fn constraints_and_domain() {
        let line = [
            "--offer_constraints_re2_max_mem=8KB",
            "--offer_constraints_re2_max_program_size=50",
            r#"--domain={"fault_domain":{"region":{"name":"r"},"zone":{"name":"z"}}}"#,
        ];
        let line: Vec<String> = line.iter().map(|&argument| argument.to_owned()).collect();
        let values = Values::parse(&[MASTER], &line, std::iter::empty()).expect("known flags");
        let bounds = PatternLimits {
            max_mem: 8_192,
            max_program_size: 50,
        };
        assert_eq!(constraint_limits(&values), bounds);
        let region = domain(&values)
            .expect("valid")
            .and_then(|domain| domain.fault_domain);
        assert_eq!(
            region.map(|domain| domain.region.name).as_deref(),
            Some("r")
        );
        let absent = Values::parse(&[MASTER], &[], std::iter::empty()).expect("nothing");
        assert_eq!(constraint_limits(&absent), PatternLimits::default());
        assert!(domain(&absent).expect("nothing").is_none());
    }
}
