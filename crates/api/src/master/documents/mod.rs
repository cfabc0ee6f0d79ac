//! The master's legacy documents, one file each. All are functions of one moment of the read model.

mod framework;
mod frameworks;
mod roles;
mod slave;
mod slaves;
mod state;
mod state_summary;
mod tasks;

pub(super) use frameworks::frameworks;
pub(super) use roles::{roles, weights};
pub(super) use slaves::slaves;
pub(super) use state::state;
pub(super) use state_summary::state_summary;
pub(super) use tasks::tasks;

use meseta_master::view::FrameworkState;

use crate::json;
use crate::read::{FrameworkRead, MasterRead};

/// One whole document.
fn document(write: impl FnOnce(&mut json::Object<'_>)) -> String {
    let mut out = String::new();
    json::object(&mut out, write);
    out
}

/// Frameworks that are not history.
fn live(read: &MasterRead) -> impl Iterator<Item = &FrameworkRead> {
    read.frameworks.iter().filter(|known| !is_completed(known))
}

/// Frameworks that are history, in the order in which they ended.
fn completed(read: &MasterRead) -> impl Iterator<Item = &FrameworkRead> {
    read.frameworks.iter().filter(|known| is_completed(known))
}

fn is_completed(known: &FrameworkRead) -> bool {
    known.framework.view.state == FrameworkState::Completed
}
