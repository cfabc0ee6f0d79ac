//! Answers of `/api/v1`: a response of the call's own type, and in it the part of that name.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use http::StatusCode;
use meseta_proto::Wire;
use meseta_proto::mesos::v1;

use crate::answer::Answer;
use crate::compose::{Compose, Piece, Whole};
use crate::metrics::Metric;
use crate::negotiate::MediaType;

/// An answer to one call; `R` is the response that masters, or agents, give to all of theirs.
pub(crate) struct Reply<R> {
    name: &'static str,
    number: i32,
    accept: MediaType,
    of: PhantomData<R>,
}

impl<R: Wire> Reply<R> {
    /// Of the response's type `number`, called `name` like the call, in the form that is accepted.
    pub(crate) fn new(name: &'static str, number: i32, accept: MediaType) -> Self {
        Self {
            name,
            number,
            accept,
            of: PhantomData,
        }
    }

    fn begin(&self) -> Compose {
        Compose::new::<R>(self.accept).variant("type", self.name, self.number)
    }

    fn end(&self, composed: Compose) -> Answer {
        let body = composed.finish().0.into();
        Answer::whole(StatusCode::OK, self.accept.header(), body)
    }

    /// The type alone.
    pub(crate) fn bare(&self) -> Answer {
        self.end(self.begin())
    }

    /// With a part that is composed of what is there already.
    pub(crate) fn with(&self, field: &str, part: &impl Piece) -> Answer {
        self.end(self.begin().message(field, part))
    }

    /// With a part that is a message.
    pub(crate) fn whole<M: Wire>(&self, field: &str, part: M) -> Answer {
        self.with(field, &Whole(part))
    }

    /// That the call is known and not done yet.
    pub(crate) fn later(&self) -> Answer {
        Answer::not_implemented(format!("Meseta does not do {} yet", self.name))
    }
}

/// Metrics as GET_METRICS lists them.
pub(crate) fn metrics(metrics: Vec<Metric>) -> Vec<v1::Metric> {
    let metrics = metrics.into_iter().map(|metric| v1::Metric {
        name: metric.name,
        value: Some(metric.value),
    });
    metrics.collect()
}

/// Flags as GET_FLAGS lists them.
pub(crate) fn flags(flags: &BTreeMap<String, String>) -> Vec<v1::Flag> {
    let flags = flags.iter().map(|(name, value)| v1::Flag {
        name: name.clone(),
        value: Some(value.clone()),
    });
    flags.collect()
}
