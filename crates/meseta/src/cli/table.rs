//! Tables that fit a terminal.

use unicode_width::UnicodeWidthStr;

/// The width when output is no terminal: nothing is cut.
const UNBOUNDED: usize = usize::MAX;
/// No column is cut below this.
const NARROWEST: usize = 8;

/// Rows under a header. The widest columns are cut first when the terminal is narrow.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    #[must_use]
    pub fn new(titles: &[&str]) -> Self {
        Self {
            rows: vec![titles.iter().map(|&title| title.to_owned()).collect()],
        }
    }

    /// Adds a row; it has as many cells as there are titles.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints it, cut to the terminal if stdout is one.
    pub fn print(&self) {
        print!("{}", self.text(terminal_width()));
    }

    fn text(&self, width: usize) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| fit(cell, *width))
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self, width: usize) -> Vec<usize> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        let gaps = 2 * columns.saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > width {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

/// Pads or cuts to `width` columns; a cut is shown by `…`. Words keep their beginning, and an id keeps its
/// end too: there ids of one cluster differ.
fn fit(cell: &str, width: usize) -> String {
    let mut shown = if cell.width() <= width {
        cell.to_owned()
    } else {
        let room = width.saturating_sub(1);
        let end = if cell.contains(' ') { 0 } else { room / 2 };
        let beginning = within(cell.chars(), room - end);
        let end: String = within(cell.chars().rev(), end).chars().rev().collect();
        format!("{beginning}…{end}")
    };
    shown.push_str(&" ".repeat(width.saturating_sub(shown.width())));
    shown
}

/// As much as fits into `width` columns.
fn within(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut shown = String::new();
    for c in chars {
        shown.push(c);
        if shown.width() > width {
            shown.pop();
            break;
        }
    }
    shown
}

fn terminal_width() -> usize {
    let stdout = std::io::stdout();
    if !std::io::IsTerminal::is_terminal(&stdout) {
        return UNBOUNDED;
    }
    rustix::termios::tcgetwinsize(&stdout).map_or(80, |size| usize::from(size.ws_col).max(20))
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn the_widest_column_is_cut_first() {
        let mut table = Table::new(&["ID", "STATE"]);
        table.row(vec!["a-very-long-identifier".into(), "RUNNING".into()]);
        assert_eq!(
            table.text(usize::MAX),
            "ID                      STATE\na-very-long-identifier  RUNNING\n"
        );
        assert_eq!(table.text(19), "ID          STATE\na-ver…fier  RUNNING\n");
    }

    #[test]
    fn sentences_are_cut_at_their_end() {
        let mut table = Table::new(&["WHY"]);
        table.row(vec!["nothing is free".into()]);
        assert_eq!(table.text(10), "WHY\nnothing i…\n");
    }
}
