//! Endpoints of parts that do not exist yet. Reading them shows what there is, nothing; anything else
//! is refused by name, but for methods that Mesos does not take either.

use http::Method;

use crate::answer::Answer;
use crate::jsonp;
use crate::server::Request;

/// An endpoint, the methods that Mesos takes there, and what reading it shows; `None` where there is
/// nothing to read.
type Endpoint = (&'static str, &'static [Method], Option<&'static str>);

/// The endpoints.
pub(crate) const ENDPOINTS: [Endpoint; 12] = [
    ("create-volumes", &[Method::POST], None),
    ("destroy-volumes", &[Method::POST], None),
    ("machine/down", &[Method::POST], None),
    ("machine/up", &[Method::POST], None),
    (
        "maintenance/schedule",
        &[Method::GET, Method::POST],
        Some("{}"),
    ),
    ("maintenance/status", &[Method::GET], Some("{}")),
    (
        "quota",
        &[Method::GET, Method::POST, Method::DELETE],
        Some("{}"),
    ),
    ("reserve", &[Method::POST], None),
    ("unreserve", &[Method::POST], None),
    ("weights", &[Method::GET, Method::PUT], Some("[]")),
    ("api/v1/resource_provider", &[Method::POST], None),
    ("containerizer/debug", &[Method::GET], None),
];

/// The answer of one of them.
pub(crate) fn answer(endpoint: &str, request: &Request) -> Answer {
    let known = ENDPOINTS.iter().find(|(known, ..)| *known == endpoint);
    let (methods, shown) = known.map_or((&[][..], None), |(_, methods, shown)| (*methods, *shown));
    if !methods.contains(&request.method) {
        return Answer::method_not_allowed(methods, &request.method);
    }
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
