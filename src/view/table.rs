//! Tables of text.

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style};

/// A table with a header line; the columns named in `right` are aligned to the right.
#[must_use]
pub fn table(header: &[&str], rows: Vec<Vec<String>>, right: &[usize]) -> String {
    let mut builder = Builder::default();
    builder.push_record(header.iter().copied());
    for row in rows {
        builder.push_record(row);
    }
    let mut table = builder.build();
    table.with(Style::blank()).with(Padding::new(0, 1, 0, 0));
    for column in right {
        table.modify(Columns::one(*column), Alignment::right());
    }
    indented(&table.to_string())
}

/// Text moved two columns to the right, without trailing blanks.
#[must_use]
pub fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |out, line| {
        out + "  " + line.trim_end() + "\n"
    })
}

/// A table in Markdown.
#[must_use]
pub fn markdown(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(header.to_vec());
    out.push_str(&line(vec!["---"; header.len()]));
    for row in rows {
        out.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    out
}
