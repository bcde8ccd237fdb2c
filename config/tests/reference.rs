//! The reference page and the table that the parser uses say the same.
//!
//! `UPDATE_DOCS=1 cargo test -p cmg-config --test reference` writes the page's table anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fall over")]

use std::path::Path;

use cmg_config::{reference, reference_markdown};

const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->";

#[test]
fn the_table_in_the_docs_is_the_table_of_the_parser() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(&path).expect("docs/configuration.md");
    let (head, rest) = page.split_once(BEGIN).expect("the page marks where its table begins");
    let (table, tail) = rest.split_once(END).expect("the page marks where its table ends");

    let expected = reference_markdown();

    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{expected}{END}{tail}")).unwrap();
        return;
    }
    assert_eq!(table, expected, "docs/configuration.md is behind: run this test with UPDATE_DOCS=1");
}

#[test]
fn every_setting_has_a_name_a_variable_and_a_meaning() {
    for row in reference() {
        assert!(!row.key.is_empty() && !row.env.is_empty() && !row.kind.is_empty(), "{row:?}");
        assert!(row.doc.ends_with('.') && !row.doc.contains('|'), "{row:?}");
    }
}
