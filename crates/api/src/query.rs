//! Query strings and url-encoded forms.

use std::collections::BTreeMap;

/// Names and values, decoded. Of two values under one name the last counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// Parses `a=1&b=2`; names without `=` have the empty value.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split(['&', ';']).filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        });
        Self(decoded.collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Percent-decodes; `plus` says whether `+` is a space. Bad escapes stay as they are, bytes that are no
/// UTF-8 become the replacement character.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let mut ahead = bytes.clone();
                let digits = (ahead.next().and_then(hex), ahead.next().and_then(hex));
                if let (Some(high), Some(low)) = digits {
                    out.push(high << 4 | low);
                    bytes = ahead;
                } else {
                    out.push(b'%');
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out)
        .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_bad_ones_kept() {
        assert_eq!(decode("slave%281%29", false), "slave(1)");
        assert_eq!(decode("a+b%20c", true), "a b c");
        assert_eq!(decode("a+b", false), "a+b");
        assert_eq!(decode("100%", false), "100%");
        assert_eq!(decode("%zz%4", false), "%zz%4");
        assert_eq!(decode("%ff", false), "\u{fffd}");
    }

    #[test]
    fn the_last_of_two_values_counts() {
        let query = Query::parse("limit=1&jsonp&limit=2&path=%2Fvar%2Flog");
        assert_eq!(query.get("limit"), Some("2"));
        assert_eq!(query.get("jsonp"), Some(""));
        assert_eq!(query.get("path"), Some("/var/log"));
        assert_eq!(query.get("offset"), None);
    }
}
