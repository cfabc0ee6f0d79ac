//! Values as flags spell them: `4`, `[31000-32000]`, `{a,b}`, and (attributes only) free text.

use meseta_proto::mesos::v1::value;

/// A value that a flag states.
#[derive(Debug, Clone, PartialEq)]
pub enum ParsedValue {
    /// A number, not negative and finite.
    Scalar(f64),
    /// Ranges, in the order given, not checked.
    Ranges(value::Ranges),
    /// Items, in the order given, not checked.
    Set(value::Set),
    /// Anything else.
    Text(String),
}

/// Why a text is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadValueText {
    /// Nothing but spaces.
    #[error("Expecting non-empty string")]
    Empty,
    /// A bracket without its partner.
    #[error("Mismatched brackets")]
    MismatchedBrackets,
    /// Something between `[` and `]` that is no list of pairs.
    #[error("Expecting one or more \"ranges\"")]
    NotRanges,
    /// An end of a range that is no whole number.
    #[error("Expecting non-negative integers in '{0}'")]
    NotAnInteger(String),
    /// `[` or `{` in the middle.
    #[error("Unexpected '{0}' found")]
    UnexpectedBracket(char),
    /// A number too small to be told from zero.
    #[error("Subnormal values not supported")]
    Subnormal,
}

/// Reads a value. Spaces mean nothing; what is no number, ranges or set is text, numbers below zero
/// and infinite ones included.
///
/// # Errors
/// Unbalanced or misplaced brackets, bad ranges, nothing at all.
pub fn parse_value(text: &str) -> Result<ParsedValue, BadValueText> {
    let text = text.replace(' ', "");
    if text.is_empty() {
        return Err(BadValueText::Empty);
    }
    if [('{', '}'), ('[', ']'), ('(', ')')]
        .iter()
        .any(|&(open, close)| !balanced(&text, open, close))
    {
        return Err(BadValueText::MismatchedBrackets);
    }
    match (text.find('['), text.find('{')) {
        (Some(0), _) => parse_ranges(&text).map(ParsedValue::Ranges),
        (Some(_), _) => Err(BadValueText::UnexpectedBracket('[')),
        (None, Some(0)) => {
            let items = text
                .split(['{', '}', ',', '\n'])
                .filter(|item| !item.is_empty());
            Ok(ParsedValue::Set(value::Set {
                item: items.map(str::to_owned).collect(),
            }))
        }
        (None, Some(_)) => Err(BadValueText::UnexpectedBracket('{')),
        (None, None) => parse_number(text),
    }
}

fn balanced(text: &str, open: char, close: char) -> bool {
    let mut depth = 0usize;
    for c in text.chars() {
        if c == open {
            depth += 1;
        } else if c == close {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            }
        }
    }
    depth == 0
}

fn parse_ranges(text: &str) -> Result<value::Ranges, BadValueText> {
    let numbers: Vec<&str> = text
        .split(['[', ']', '-', ',', '\n'])
        .filter(|token| !token.is_empty())
        .collect();
    if !numbers.len().is_multiple_of(2) {
        return Err(BadValueText::NotRanges);
    }
    let number = |token: &str| {
        token
            .parse::<u64>()
            .map_err(|_| BadValueText::NotAnInteger(token.to_owned()))
    };
    let range = numbers
        .chunks_exact(2)
        .map(|pair| {
            Ok(value::Range {
                begin: number(pair[0])?,
                end: number(pair[1])?,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(value::Ranges { range })
}

fn parse_number(text: String) -> Result<ParsedValue, BadValueText> {
    match text.parse::<f64>() {
        Ok(number) if number.is_subnormal() => Err(BadValueText::Subnormal),
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(ParsedValue::Scalar(number)),
        _ => Ok(ParsedValue::Text(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_inferred() {
        let ranges = |pairs: &[(u64, u64)]| {
            let range = pairs
                .iter()
                .map(|&(begin, end)| value::Range { begin, end })
                .collect();
            ParsedValue::Ranges(value::Ranges { range })
        };
        let set = |items: &[&str]| {
            ParsedValue::Set(value::Set {
                item: items.iter().map(|i| (*i).to_owned()).collect(),
            })
        };
        let text = |text: &str| ParsedValue::Text(text.to_owned());
        let cases = [
            ("4", ParsedValue::Scalar(4.0)),
            (" 4.5 ", ParsedValue::Scalar(4.5)),
            ("1e3", ParsedValue::Scalar(1000.0)),
            ("-0", ParsedValue::Scalar(-0.0)),
            ("-1", text("-1")),
            ("inf", text("inf")),
            ("nan", text("nan")),
            ("r1", text("r1")),
            ("a b", text("ab")),
            ("10.0.0.1", text("10.0.0.1")),
            ("[1-3]", ranges(&[(1, 3)])),
            ("[1-3, 7-9]", ranges(&[(1, 3), (7, 9)])),
            ("[]", ranges(&[])),
            ("{a, b}", set(&["a", "b"])),
            ("{}", set(&[])),
        ];
        for (input, wanted) in cases {
            assert_eq!(parse_value(input), Ok(wanted), "{input}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let cases = [
            ("", "Expecting non-empty string"),
            ("  ", "Expecting non-empty string"),
            ("[1-2", "Mismatched brackets"),
            ("}{", "Mismatched brackets"),
            ("[1]", "Expecting one or more \"ranges\""),
            ("[a-b]", "Expecting non-negative integers in 'a'"),
            (
                "[1-99999999999999999999]",
                "Expecting non-negative integers in '99999999999999999999'",
            ),
            ("a[1-2]", "Unexpected '[' found"),
            ("a{b}", "Unexpected '{' found"),
            ("1e-320", "Subnormal values not supported"),
        ];
        for (input, wanted) in cases {
            let got = parse_value(input).map_err(|bad| bad.to_string());
            assert_eq!(got, Err(wanted.to_owned()), "{input}");
        }
    }
}
