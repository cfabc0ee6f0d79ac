//! A line of a script, taken apart.

use std::collections::BTreeMap;

/// The words of a line: `verb a b key=value key="two words"`.
pub struct Line {
    pub(super) words: Vec<String>,
    pub(super) options: BTreeMap<String, String>,
}

impl Line {
    pub(super) fn parse(text: &str) -> Self {
        let mut parts: Vec<String> = Vec::new();
        let mut current = String::new();
        let mut quoted = false;
        for c in text.chars() {
            match c {
                '"' => quoted = !quoted,
                ' ' if !quoted => {
                    if !current.is_empty() {
                        parts.push(std::mem::take(&mut current));
                    }
                }
                c => current.push(c),
            }
        }
        if !current.is_empty() {
            parts.push(current);
        }
        let is_option = |part: &&String| part.contains('=') && !part.starts_with('=');
        let options = parts.iter().filter(is_option).map(|part| {
            let (key, value) = part.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        });
        Self {
            options: options.collect(),
            words: parts.iter().filter(|p| !is_option(p)).cloned().collect(),
        }
    }

    pub(super) fn word(&self, index: usize) -> &str {
        self.words
            .get(index)
            .unwrap_or_else(|| panic!("word {index} is missing in {:?}", self.words))
    }

    pub(super) fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.words.iter().any(|word| word == flag)
    }
}
