//! The master's endpoints.

use std::sync::Arc;

use http::StatusCode;

use super::{Master, documents, operator, scheduler};
use crate::answer::Answer;
use crate::server::Request;
use crate::{files, jsonp, later, logging, metrics, route, version};

/// Every path that a master answers, with or without `/master` before it. The last part of the older
/// tools' spellings, `.json`, is served too: it was dropped in Mesos 1.0, and many still try it first.
pub(super) const ENDPOINTS: &[&str] = &[
    "api/v1",
    "api/v1/scheduler",
    "create-volumes",
    "destroy-volumes",
    "files/browse",
    "files/debug",
    "files/download",
    "files/read",
    "flags",
    "frameworks",
    "health",
    "logging/toggle",
    "machine/down",
    "machine/up",
    "maintenance/schedule",
    "maintenance/status",
    "metrics",
    "metrics/snapshot",
    "quota",
    "redirect",
    "reserve",
    "roles",
    "slaves",
    "state",
    "state-summary",
    "system/stats",
    "tasks",
    "teardown",
    "unreserve",
    "version",
    "weights",
];

/// Endpoints that only the leader answers.
const LEADERS: &[&str] = &[
    "create-volumes",
    "destroy-volumes",
    "frameworks",
    "machine/down",
    "machine/up",
    "maintenance/schedule",
    "maintenance/status",
    "quota",
    "reserve",
    "roles",
    "slaves",
    "state",
    "state-summary",
    "tasks",
    "unreserve",
    "weights",
];

pub(super) async fn answer(master: &Arc<Master>, request: Request) -> Answer {
    let path = request.path.strip_suffix(".json").unwrap_or(&request.path);
    let Some((endpoint, rest)) = route::find(path, "master", ENDPOINTS) else {
        return Answer::not_found();
    };
    match endpoint {
        "api/v1" => operator::answer(master, request).await,
        "api/v1/scheduler" => scheduler::answer(master, request).await,
        "teardown" => operator::teardown(master, request).await,
        "health" => Answer::empty(StatusCode::OK),
        "logging/toggle" => logging::toggle(&master.config.logs.verbosity, &request.query),
        "redirect" if rest.is_empty() => {
            let own = format!(
                "{}:{}",
                master.config.hostname,
                master.config.address.port()
            );
            master.lead.redirect(&own)
        }
        "redirect" => Answer::not_found(),
        endpoint if files::http::ENDPOINTS.contains(&endpoint) => {
            files::http::answer(&master.files, endpoint, &request).await
        }
        endpoint => {
            if LEADERS.contains(&endpoint)
                && let Err(elsewhere) = master.lead.check(&request.target)
            {
                return elsewhere;
            }
            document(master, endpoint, &request)
        }
    }
}

/// Documents are read, whatever the method: Mesos looks at it nowhere here.
fn document(master: &Arc<Master>, endpoint: &str, request: &Request) -> Answer {
    let query = &request.query;
    let (model, flags) = (&master.model, &master.config.flags);
    let document = match endpoint {
        "flags" => crate::flags::document(flags),
        "frameworks" => documents::frameworks(&model.read(), query),
        "metrics" => return metrics::open_metrics(&master.metrics()),
        "metrics/snapshot" => match metrics::check_timeout(query) {
            Ok(()) => metrics::snapshot(&master.metrics()),
            Err(refused) => return refused,
        },
        "roles" => documents::roles(&model.read_without_tasks()),
        "slaves" => documents::slaves(&model.read_without_tasks(), query),
        "state" => documents::state(&model.read(), flags),
        "system/stats" => metrics::stats(),
        "state-summary" => {
            let cluster = flags.get("cluster").map(String::as_str);
            documents::state_summary(&model.read(), cluster)
        }
        "tasks" => documents::tasks(&model.read(), query),
        "version" => version::document(),
        "weights" if request.method == http::Method::GET => {
            documents::weights(&model.read_without_tasks())
        }
        other => return later::answer(other, request),
    };
    jsonp::answer(document, query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::Leadership;
    use crate::master::{MasterApi, MasterConfig};

    /// Every path in the table is answered by something, under both its names.
    #[tokio::test]
    async fn every_endpoint_is_answered() {
        let (events, _core) = tokio::sync::mpsc::channel(10);
        let config = MasterConfig::new(std::net::SocketAddr::from(([127, 0, 0, 1], 5050)));
        let api = MasterApi::new(config, events);
        api.set_leadership(Leadership::Leading);
        for endpoint in ENDPOINTS {
            for path in [format!("/{endpoint}"), format!("/master/{endpoint}/")] {
                let answer = answer(&api.edge, Request::get(&path)).await;
                assert_ne!(answer.status, StatusCode::NOT_FOUND, "{path}");
            }
        }
        for (endpoint, ..) in later::ENDPOINTS {
            let agents = ["api/v1/resource_provider", "containerizer/debug"];
            assert!(
                ENDPOINTS.contains(&endpoint) || agents.contains(&endpoint),
                "{endpoint}"
            );
        }
    }
}
