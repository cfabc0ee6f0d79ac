//! Offer constraints against the answers of a genuine master.
//!
//! `golden/constraints.txt` was recorded from Mesos 1.11: a framework with one constraint, an agent with
//! the attributes `level:7;rack:r1;span:[1-5]` and no domain, and whether an offer came. Each line is a
//! selector, a predicate, its value and the answer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use meseta_allocator::{
    Attribute, Constraint, Pattern, PatternLimits, Predicate, RoleConstraints, Selector, Site,
};

fn agent() -> Site {
    let attribute = |name: &str, text: Option<&str>| Attribute {
        name: name.to_owned(),
        text: text.map(str::to_owned),
    };
    Site {
        hostname: "127.0.0.1".to_owned(),
        attributes: vec![
            attribute("level", None),
            attribute("rack", Some("r1")),
            attribute("span", None),
        ],
        region: None,
        zone: None,
    }
}

fn constraint(selector: &str, predicate: &str, value: &str) -> Constraint {
    let text = || value.to_owned();
    let pattern = || Pattern::compile(value, PatternLimits::default()).expect(value);
    Constraint {
        selector: match selector {
            "HOSTNAME" => Selector::Hostname,
            "REGION" => Selector::Region,
            "ZONE" => Selector::Zone,
            name => Selector::Attribute(name.to_owned()),
        },
        predicate: match predicate {
            "exists" => Predicate::Exists,
            "not_exists" => Predicate::NotExists,
            "text_equals" => Predicate::TextEquals(text()),
            "text_not_equals" => Predicate::TextNotEquals(text()),
            "text_matches" => Predicate::TextMatches(pattern()),
            "text_not_matches" => Predicate::TextNotMatches(pattern()),
            other => panic!("predicate {other}"),
        },
    }
}

#[test]
fn agents_match_as_a_genuine_master_says() {
    let recorded = include_str!("golden/constraints.txt");
    let mut ours = String::new();
    for line in recorded.lines() {
        let (question, _) = line.split_once(" -> ").expect("an answer");
        let mut words = question.splitn(3, ' ');
        let (selector, predicate) = (words.next().unwrap(), words.next().unwrap());
        let constraint = constraint(selector, predicate, words.next().unwrap_or(""));
        let constraints = RoleConstraints {
            groups: vec![vec![constraint]],
        };
        let matches = constraints.matches(&agent());
        let answer = if matches { "offered" } else { "nothing" };
        ours += &format!("{question} -> {answer}\n");
    }
    assert_eq!(ours, recorded);
}
