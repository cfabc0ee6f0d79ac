//! Who leads, and what a master that does not lead answers.

use std::sync::{Arc, PoisonError, RwLock};

use http::header::{self, HeaderValue};
use http::{StatusCode, Uri};

use crate::answer::Answer;

/// Where a master stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Leadership {
    /// It leads, and its registry is recovered.
    Leading,
    /// It won the election; the registry is not read yet.
    Recovering,
    /// Another one leads, or nobody.
    #[default]
    NotLeading,
    /// Another one leads: the `host:port` that it advertises.
    LedBy(String),
}

/// The current standing, shared by all requests.
#[derive(Debug, Default)]
pub(crate) struct Lead(RwLock<Arc<Leadership>>);

impl Lead {
    pub(crate) fn set(&self, leadership: Leadership) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(leadership);
    }

    pub(crate) fn get(&self) -> Arc<Leadership> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether this master answers for the cluster; if not, what to say about `target` instead.
    pub(crate) fn check(&self, target: &str) -> Result<(), Answer> {
        match &*self.get() {
            Leadership::Leading => Ok(()),
            Leadership::Recovering => Err(Answer::unavailable("Master has not finished recovery")),
            Leadership::NotLeading => Err(no_leader()),
            Leadership::LedBy(leader) => Err(redirect(leader, target)),
        }
    }

    /// `/redirect`: the leader's address, this master's own (`own`) if it leads.
    pub(crate) fn redirect(&self, own: &str) -> Answer {
        match &*self.get() {
            Leadership::Leading | Leadership::Recovering => redirect(own, ""),
            Leadership::NotLeading => no_leader(),
            Leadership::LedBy(leader) => redirect(leader, ""),
        }
    }
}

fn no_leader() -> Answer {
    Answer::unavailable("No leader elected")
}

/// 307 without a scheme, as Mesos writes it: the client keeps the one it used.
fn redirect(leader: &str, target: &str) -> Answer {
    let valid = leader.parse::<Uri>().is_ok();
    match HeaderValue::from_str(&format!("//{leader}{target}")) {
        Ok(location) if valid => {
            Answer::empty(StatusCode::TEMPORARY_REDIRECT).with(header::LOCATION, location)
        }
        _ => no_leader(),
    }
}
