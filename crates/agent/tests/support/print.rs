//! Effects as short text: the `Debug` form without what is absent.

use std::collections::BTreeMap;

/// Names for drawn ids, in order of appearance.
#[derive(Debug, Default, Clone)]
pub struct Names {
    pub known: BTreeMap<String, String>,
    counts: BTreeMap<char, usize>,
}

impl Names {
    pub fn name(&mut self, kind: char, text: &str) -> String {
        if let Some(name) = self.known.get(text) {
            return name.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("{kind}{count}");
        self.known.insert(text.to_owned(), name.clone());
        name
    }

    /// The drawn id behind a short name.
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut found = self.known.iter().filter(|(_, short)| *short == name);
        found.next().map(|(text, _)| text.as_str())
    }

    /// Replaces drawn ids in a debug text.
    pub fn shorten(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = next_id(rest) {
            let (before, id, after) = (&rest[..start.0], &rest[start.0..start.1], &rest[start.1..]);
            out.push_str(before);
            out.push_str(&self.name(if id.starts_with("b\"") { 'u' } else { 'c' }, id));
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// Where the next UUID text or byte string is.
fn next_id(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find_map(|i| {
        if bytes[i..].starts_with(b"b\"") && (i == 0 || b" (".contains(&bytes[i - 1])) {
            let mut j = i + 2;
            while bytes[j] != b'"' {
                j += if bytes[j] == b'\\' { 2 } else { 1 };
            }
            return Some((i, j + 1));
        }
        is_uuid(&bytes[i..]).then_some((i, i + 36))
    })
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() >= 36
        && bytes[..36].iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// A debug text without `field: None`, empty lists and `Some(…)` around values.
pub fn compact(text: &str) -> String {
    let mut text = text.to_owned();
    for absent in ["None", "[]", "{}", "\"\""] {
        let mut from = 0;
        while let Some(at) = text[from..].find(&format!(": {absent}")) {
            let end = from + at + 2 + absent.len();
            let start = text[..from + at]
                .rfind([' ', '{', '('])
                .map_or(0, |i| i + 1);
            let is_whole = matches!(text.as_bytes().get(end), Some(b',' | b' '));
            if !is_whole {
                from = end;
                continue;
            }
            let end = if text[end..].starts_with(", ") {
                end + 2
            } else {
                end
            };
            text.replace_range(start..end, "");
            from = start;
        }
    }
    while let Some(at) = text.find("Some(") {
        let close = matching(&text, at + 4);
        text.replace_range(close..=close, "");
        text.replace_range(at..at + 5, "");
    }
    for (wrapper, open) in [("Scalar", "Scalar { value: "), ("Id", "Id { value: ")] {
        text = unwrap_values(&text, wrapper, open);
    }
    text.replace(",  }", " }")
        .replace(", }", " }")
        .replace("r#type", "type")
}

/// `TaskId { value: "t" }` is said as `"t"`, `Scalar { value: 1.0 }` as `1.0`.
fn unwrap_values(text: &str, wrapper: &str, open: &str) -> String {
    let mut text = text.to_owned();
    let mut from = 0;
    while let Some(at) = text[from..].find(open).map(|at| from + at) {
        let value = at + open.len();
        let end = value + text[value..].find(" }").unwrap();
        if text[value..end].contains('{') {
            from = value;
            continue;
        }
        text.replace_range(end..end + 2, "");
        let before = text[..at + wrapper.len()].rfind([' ', '(', '[', '{']);
        let start = before.map_or(0, |i| i + 1);
        text.replace_range(start..value, "");
        from = start;
    }
    text
}

fn matching(text: &str, open: usize) -> usize {
    let mut depth = 0;
    let mut quoted = false;
    let bytes = text.as_bytes();
    let mut i = open;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' if quoted => i += 1,
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return i;
                }
            }
            _ => {}
        }
        i += 1;
    }
    panic!("no closing bracket: {text}")
}
