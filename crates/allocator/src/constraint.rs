//! Offer constraints: which agents a framework wants to hear of.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use regex_automata::nfa::thompson::pikevm::{Cache, PikeVM};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::syntax;

use crate::limits;
use crate::profile::{Refused, Site};

/// One attribute of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name; if several have it, constraints see the first.
    pub name: String,
    /// Its value if it is of type TEXT.
    pub text: Option<String>,
}

/// What of an agent a constraint looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The host name.
    Hostname,
    /// The region of the fault domain.
    Region,
    /// The zone of the fault domain.
    Zone,
    /// The first attribute of that name.
    Attribute(String),
}

/// What must hold for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// It is there.
    Exists,
    /// It is not there.
    NotExists,
    /// It is there and equal. compat: an attribute that is no text passes, here and below, so that
    /// frameworks can look at it themselves.
    TextEquals(String),
    /// It is absent or different.
    TextNotEquals(String),
    /// It is there and matches as a whole.
    TextMatches(Pattern),
    /// It is absent or does not match as a whole.
    TextNotMatches(Pattern),
}

/// One condition on an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// What is looked at.
    pub selector: Selector,
    /// What must hold.
    pub predicate: Predicate,
}

/// The constraints of one role of a framework: an agent must meet all of at least one group.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleConstraints {
    /// At least one, none of them empty; a list without groups matches no agent.
    pub groups: Vec<Vec<Constraint>>,
}

impl RoleConstraints {
    /// Whether this agent may be offered.
    #[must_use]
    pub fn matches(&self, agent: &Site) -> bool {
        self.groups
            .iter()
            .any(|group| group.iter().all(|constraint| constraint.matches(agent)))
    }
}

/// What a selector found.
enum Found<'a> {
    Nothing,
    Text(&'a str),
    NotText,
}

impl Constraint {
    fn matches(&self, agent: &Site) -> bool {
        let found = self.selector.find(agent);
        let on_text = |absent: bool, test: &dyn Fn(&str) -> bool| match found {
            Found::Nothing => absent,
            Found::Text(text) => test(text),
            Found::NotText => true,
        };
        match &self.predicate {
            Predicate::Exists => !matches!(found, Found::Nothing),
            Predicate::NotExists => matches!(found, Found::Nothing),
            Predicate::TextEquals(value) => on_text(false, &|text| text == value),
            Predicate::TextNotEquals(value) => on_text(true, &|text| text != value),
            Predicate::TextMatches(pattern) => on_text(false, &|text| pattern.is_match(text)),
            Predicate::TextNotMatches(pattern) => on_text(true, &|text| !pattern.is_match(text)),
        }
    }
}

impl Selector {
    fn find<'a>(&self, agent: &'a Site) -> Found<'a> {
        let optional = |text: &'a Option<String>| match text {
            Some(text) => Found::Text(text),
            None => Found::Nothing,
        };
        match self {
            Self::Hostname => Found::Text(&agent.hostname),
            Self::Region => optional(&agent.region),
            Self::Zone => optional(&agent.zone),
            Self::Attribute(name) => {
                match agent.attributes.iter().find(|entry| entry.name == *name) {
                    None => Found::Nothing,
                    Some(Attribute { text: None, .. }) => Found::NotText,
                    Some(Attribute {
                        text: Some(text), ..
                    }) => Found::Text(text),
                }
            }
        }
    }
}

/// Bounds of a [`Pattern`]: `--offer_constraints_re2_max_mem` and `…_max_program_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatternLimits {
    /// Bytes that RE2 would be given. Our programs are counted in RE2's sixteen bytes an instruction,
    /// of which it lets a program have two thirds.
    pub max_mem: usize,
    /// Instructions of the compiled program.
    pub max_program_size: usize,
}

impl Default for PatternLimits {
    fn default() -> Self {
        Self {
            max_mem: 4096,
            max_program_size: 100,
        }
    }
}

/// A compiled regular expression without back references; matching is linear in the text.
///
/// compat: classes are those of ASCII, as in RE2; a dot matches one byte of a text that is not ASCII.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

struct Compiled {
    expression: String,
    engine: PikeVM,
    /// Room to match in, made once: the inner loop matches for each agent.
    room: Mutex<Cache>,
}

impl Pattern {
    /// Compiles `expression`, to match whole texts.
    ///
    /// # Errors
    /// [`Refused::BadExpression`] when it is no expression or needs too much memory,
    /// [`Refused::ComplexExpression`] when its program is too large. In Mesos's words.
    pub fn compile(expression: &str, bounds: PatternLimits) -> Result<Self, Refused> {
        let bad = |error: &dyn std::error::Error| Refused::BadExpression {
            expression: expression.to_owned(),
            reason: said(error),
        };
        let plain = syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .nest_limit(limits::PATTERN_NESTING);
        // By itself first: no bracket of it may close ours.
        syntax::parse_with(expression, &plain).map_err(|error| bad(&error))?;
        let nfa = thompson::Compiler::new()
            .syntax(plain)
            .configure(thompson::Config::new().nfa_size_limit(Some(limits::PATTERN_BYTES)))
            .build(&format!("\\A(?:{expression})\\z"))
            .map_err(|error| bad(&error))?;
        let size = program_size(&nfa);
        if size * 16 * 3 > bounds.max_mem * 2 {
            return Err(Refused::BadExpression {
                expression: expression.to_owned(),
                reason: "pattern too large - compile failed".to_owned(),
            });
        }
        if size > bounds.max_program_size {
            return Err(Refused::ComplexExpression {
                expression: expression.to_owned(),
                size,
                most: bounds.max_program_size,
            });
        }
        let engine = PikeVM::new_from_nfa(nfa).map_err(|error| bad(&error))?;
        Ok(Self(Arc::new(Compiled {
            expression: expression.to_owned(),
            room: Mutex::new(engine.create_cache()),
            engine,
        })))
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let Compiled { engine, room, .. } = &*self.0;
        // What a match leaves there, the next one overwrites.
        let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
        engine.is_match(&mut room, text)
    }
}

/// An error and what caused it.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// The instructions that RE2 would count, for literals exactly: what surrounds ours is not counted, what
/// surrounds RE2's is.
fn program_size(nfa: &NFA) -> usize {
    let own = nfa.states().len().saturating_sub(limits::PATTERN_FRAME);
    own + limits::RE2_FRAME
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.expression == other.0.expression
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.0.expression)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(expression: &str, bounds: PatternLimits) -> String {
        match Pattern::compile(expression, bounds) {
            Ok(pattern) => format!("{pattern:?}"),
            Err(error) => error.to_string(),
        }
    }

    fn matches(expression: &str, text: &str) -> bool {
        let pattern = Pattern::compile(expression, PatternLimits::default());
        pattern.is_ok_and(|pattern| pattern.is_match(text))
    }

    #[test]
    fn whole_texts_match() {
        assert!(matches("web.*", "web12"));
        assert!(!matches("web", "web12"));
        assert!(!matches("a|ab", "abc"));
        assert!(matches("a|ab", "ab"), "both branches are tried to the end");
        assert!(matches(r"\d{2,3}", "123"));
        assert!(!matches(r"\d", "\u{661}"), "classes are those of ASCII");
        assert!(matches(r"(?i)RACK-[a-f]", "rack-C"));
        assert!(matches("", ""));
    }

    #[test]
    fn programs_are_bounded() {
        let default = PatternLimits::default();
        // As a genuine master has it: 96 letters are 100 instructions.
        let most = "a".repeat(96);
        assert_eq!(refused(&most, default), format!("Pattern({most})"));
        let large = "is too complex: program size of 101 is larger than maximum of 100 allowed";
        assert!(refused(&"a".repeat(97), default).ends_with(large));
        let tiny = PatternLimits {
            max_mem: 144,
            max_program_size: 100,
        };
        assert_eq!(refused("aa", tiny), "Pattern(aa)");
        let says =
            "Failed to construct regex from pattern 'aaa': pattern too large - compile failed";
        assert_eq!(refused("aaa", tiny), says);
        // Would be a million states: never built.
        assert!(refused("((a{100}){100}){100}", default).ends_with("exceeded limit of 65536"));
    }

    #[test]
    fn nonsense_is_refused() {
        let default = PatternLimits::default();
        assert!(refused("a(", default).contains("unclosed group"));
        assert!(refused("a)|(b", default).contains("unopened group"));
        assert!(refused(r"(a)\1", default).contains("backreferences"));
        let nested = format!("{}a{}", "(?:".repeat(60), ")".repeat(60));
        assert!(
            refused(&nested, default).contains("nest"),
            "{}",
            refused(&nested, default)
        );
    }
}
