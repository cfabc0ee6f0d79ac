//! The agent's endpoints.

use std::sync::Arc;

use http::StatusCode;

use super::{Agent, documents, executor, operator};
use crate::answer::Answer;
use crate::server::Request;
use crate::{files, jsonp, later, logging, metrics, route, version};

/// Every path that an agent answers, with or without `/slave(1)` before it; `.json` as on the master.
pub(super) const ENDPOINTS: &[&str] = &[
    "api/v1",
    "api/v1/executor",
    "api/v1/resource_provider",
    "containerizer/debug",
    "containers",
    "files/browse",
    "files/debug",
    "files/download",
    "files/read",
    "flags",
    "health",
    "logging/toggle",
    "metrics",
    "metrics/snapshot",
    "monitor/statistics",
    "state",
    "system/stats",
    "version",
];

pub(super) async fn answer(agent: &Arc<Agent>, request: Request) -> Answer {
    let path = request.path.strip_suffix(".json").unwrap_or(&request.path);
    let Some((endpoint, _)) = route::find(path, "slave(1)", ENDPOINTS) else {
        return Answer::not_found();
    };
    match endpoint {
        "api/v1" => operator::answer(agent, request).await,
        "api/v1/executor" => executor::answer(agent, request).await,
        "health" => Answer::empty(StatusCode::OK),
        "logging/toggle" => logging::toggle(&agent.config.logs.verbosity, &request.query),
        endpoint if files::http::ENDPOINTS.contains(&endpoint) => {
            files::http::answer(&agent.files, endpoint, &request).await
        }
        endpoint => document(agent, endpoint, &request),
    }
}

fn document(agent: &Arc<Agent>, endpoint: &str, request: &Request) -> Answer {
    let query = &request.query;
    let usage = |id: &_| agent.usage(id);
    let document = match endpoint {
        "containers" => {
            documents::containers(&agent.model.read(), usage, query.get("container_id"))
        }
        "flags" => crate::flags::document(&agent.config.flags),
        "metrics" => return metrics::open_metrics(&agent.metrics()),
        "metrics/snapshot" => match metrics::check_timeout(query) {
            Ok(()) => metrics::snapshot(&agent.metrics()),
            Err(refused) => return refused,
        },
        "monitor/statistics" => documents::statistics(&agent.model.read(), usage),
        "state" => documents::state(&agent.model.read(), &agent.config),
        "system/stats" => metrics::stats(),
        "version" => version::document(),
        other => return later::answer(other, request),
    };
    jsonp::answer(document, query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{AgentApi, AgentConfig};

    /// Every path in the table is answered by something, under both its names.
    #[tokio::test]
    async fn every_endpoint_is_answered() {
        let (events, _core) = tokio::sync::mpsc::channel(10);
        let config = AgentConfig::new(std::net::SocketAddr::from(([127, 0, 0, 1], 5051)));
        let api = AgentApi::new(config, events);
        for endpoint in ENDPOINTS {
            for path in [format!("/{endpoint}"), format!("/slave(1)/{endpoint}/")] {
                let answer = answer(&api.edge, Request::get(&path)).await;
                assert_ne!(answer.status, StatusCode::NOT_FOUND, "{path}");
            }
        }
    }
}
