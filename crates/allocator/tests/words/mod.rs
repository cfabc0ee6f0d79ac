//! How tests spell resources: `cpus:4; mem:1024`, `cpus(a):2` reserved to `a`, `cpus(a,a/b):1`
//! refined, `disk(a)[v1]<SHARED>:64` a shared volume, `cpus{REV}:1` revocable, `ports:[1-9]`.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use meseta_model::resources::{
    Disk, Kind, Persistence, Quantities, Ranges, Reservation, Resource, ResourceName, Resources,
    Scalar, Value,
};
use meseta_model::roles::Role;

pub fn quantity(text: &str) -> Scalar {
    Scalar::try_from_f64(text.trim().parse().expect("a number")).expect("a quantity")
}

pub fn quantities(text: &str) -> Quantities {
    let pairs = text
        .split([';', ','])
        .filter(|part| !part.trim().is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.trim().split_once(':').expect("name:value");
            (ResourceName::new(name), quantity(value))
        })
        .collect()
}

pub fn resources(text: &str) -> Resources {
    let entries = text.split(';').filter(|part| !part.trim().is_empty());
    entries.map(|entry| resource(entry.trim())).collect()
}

fn resource(text: &str) -> Resource {
    let (key, value) = text.split_once(':').expect("key:value");
    let name_end = key.find(['(', '[', '{', '<']).unwrap_or(key.len());
    let (name, marks) = key.split_at(name_end);
    let between = |open: char, close: char| {
        let from = marks.find(open)? + 1;
        let to = from + marks[from..].find(close)?;
        Some(&marks[from..to])
    };
    let reservations = between('(', ')').map_or(Vec::new(), |roles| {
        let roles = roles.split(',').map(|role| Role::from(role.trim()));
        roles.map(Reservation::dynamic).collect()
    });
    let volume = between('[', ']').map(|id| Disk {
        persistence: Some(Persistence {
            id: id.to_owned(),
            principal: None,
        }),
        ..Disk::default()
    });
    let kind = Kind {
        reservations,
        disk: volume,
        revocable: marks.contains("{REV}"),
        shared: marks.contains("<SHARED>"),
        ..Kind::default()
    };
    Resource::new(ResourceName::new(name), self::value(value), kind)
}

fn value(text: &str) -> Value {
    let Some(list) = text.strip_prefix('[') else {
        return Value::Scalar(quantity(text));
    };
    let pairs = list.trim_end_matches(']').split(',').map(|pair| {
        let (begin, end) = pair.trim().split_once('-').expect("begin-end");
        (
            begin.parse().expect("a number"),
            end.parse().expect("a number"),
        )
    });
    Value::Ranges(Ranges::from_pairs(pairs))
}

pub fn show(resources: &Resources) -> String {
    let entries: Vec<String> = resources.iter().map(show_one).collect();
    entries.join("; ")
}

fn show_one(entry: &Resource) -> String {
    let mut text = entry.name().to_string();
    if !entry.is_unreserved() {
        let roles: Vec<&str> = entry
            .reservations()
            .iter()
            .map(|reservation| reservation.role.as_str())
            .collect();
        text += &format!("({})", roles.join(","));
    }
    if let Some(id) = entry.persistence_id() {
        text += &format!("[{id}]");
    }
    if entry.is_revocable() {
        text += "{REV}";
    }
    if entry.is_shared() {
        text += "<SHARED>";
    }
    match entry.value() {
        Value::Scalar(quantity) => text + &format!(":{quantity}"),
        Value::Ranges(ranges) => text + &format!(":{ranges}"),
        Value::Set(items) => text + &format!(":{items:?}"),
    }
}
