//! The agent's endpoints.

use std::sync::Arc;

use http::StatusCode;

use super::{Agent, executor};
use crate::answer::Answer;
use crate::server::Request;
use crate::{route, version};

/// Every path that an agent answers, with or without `/slave(1)` before it.
const ENDPOINTS: &[&str] = &["api/v1/executor", "health", "version"];

pub(super) async fn answer(agent: &Arc<Agent>, request: Request) -> Answer {
    let Some((endpoint, _)) = route::find(&request.path, "slave(1)", ENDPOINTS) else {
        return Answer::not_found();
    };
    match endpoint {
        "api/v1/executor" => executor::answer(agent, request).await,
        "health" => Answer::empty(StatusCode::OK),
        "version" => Answer::json(version::document()),
        _ => Answer::not_found(),
    }
}
