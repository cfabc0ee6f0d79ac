//! Media types: what a body is in (`Content-Type`), what the client wants (`Accept`).

use http::HeaderMap;
use http::header::{self, HeaderValue};

use crate::answer::Answer;
use http::StatusCode;

/// The two forms of calls, answers and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    Protobuf,
}

impl MediaType {
    pub(crate) fn header(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static("application/json"),
            Self::Protobuf => HeaderValue::from_static("application/x-protobuf"),
        }
    }
}

/// The form of the body. Parameters behind a semicolon are ignored: stricter than Mesos helps nobody.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<MediaType, Answer> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(Answer::bad_request(
            "Expecting 'Content-Type' to be present",
        ));
    };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence {
        "application/json" => Ok(MediaType::Json),
        "application/x-protobuf" => Ok(MediaType::Protobuf),
        _ => Err(Answer::text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Expecting 'Content-Type' of application/json or application/x-protobuf",
        )),
    }
}

/// The form of the answer: JSON whenever JSON will do, also when nothing is said.
pub(crate) fn accept(headers: &HeaderMap) -> Result<MediaType, Answer> {
    if accepts(headers, "application", "json") {
        Ok(MediaType::Json)
    } else if accepts(headers, "application", "x-protobuf") {
        Ok(MediaType::Protobuf)
    } else {
        Err(Answer::text(
            StatusCode::NOT_ACCEPTABLE,
            "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
        ))
    }
}

fn accepts(headers: &HeaderMap, kind: &str, subtype: &str) -> bool {
    let mut said = false;
    for value in headers.get_all(header::ACCEPT) {
        said = true;
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let (wanted, under) = parts
                .next()
                .and_then(|range| range.split_once('/'))
                .unwrap_or_default();
            let matches = (wanted == "*" && under == "*")
                || (wanted.eq_ignore_ascii_case(kind)
                    && (under == "*" || under.eq_ignore_ascii_case(subtype)));
            if matches && !parts.any(is_zero_quality) {
                return true;
            }
        }
    }
    !said
}

/// Whether the client takes gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .any(|value| {
            value.to_str().unwrap_or_default().split(',').any(|coding| {
                let mut parts = coding.split(';').map(str::trim);
                let name = parts.next().unwrap_or_default();
                (name.eq_ignore_ascii_case("gzip") || name == "*") && !parts.any(is_zero_quality)
            })
        })
}

fn is_zero_quality(parameter: &str) -> bool {
    let quality = parameter
        .strip_prefix("q=")
        .or_else(|| parameter.strip_prefix("Q="));
    quality
        .and_then(|quality| quality.trim().parse::<f64>().ok())
        .is_some_and(|quality| quality == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))]
            .into_iter()
            .collect()
    }

    #[test]
    fn json_wins_whenever_it_is_acceptable() {
        let chosen = |value| accept(&headers(header::ACCEPT, value)).ok();
        assert_eq!(accept(&HeaderMap::new()).ok(), Some(MediaType::Json));
        assert_eq!(chosen("*/*"), Some(MediaType::Json));
        assert_eq!(chosen("application/*"), Some(MediaType::Json));
        assert_eq!(
            chosen("application/x-protobuf, application/json;q=0.1"),
            Some(MediaType::Json)
        );
        assert_eq!(chosen("application/x-protobuf"), Some(MediaType::Protobuf));
        assert_eq!(
            chosen("application/json;q=0, application/x-protobuf"),
            Some(MediaType::Protobuf)
        );
        assert_eq!(chosen("text/html"), None);
        assert_eq!(chosen(""), None);
    }

    #[test]
    fn a_charset_does_not_hurt() {
        let given = |value| content_type(&headers(header::CONTENT_TYPE, value)).ok();
        assert_eq!(given("application/json"), Some(MediaType::Json));
        assert_eq!(
            given("application/json; charset=utf-8"),
            Some(MediaType::Json)
        );
        assert_eq!(given("application/x-protobuf"), Some(MediaType::Protobuf));
        assert_eq!(given("text/plain"), None);
        assert_eq!(content_type(&HeaderMap::new()).ok(), None);
    }

    #[test]
    fn gzip_is_taken_when_named_and_not_refused() {
        let takes = |value| accepts_gzip(&headers(header::ACCEPT_ENCODING, value));
        assert!(takes("gzip, deflate"));
        assert!(takes("deflate;q=0.5, gzip;q=1.0"));
        assert!(!takes("gzip;q=0"));
        assert!(!takes("identity"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
