//! What is shown, what is read, and what is refused, rule by rule.

#![allow(clippy::expect_used)]

mod reading;
mod refusals;
mod showing;

use super::*;
use crate::mesos::v1;

fn read<M: Wire>(text: &str) -> Result<M, String> {
    from_json(text.as_bytes()).map_err(|error| error.to_string())
}

fn refusal<M: Wire + std::fmt::Debug>(text: &str) -> String {
    read::<M>(text).expect_err("refused")
}

fn show<M: Wire>(message: &M) -> String {
    String::from_utf8(to_json(message)).expect("UTF-8")
}

fn weight(text: &str) -> Result<f64, String> {
    read::<v1::WeightInfo>(&format!(r#"{{"weight":{text}}}"#)).map(|info| info.weight)
}
