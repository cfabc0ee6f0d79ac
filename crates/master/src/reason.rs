//! Why something is refused, in words of a bounded length.

use std::fmt::{self, Display, Write};

use crate::limits::REASON_BYTES;

/// The beginning of a text, as far as it fits.
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = REASON_BYTES - self.0.len();
        let fits = text.floor_char_boundary(room);
        self.0.push_str(&text[..fits]);
        if fits == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// The text of a refusal. It may name all that there is on an agent, once for each operation and task of
/// a call: beyond [`REASON_BYTES`] it ends in an ellipsis, and is not even worked out.
pub(crate) fn reason(why: impl Display) -> String {
    let mut beginning = Beginning(String::new());
    let whole = write!(beginning, "{why}");
    let Beginning(mut text) = beginning;
    if whole.is_err() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_ends_early() {
        let fits = "x".repeat(REASON_BYTES);
        assert_eq!(reason(&fits), fits);
        let longer = format!("{}äy", "x".repeat(REASON_BYTES - 1));
        assert_eq!(reason(longer), format!("{}…", "x".repeat(REASON_BYTES - 1)));
    }
}
