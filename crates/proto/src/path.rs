//! Where in a message something is, as Mesos's error texts write it:
//! `accept.operations[0].launch.task_infos[1].task_id`.
use std::fmt;

use crate::limits::{MAX_MISSING_LISTED, MAX_QUOTED_CHARS};

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Field(&'static str),
    Index(usize),
    Key(String),
}

/// The way from the outermost message to where a codec is at work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path {
    segments: Vec<Segment>,
}

impl Path {
    pub(crate) fn push(&mut self, segment: Segment) {
        self.segments.push(segment);
    }

    pub(crate) fn pop(&mut self) {
        self.segments.pop();
    }

    /// This path and one field further.
    pub(crate) fn with_field(&self, name: &'static str) -> String {
        if self.segments.is_empty() {
            name.to_owned()
        } else {
            format!("{self}.{name}")
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Field(name) if at == 0 => write!(f, "{name}")?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => write!(f, "[{}]", quote(key))?,
            }
        }
        Ok(())
    }
}

/// The beginning of a piece of input, fit for one line of an error message.
pub(crate) fn quote(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_QUOTED_CHARS)
        .collect()
}

/// Required fields that a message lacks, as paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    paths: Vec<String>,
    more: bool,
}

impl Missing {
    /// The paths, in the order of the tables; at most [`MAX_MISSING_LISTED`].
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Adds a path before what was found since `len()` was `at`.
    pub(crate) fn insert(&mut self, at: usize, path: impl FnOnce() -> String) {
        self.paths.insert(at.min(self.paths.len()), path());
        if self.paths.len() > MAX_MISSING_LISTED {
            self.paths.truncate(MAX_MISSING_LISTED);
            self.more = true;
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.paths.join(", "))?;
        if self.more {
            f.write_str(", and more")
        } else {
            Ok(())
        }
    }
}
