//! What the commands print: tables for people, JSON for scripts.

use std::io::{self, Write as _};

use fathom_proto::administration::NewlyMade;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Serialize;

/// Something that people read in a table.
pub trait Tabular {
    /// What stands above the columns.
    const HEADINGS: &[&str];

    /// One text a column.
    fn cells(&self) -> Vec<String>;
}

/// Where results go: standard output, in one of two forms.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether a script reads it.
    pub json: bool,
}

impl Output {
    /// A table, or an array.
    pub fn list<T: Serialize + Tabular>(self, items: &[T]) -> anyhow::Result<()> {
        if self.json {
            return print_json(items);
        }
        let headings = T::HEADINGS.iter().map(|heading| heading.to_uppercase());
        let mut rows = vec![headings.collect()];
        rows.extend(items.iter().map(T::cells));
        print(&aligned(&rows))
    }

    /// One line a column, or an object.
    pub fn one<T: Serialize + Tabular>(self, item: &T) -> anyhow::Result<()> {
        if self.json {
            return print_json(item);
        }
        print(&aligned(&record(item)))
    }

    /// As [`Output::one`], with the secret, which is never shown again.
    pub fn made<T: Serialize + Tabular>(self, new: &NewlyMade<T>) -> anyhow::Result<()> {
        let Some(secret) = &new.secret else {
            return self.one(&new.made);
        };
        if self.json {
            print_json(new)?;
        } else {
            let mut rows = record(&new.made);
            rows.push(vec!["secret".to_owned(), secret.expose_secret().to_owned()]);
            print(&aligned(&rows))?;
        }
        note("keep the secret now: it is stored as a hash or sealed, and is not shown again")
    }

    /// Something that is done and has nothing more to show; scripts learn it by the exit code.
    pub fn done(self, what: &str) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        print(&format!("{what}\n"))
    }
}

/// A word to the person at the terminal, beside the result.
pub fn note(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stderr(), "{text}")?)
}

/// A time in UTC (ISO 8601), or `-`.
pub fn time(seconds: impl Into<Option<i64>>) -> String {
    seconds.into().map_or_else(
        || "-".to_owned(),
        |seconds| match Timestamp::from_second(seconds) {
            Ok(time) => time.to_string(),
            Err(_) => seconds.to_string(),
        },
    )
}

/// `on`, or since when it is off.
pub fn state(disabled_at: Option<i64>) -> String {
    disabled_at.map_or_else(|| "on".to_owned(), |at| format!("off since {}", time(at)))
}

/// Names with commas between them; `all` when there is no list.
pub fn names<T: ToString>(list: Option<&[T]>) -> String {
    let Some(list) = list else {
        return "all".to_owned();
    };
    let names: Vec<String> = list.iter().map(ToString::to_string).collect();
    names.join(",")
}

fn print_json(value: &(impl Serialize + ?Sized)) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn record<T: Tabular>(item: &T) -> Vec<Vec<String>> {
    let headings = T::HEADINGS.iter().map(|heading| (*heading).to_owned());
    headings
        .zip(item.cells())
        .map(|(heading, cell)| vec![heading, cell])
        .collect()
}

/// Rows whose columns begin at the same place in each. Control characters, which a terminal would
/// obey, are shown as what they are.
fn aligned(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| visible(cell)).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let line: String = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn visible(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for character in cell.chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_moves_the_cursor() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["ID", "NAME"]), row(["acme", "a\u{1b}[2Jb"])];
        assert_eq!(aligned(&rows), "ID    NAME\nacme  a\\u{1b}[2Jb\n");
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(time(1_798_761_600), "2027-01-01T00:00:00Z");
        assert_eq!(time(None), "-");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
    }
}
