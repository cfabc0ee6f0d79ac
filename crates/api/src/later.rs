//! Endpoints of parts that do not exist yet. Reading them shows what there is, nothing; anything else
//! is refused by name.

use http::Method;

use crate::answer::Answer;
use crate::jsonp;
use crate::server::Request;

/// The endpoints, and what reading one shows; `None` where there is nothing to read.
pub(crate) const ENDPOINTS: [(&str, Option<&str>); 12] = [
    ("create-volumes", None),
    ("destroy-volumes", None),
    ("machine/down", None),
    ("machine/up", None),
    ("maintenance/schedule", Some("{}")),
    ("maintenance/status", Some("{}")),
    ("quota", Some("{}")),
    ("reserve", None),
    ("unreserve", None),
    ("weights", Some("[]")),
    ("api/v1/resource_provider", None),
    ("containerizer/debug", None),
];

/// The answer of one of them.
pub(crate) fn answer(endpoint: &str, request: &Request) -> Answer {
    let known = ENDPOINTS.iter().find(|(known, _)| *known == endpoint);
    let shown = known.and_then(|(_, shown)| *shown);
    match shown {
        Some(shown) if request.method == Method::GET => {
            jsonp::answer(shown.to_owned(), &request.query)
        }
        _ => Answer::not_implemented(format!(
            "Meseta does not do {} /{endpoint} yet",
            request.method
        )),
    }
}
