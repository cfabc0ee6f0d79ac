//! Which endpoint answers a path: the longest one known, slash by slash, as libprocess does it.

/// Finds the endpoint for a path. A leading `/<process>` alias is optional, a trailing slash ignored,
/// and what follows a known endpoint is its own business: `/api/v1/operator` is `/api/v1`.
///
/// `endpoints` are without slashes at either end. Answers the endpoint and what follows it.
pub(crate) fn find<'a>(
    path: &'a str,
    process: &str,
    endpoints: &[&'static str],
) -> Option<(&'static str, &'a str)> {
    let path = path.trim_matches('/');
    let bare = path
        .strip_prefix(process)
        .and_then(|rest| rest.strip_prefix('/'));
    let inside = bare.and_then(|bare| longest(bare, endpoints));
    inside.or_else(|| longest(path, endpoints))
}

fn longest<'a>(path: &'a str, endpoints: &[&'static str]) -> Option<(&'static str, &'a str)> {
    let mut prefix = path;
    loop {
        if let Some(known) = endpoints.iter().find(|known| **known == prefix) {
            return Some((known, path[prefix.len()..].trim_start_matches('/')));
        }
        prefix = &prefix[..prefix.rfind('/')?];
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    const KNOWN: &[&str] = &[
        "state",
        "api/v1",
        "api/v1/scheduler",
        "files/read",
        "redirect",
    ];

    fn found(path: &str) -> Option<(&'static str, &str)> {
        find(path, "master", KNOWN)
    }

    #[test]
    fn the_longest_known_prefix_answers() {
        assert_eq!(found("/state"), Some(("state", "")));
        assert_eq!(found("/state/"), Some(("state", "")));
        assert_eq!(found("/master/state"), Some(("state", "")));
        assert_eq!(found("/api/v1/operator"), Some(("api/v1", "operator")));
        assert_eq!(found("/api/v1/scheduler"), Some(("api/v1/scheduler", "")));
        assert_eq!(found("/master/api/v1"), Some(("api/v1", "")));
        assert_eq!(found("/redirect/x/y"), Some(("redirect", "x/y")));
    }

    #[test]
    fn nothing_answers_an_unknown_path() {
        for path in [
            "/",
            "",
            "/states",
            "/api",
            "/master",
            "/master/",
            "/nosuch/state",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
