//! Downloads over HTTP and HTTPS, blocking: one process, one download at a time.
//!
//! Certificates are checked against the host's own bundle, as Mesos's library did, so that a site's
//! private authority works; without one, against Mozilla's list that is built in.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::{FetchFault, forward};
use crate::limits::FETCH_REDIRECTS;

/// How the fetcher names itself to servers.
pub(super) const USER_AGENT: &str = concat!("meseta-fetcher/", env!("CARGO_PKG_VERSION"));

/// Where distributions keep the bundle; `SSL_CERT_FILE` comes before all of them.
const CERTIFICATE_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Reads `url` to its end into `target`, wherever it was moved to.
pub(super) fn download(
    url: &str,
    target: &mut impl Write,
    stall_timeout_secs: u64,
) -> Result<(), FetchFault> {
    let window = (stall_timeout_secs > 0).then(|| Duration::from_secs(stall_timeout_secs));
    let mut url = url.to_owned();
    for _ in 0..=FETCH_REDIRECTS {
        let answer = ask(&url, window)?;
        match answer.location {
            Some(location) if (300..400).contains(&answer.status) => {
                url = moved(&url, &location)?;
            }
            _ if (200..300).contains(&answer.status) => {
                let mut body = Stall {
                    inner: answer.body,
                    window,
                    since: Instant::now(),
                    bytes: 0,
                };
                return std::io::copy(&mut body, target)
                    .map(drop)
                    .map_err(|error| worded(ureq::Error::from(error), window));
            }
            _ => {
                let Answer { status, reason, .. } = answer;
                let text = format!("the server answered HTTP status {status} {reason}");
                return Err(FetchFault::Broken(text));
            }
        }
    }
    Err(FetchFault::Broken(format!(
        "more than {FETCH_REDIRECTS} redirections"
    )))
}

/// The head of a server's answer, and the rest to be read.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) location: Option<String>,
    pub(super) body: Box<dyn Read>,
}

fn ask(url: &str, window: Option<Duration>) -> Result<Answer, FetchFault> {
    let proxy = proxy(url, &|name| std::env::var(name).ok())?;
    match &proxy {
        // The library opens a tunnel for everything, which many proxies allow for port 443 only.
        Some(proxy) if is_plain(url) && proxy.protocol() == ureq::ProxyProtocol::Http => {
            return forward::ask(url, proxy, window).map_err(|error| worded(error.into(), window));
        }
        _ => {}
    }
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(window)
        .timeout_recv_response(window)
        .timeout_per_read(window)
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
        .user_agent(USER_AGENT)
        .build();
    let response = config
        .new_agent()
        .get(url)
        .call()
        .map_err(|error| worded(error, window))?;
    let status = response.status();
    let location = response
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok());
    Ok(Answer {
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or_default().to_owned(),
        location: location.map(str::to_owned),
        body: Box::new(response.into_body().into_reader()),
    })
}

fn is_plain(url: &str) -> bool {
    url.get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
}

/// Where a `Location` leads, seen from `url`. Never to another kind of place: a server must not have
/// us read a file of this host.
fn moved(url: &str, location: &str) -> Result<String, FetchFault> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let path_at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    if let Some((other, _)) = location.split_once("://") {
        let known = ["http", "https"]
            .iter()
            .any(|name| other.eq_ignore_ascii_case(name));
        if known {
            return Ok(location.to_owned());
        }
        // A query may hold such a thing; a scheme never holds these.
        if !other.contains(['/', '?', '#']) {
            let text = format!("redirected to '{location}', which is neither http nor https");
            return Err(FetchFault::Refused(text));
        }
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Ok(format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Ok(format!("{scheme}://{authority}{location}"));
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    Ok(format!("{scheme}://{authority}{directory}/{location}"))
}

fn worded(error: ureq::Error, window: Option<Duration>) -> FetchFault {
    let stalled = || {
        let seconds = window.unwrap_or_default().as_secs();
        format!("the download stalled: less than 1 byte/s for {seconds} s")
    };
    let text = match error {
        ureq::Error::Timeout(_) => stalled(),
        ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => stalled(),
        ureq::Error::HostNotFound => "the host name cannot be resolved".to_owned(),
        other => other.to_string(),
    };
    FetchFault::Broken(text)
}

/// Fails when fewer bytes than seconds came in a whole window. A read that gets nothing at all for
/// so long ends by the client's own timeout.
struct Stall<R> {
    inner: R,
    window: Option<Duration>,
    since: Instant,
    bytes: u64,
}

impl<R: Read> Read for Stall<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += u64::try_from(count).unwrap_or(u64::MAX);
        if let Some(window) = self.window
            && self.since.elapsed() >= window
        {
            if count > 0 && self.bytes < window.as_secs() {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            (self.since, self.bytes) = (Instant::now(), 0);
        }
        Ok(count)
    }
}

/// The proxy for this URL, by the lower-case variables: `http_proxy` or `https_proxy`, else
/// `all_proxy`, unless `no_proxy` names the host.
fn proxy(
    url: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<ureq::Proxy>, FetchFault> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    if bypassed(host, &variable("no_proxy").unwrap_or_default()) {
        return Ok(None);
    }
    let name = format!("{}_proxy", scheme.to_ascii_lowercase());
    let filled = |name: &str| variable(name).filter(|text| !text.is_empty());
    let Some(text) = filled(&name).or_else(|| filled("all_proxy")) else {
        return Ok(None);
    };
    ureq::Proxy::new(&text)
        .map(Some)
        .map_err(|error| FetchFault::Refused(format!("the proxy in {name} is not usable: {error}")))
}

/// Whether `no_proxy` (`*`, or names separated by commas) covers the host or a domain it is in.
fn bypassed(host: &str, no_proxy: &str) -> bool {
    no_proxy
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .any(|name| {
            let domain = name.trim_start_matches("*.").trim_start_matches('.');
            let inside = || {
                let head = host.len().checked_sub(domain.len() + 1);
                head.is_some_and(|at| {
                    host.as_bytes().get(at) == Some(&b'.') && host.ends_with(domain)
                })
            };
            name == "*" || host.eq_ignore_ascii_case(domain) || inside()
        })
}

fn root_certificates() -> RootCerts {
    let chosen = std::env::var("SSL_CERT_FILE").ok();
    let bundles = chosen.iter().map(String::as_str).chain(CERTIFICATE_BUNDLES);
    for bundle in bundles {
        let Ok(pem) = std::fs::read(bundle) else {
            continue;
        };
        let certificates: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if !certificates.is_empty() {
            return RootCerts::from(certificates);
        }
    }
    RootCerts::WebPki
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        proxy(url, &find)
            .unwrap()
            .map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn fewer_bytes_than_seconds_in_a_window_are_a_stall() {
        let window = Duration::from_secs(60);
        let minute_ago = Instant::now().checked_sub(window).unwrap();
        let read = |bytes: &[u8], since| {
            let mut stream = Stall {
                inner: bytes,
                window: Some(window),
                since,
                bytes: 0,
            };
            stream.read(&mut [0; 100]).map_err(|error| error.kind())
        };
        assert_eq!(
            read(&[0; 59], minute_ago),
            Err(std::io::ErrorKind::TimedOut)
        );
        assert_eq!(read(&[0; 60], minute_ago), Ok(60));
        assert_eq!(
            read(&[0; 1], Instant::now()),
            Ok(1),
            "the window is not over"
        );
        assert_eq!(read(&[], minute_ago), Ok(0), "the end is no stall");
    }

    #[test]
    fn a_location_is_seen_from_where_it_was_given() {
        let from = |url: &str, location: &str| moved(url, location).map_err(|f| f.to_string());
        let to = |text: &str| Ok(text.to_owned());
        let base = "http://h:80/a/b?q=/x";
        assert_eq!(from(base, "https://i/c"), to("https://i/c"));
        assert_eq!(from(base, "//i/c"), to("http://i/c"));
        assert_eq!(from(base, "/c"), to("http://h:80/c"));
        assert_eq!(
            from(base, "c?to=http://i"),
            to("http://h:80/a/c?to=http://i")
        );
        assert_eq!(from("http://h", "c"), to("http://h/c"));
        assert!(from(base, "file:///etc/passwd").is_err());
    }

    #[test]
    fn the_scheme_chooses_the_proxy_and_no_proxy_overrules() {
        let both = [
            ("http_proxy", "http://p1:3128"),
            ("https_proxy", "http://p2:3128"),
        ];
        assert_eq!(chosen("http://h/x", &both).as_deref(), Some("p1"));
        assert_eq!(chosen("https://h/x", &both).as_deref(), Some("p2"));
        assert_eq!(chosen("http://h/x", &[]), None);
        assert_eq!(chosen("http://h/x", &[("http_proxy", "")]), None);
        assert_eq!(
            chosen("https://h/x", &[("all_proxy", "p3:1")]).as_deref(),
            Some("p3")
        );
        let except = |list| [("http_proxy", "p1:1"), ("no_proxy", list)];
        assert_eq!(
            chosen("http://a.example.org:8080/x", &except("example.org")),
            None
        );
        assert_eq!(
            chosen("http://u@example.org/x", &except("x, .example.org")),
            None
        );
        assert_eq!(
            chosen("http://badexample.org/", &except("example.org")).as_deref(),
            Some("p1")
        );
        assert_eq!(chosen("http://h/x", &except("*")), None);
    }
}
