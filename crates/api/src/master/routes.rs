//! The master's endpoints.

use std::sync::Arc;

use http::StatusCode;

use super::{Master, scheduler};
use crate::answer::Answer;
use crate::server::Request;
use crate::{route, version};

/// Every path that a master answers, with or without `/master` before it.
const ENDPOINTS: &[&str] = &["api/v1/scheduler", "health", "redirect", "version"];

pub(super) async fn answer(master: &Arc<Master>, request: Request) -> Answer {
    let Some((endpoint, rest)) = route::find(&request.path, "master", ENDPOINTS) else {
        return Answer::not_found();
    };
    match endpoint {
        "api/v1/scheduler" => scheduler::answer(master, request).await,
        "health" => Answer::empty(StatusCode::OK),
        "redirect" if rest.is_empty() => {
            let own = format!(
                "{}:{}",
                master.config.hostname,
                master.config.address.port()
            );
            master.lead.redirect(&own)
        }
        "version" => Answer::json(version::document()),
        _ => Answer::not_found(),
    }
}
