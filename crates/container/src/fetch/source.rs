//! What a URI means: where to read, what to call it.

use std::path::{Component, Path, PathBuf};

use super::FetchFault;

/// Where an item comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A file of this host.
    File(PathBuf),
    /// A URL for the HTTP client.
    Http(String),
}

impl Source {
    /// Tells the kinds apart by the scheme.
    pub(super) fn parse(uri: &str) -> Result<Self, FetchFault> {
        if uri.starts_with('/') {
            return Ok(Self::File(PathBuf::from(uri)));
        }
        let Some((scheme, rest)) = uri.split_once("://") else {
            return refused("a relative path; give an absolute path or a URL".to_owned());
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                if !path.starts_with('/') {
                    return refused("a file URI of another host".to_owned());
                }
                Ok(Self::File(PathBuf::from(path)))
            }
            "http" | "https" => Ok(Self::Http(uri.to_owned())),
            scheme @ ("ftp" | "ftps" | "hdfs" | "hftp" | "s3" | "s3n" | "s3a") => refused(format!(
                "scheme '{scheme}' is not supported by this agent yet"
            )),
            scheme => refused(format!(
                "scheme '{scheme}' is unknown: this agent fetches file, http and https"
            )),
        }
    }
}

/// The name in the sandbox when none is given: all behind the last `/`, a query included.
/// compat: Mesos's `Fetcher::basename` (src/slave/containerizer/fetcher.cpp).
pub(super) fn basename(uri: &str) -> Result<PathBuf, FetchFault> {
    let path = match uri.split_once("://") {
        Some((scheme, rest)) if !scheme.is_empty() => {
            let (_, path) = rest.split_once('/').unwrap_or((rest, ""));
            path
        }
        _ => uri,
    };
    let name = path.rsplit('/').next().unwrap_or("");
    if name.is_empty() {
        return refused("malformed URI (missing path)".to_owned());
    }
    if matches!(name, "." | "..") || name.contains(['\\', '\'', '\0']) {
        return refused("illegal characters in the file name of the URI".to_owned());
    }
    Ok(PathBuf::from(name))
}

/// A wanted name: relative, and nowhere does it leave the sandbox.
pub(super) fn output_file(name: &str) -> Result<PathBuf, FetchFault> {
    let path = Path::new(name);
    let illegal = name.contains(['\\', '\'', '\0']);
    let normal = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || illegal || !normal || name.ends_with('/') {
        return refused(format!(
            "output_file '{name}' is not a relative path of a file inside the sandbox"
        ));
    }
    Ok(path.to_path_buf())
}

fn refused<T>(reason: String) -> Result<T, FetchFault> {
    Err(FetchFault::Refused(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(uri: &str) -> Result<Source, String> {
        Source::parse(uri).map_err(|fault| fault.to_string())
    }

    #[test]
    fn schemes_decide_the_source() {
        let file = |path: &str| Ok(Source::File(PathBuf::from(path)));
        assert_eq!(parse("/a/b"), file("/a/b"));
        assert_eq!(parse("file:///a/b"), file("/a/b"));
        assert_eq!(parse("FILE://localhost/a"), file("/a"));
        assert_eq!(
            parse("http://h/x"),
            Ok(Source::Http("http://h/x".to_owned()))
        );
        assert_eq!(
            parse("HTTPS://h/x"),
            Ok(Source::Http("HTTPS://h/x".to_owned()))
        );
        for (uri, reason) in [
            ("a/b", "relative"),
            ("file://other/a", "another host"),
            ("ftp://h/x", "'ftp' is not supported"),
            ("hdfs://h/x", "'hdfs' is not supported"),
            ("gopher://h/x", "'gopher' is unknown"),
        ] {
            assert!(parse(uri).is_err_and(|text| text.contains(reason)), "{uri}");
        }
    }

    #[test]
    fn names_come_from_the_last_part_of_the_uri() {
        let name = |uri: &str| {
            basename(uri)
                .ok()
                .and_then(|p| p.to_str().map(str::to_owned))
        };
        assert_eq!(name("http://h/a/b.tar.gz").as_deref(), Some("b.tar.gz"));
        assert_eq!(name("http://h/a?x=1").as_deref(), Some("a?x=1"));
        assert_eq!(name("/a/b").as_deref(), Some("b"));
        for uri in [
            "http://h",
            "http://h/",
            "http://h/a/",
            "http://h/..",
            "/a/it's",
            "/a/x\\y",
        ] {
            assert_eq!(name(uri), None, "{uri}");
        }
    }

    #[test]
    fn output_files_stay_inside() {
        assert!(output_file("a/b/c").is_ok());
        for name in ["", "/a", "../a", "a/../b", "a/", "./a", "a\0b", "it's"] {
            assert!(output_file(name).is_err(), "{name:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_text_a_name_stays_inside_the_sandbox(text in "[a-z./:\\\\'?%]{0,40}|\\PC{0,40}") {
            let _ = Source::parse(&text);
            for name in [basename(&text), output_file(&text)].into_iter().flatten() {
                let normal = |part| matches!(part, Component::Normal(_));
                proptest::prop_assert!(name.components().all(normal));
                proptest::prop_assert!(name.file_name().is_some());
            }
        }
    }
}
