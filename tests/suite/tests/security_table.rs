//! The threat table of SECURITY.md claims no more than the tests show: each test that a row names is there, and a row
//! without one says why it is open. Other prose may name tests, too; those have to be there as well.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One row: `| # | who | attack | defence here | test |`.
struct Row {
    number: usize,
    cells: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows that begin with a number. A `|` within a cell would be a sixth cell, and is found by its count.
fn rows(text: &str) -> Vec<Row> {
    let cells = |line: &str| -> Option<Vec<String>> {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    let row = |cells: Vec<String>| Some(Row { number: cells.first()?.parse().ok()?, cells });
    text.lines().filter_map(cells).filter_map(row).collect()
}

/// What stands as `path::test_name` in backticks, a path being one of a Rust file below the root.
fn tests_named(text: &str) -> Vec<(String, String)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|quoted| {
            let (path, name) = quoted.split_once("::")?;
            path.ends_with(".rs").then(|| (path.to_owned(), name.to_owned()))
        })
        .collect()
}

/// The functions under a `#[test]` or `#[tokio::test]`, and the ones within `proptest!`, which have the attribute too.
fn tests_in(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if line.starts_with("#[ignore") {
            marked = false;
        } else if marked && let Some((_, rest)) = line.split_once("fn ") {
            found.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            marked = false;
        }
    }
    found
}

/// What is named and is not there.
fn missing(named: &[(String, String)]) -> Vec<String> {
    let mut files: HashMap<&str, Vec<String>> = HashMap::new();
    let mut missing = Vec::new();
    for (path, name) in named {
        let tests = files.entry(path).or_insert_with(|| {
            fs::read_to_string(root().join(path)).map(|source| tests_in(&source)).unwrap_or_default()
        });
        if !tests.contains(name) {
            missing.push(format!("`{path}::{name}`"));
        }
    }
    missing
}

/// What is wrong with a row, if anything.
fn fault(row: &Row) -> Option<String> {
    let number = row.number;
    if row.cells.len() != 5 || row.cells.iter().any(String::is_empty) {
        return Some(format!("row {number} has {} cells, or an empty one", row.cells.len()));
    }
    let tests = &row.cells[4];
    let open = tests.split_once("open:").map(|(_, reason)| reason.trim());
    match (tests_named(tests).is_empty(), open) {
        (true, None) => Some(format!("row {number} has neither a test nor `open:`")),
        (_, Some(reason)) if reason.len() < 10 => Some(format!("row {number} is open without a reason")),
        _ => None,
    }
}

#[test]
fn every_row_has_a_test_or_says_why_not() {
    let text = read("SECURITY.md");
    let rows = rows(&text);
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    assert!(numbers.len() >= 78, "the table was not found");
    assert!(numbers.is_sorted_by(|one, next| one < next), "rows are numbered in order, each once: {numbers:?}");
    let faults: Vec<String> = rows.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_test_that_prose_names_is_there() {
    let named = tests_named(&read("SECURITY.md"));
    assert!(named.len() > 100, "only {} tests were found in the table", named.len());
    for prose in ["SECURITY.md", "ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"] {
        let missing = missing(&tests_named(&read(prose)));
        assert!(missing.is_empty(), "{prose} names tests that are not there:\n{}", missing.join("\n"));
    }
}

/// The check would see it.
#[test]
fn a_claim_without_a_test_is_found() {
    let here = "tests/suite/tests/security_table.rs";
    let table = format!(
        "| # | who | attack | defence here | test |\n|---|---|---|---|---|\n\
         | 1 | A | a | d | `{here}::a_claim_without_a_test_is_found` |\n\
         | 2 | A | a | d | trust us |\n\
         | 3 | A | a | d | open: |\n\
         | 4 | A | a | d | open: waits for the second wall |\n\
         | 5 | A | a | d | `{here}::no_such_test`; open: the rest of it |\n\
         | 6 | A | a | d | e | `{here}::rows` |\n"
    );
    let faulty: Vec<usize> = rows(&table).iter().filter(|row| fault(row).is_some()).map(|row| row.number).collect();
    assert_eq!(faulty, [2, 3, 6]);
    assert_eq!(missing(&tests_named(&table)), [format!("`{here}::no_such_test`"), format!("`{here}::rows`")]);
}
