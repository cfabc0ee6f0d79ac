//! Legacy documents, wrapped in a callback for who asks with `?jsonp=`.

use http::StatusCode;
use http::header::HeaderValue;

use crate::answer::Answer;
use crate::query::Query;

/// 200 with a JSON document, or with a script that hands it to the callback.
pub(crate) fn answer(document: String, query: &Query) -> Answer {
    let Some(callback) = query.get("jsonp").filter(|name| !name.is_empty()) else {
        return Answer::json(document);
    };
    let sound = |c: char| c.is_ascii_alphanumeric() || "_$.[]".contains(c);
    if !callback.chars().all(sound) {
        return Answer::bad_request("'jsonp' is no name of a function");
    }
    let script = HeaderValue::from_static("text/javascript");
    Answer::whole(
        StatusCode::OK,
        script,
        format!("{callback}({document})").into(),
    )
}
