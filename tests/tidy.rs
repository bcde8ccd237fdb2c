//! The rules of the house that no compiler knows: module headers, directions between crates, pages for keys and codes,
//! licences.
//!
//! Only the standard library and the two parsers, so that it runs wherever `cargo test` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fall over")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 6] = ["target", "data", "node_modules", "__pycache__", "corpus", "mutants.out"];

/// Which of our crates each crate may use, and which foreign ones it must not: folder, ours, foreign.
const ARROWS: &[(&str, &[&str], &[&str])] = &[
    ("config", &[], &["actix", "actix-rt", "actix-web", "reqwest", "sled", "tokio", "tracing"]),
    (
        "memory",
        &["cmg-config"],
        &["actix", "actix-rt", "actix-web", "getrandom", "rand", "reqwest", "sled", "tokio", "tracing"],
    ),
    ("snapshots", &["cmg-config"], &["actix", "actix-rt", "actix-web", "reqwest", "tantivy"]),
    ("gateway", &["cmg-config"], &["actix", "actix-rt", "sled", "tantivy"]),
    ("actors", &["cmg-config", "cmg-memory", "cmg-snapshots", "cmg-gateway"], &["actix-web", "actix-http", "utoipa"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of ours with one of these endings, with its path from the root.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && !FOREIGN.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one)) {
                let short = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((short, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with one line for each finding.
fn none(findings: Vec<String>, rule: &str) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn every_module_says_first_what_it_is() {
    let silent = files(&["rs"]).into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path);

    none(silent.collect(), "a module starts with a `//!` line that says what it is");
}

#[test]
fn a_note_to_come_back_names_its_issue() {
    let mut found = Vec::new();
    for (path, text) in files(&["rs", "sh", "py", "toml"]) {
        for (number, line) in text.lines().enumerate() {
            let comment = line.trim_start().trim_start_matches(['/', '#', '!']).trim_start();
            let is_comment = comment.len() < line.trim_start().len();
            let note = ["TODO", "FIXME", "XXX"].into_iter().find_map(|word| comment.strip_prefix(word));
            if is_comment && note.is_some_and(|rest| !rest.starts_with("(#")) {
                found.push(format!("{path}:{}", number + 1));
            }
        }
    }

    none(found, "a note to come back names its issue, as in `TODO(#12): …`");
}

#[test]
fn nothing_is_left_for_later() {
    let gaps = [concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut found = Vec::new();
    for (path, text) in files(&["rs"]) {
        let lines = text.lines().enumerate().filter(|(_, line)| gaps.iter().any(|gap| line.contains(gap)));
        found.extend(lines.map(|(number, _)| format!("{path}:{}", number + 1)));
    }

    none(found, "code that is not there yet is not merged");
}

#[test]
fn the_arrows_between_crates_hold() {
    let mut found = Vec::new();
    for (folder, ours, foreign) in ARROWS {
        let Ok(manifest) = fs::read_to_string(root().join(folder).join("Cargo.toml")) else { continue };
        let manifest: toml::Table = manifest.parse().unwrap();
        for (kind, name) in dependencies(&manifest) {
            if name.starts_with("cmg-") && !ours.contains(&name.as_str()) {
                found.push(format!("{folder} uses {name}"));
            }
            if kind == "dependencies" && foreign.contains(&name.as_str()) {
                found.push(format!("{folder} uses {name}, which has no place there"));
            }
        }
    }

    none(found, "ARCHITECTURE.md draws which crate may use which");
}

#[test]
fn a_version_is_said_once_in_the_root_manifest() {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap().iter().map(|m| m.as_str().unwrap().to_owned());
    let mut found = Vec::new();
    for member in members.chain([".".to_owned()]) {
        let manifest: toml::Table = read(&format!("{member}/Cargo.toml")).parse().unwrap();
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(kind).and_then(toml::Value::as_table) else { continue };
            let own = table.iter().filter(|(_, value)| value.get("workspace").is_none());
            found.extend(own.map(|(name, _)| format!("{member}: {name}")));
        }
    }

    none(found, "members write `x.workspace = true`");
}

/// Every dependency of a manifest with the kind of its table, those of a target too.
fn dependencies(manifest: &toml::Table) -> Vec<(&'static str, String)> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = targets.into_iter().flat_map(|t| t.values().filter_map(toml::Value::as_table)).chain([manifest]);
    tables
        .flat_map(|table| {
            ["dependencies", "dev-dependencies", "build-dependencies"].into_iter().flat_map(move |kind| {
                let names = table.get(kind).and_then(toml::Value::as_table).into_iter().flat_map(|t| t.keys().cloned());
                names.map(move |name| (kind, name))
            })
        })
        .collect()
}

#[test]
fn every_setting_stands_on_its_page() {
    let page = read("docs/configuration.md");
    let missing = cmg_config::reference()
        .into_iter()
        .filter(|row| !page.contains(&format!("| `{}` | `{}` |", row.key, row.env)))
        .map(|row| format!("{} ({})", row.key, row.env));

    none(missing.collect(), "docs/configuration.md holds every setting");
}

#[test]
fn every_error_code_has_its_page_and_every_page_its_code() {
    let Ok(source) = fs::read_to_string(root().join("src/http/error.rs")) else {
        eprintln!("skipped: src/http/error.rs is not there yet");
        return;
    };
    let codes = codes_of(&source);
    let pages: BTreeSet<_> = fs::read_dir(root().join("docs/errors"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".md").filter(|name| *name != "README").map(str::to_owned))
        .collect();

    assert!(!codes.is_empty(), "src/http/error.rs holds a table of rows `(\"code\", …)`");
    none(codes.difference(&pages).cloned().collect(), "codes without a page in docs/errors");
    none(pages.difference(&codes).cloned().collect(), "pages in docs/errors without a code");
    let headless =
        pages.iter().filter(|code| !read(&format!("docs/errors/{code}.md")).starts_with(&format!("# `{code}`\n")));
    none(headless.cloned().collect(), "a page starts with its code as the heading");
    let index = read("docs/errors/README.md");
    let unlisted = pages.iter().filter(|code| !index.contains(&format!("({code}.md)")));
    none(unlisted.cloned().collect(), "docs/errors/README.md lists every page");
}

/// The first strings of the rows of the table `CODES`: `("code", …)`. The whole file, if nothing has that name.
fn codes_of(source: &str) -> BTreeSet<String> {
    let table = source
        .split_once("const CODES")
        .map_or(source, |(_, rest)| rest.split_once("];").map_or(rest, |(rows, _)| rows));
    table
        .split('(')
        .filter_map(|row| row.trim_start().strip_prefix('"')?.split_once('"'))
        .filter(|(code, rest)| is_code(code) && rest.trim_start().starts_with(','))
        .map(|(code, _)| code.to_owned())
        .collect()
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[test]
fn codes_are_read_from_rows_and_from_nothing_else() {
    let source = r#"const CODES: &[(&str, u16)] = &[("invalid_json", 400), ( "not_found", 404 )];
        fn other() { call("a_word"); pair("looks_like", 1); }"#;

    assert_eq!(codes_of(source), BTreeSet::from(["invalid_json".to_owned(), "not_found".to_owned()]));
}

#[test]
fn every_dependency_comes_from_crates_io_under_a_licence_we_allow() {
    let deny: toml::Table = read("deny.toml").parse().unwrap();
    let strings = |value: &toml::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let allowed = strings(&deny["licenses"]["allow"]);
    let registries = strings(&deny["sources"]["allow-registry"]);
    let mut found = Vec::new();
    for package in packages() {
        let name = format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        let licence = package["license"].as_str().unwrap_or("none");
        let Some(source) = package["source"].as_str() else {
            let inside = Path::new(package["manifest_path"].as_str().unwrap()).starts_with(root());
            found.extend((!inside).then(|| format!("{name}: from a folder outside")));
            continue;
        };
        if !registries.iter().any(|registry| source == format!("registry+{registry}")) {
            found.push(format!("{name}: from {source}"));
        }
        if !is_allowed(licence, &allowed) {
            found.push(format!("{name}: licence {licence}"));
        }
    }

    none(found, "deny.toml says what may be built in");
}

/// What cargo built this with: the packages of this platform, so that no network is needed.
fn packages() -> Vec<serde_json::Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let version = Command::new("rustc").arg("-vV").current_dir(root()).output().expect("rustc runs");
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Whether a licence expression can be met with the allowed ones: `AND`, `OR` (or `/`), `WITH` and brackets.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ").replace(" WITH ", "~");
    let words: Vec<_> = spaced.split_whitespace().map(|word| word.replace('~', " WITH ")).collect();
    let mut rest = words.as_slice();
    any_of(&mut rest, allowed) && rest.is_empty()
}

fn any_of(words: &mut &[String], allowed: &[String]) -> bool {
    let mut met = all_of(words, allowed);
    while words.first().is_some_and(|word| word == "OR") {
        *words = &words[1..];
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut &[String], allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while words.first().is_some_and(|word| word == "AND") {
        *words = &words[1..];
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[String], allowed: &[String]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    *words = rest;
    if first != "(" {
        return allowed.contains(first);
    }
    let met = any_of(words, allowed);
    let closed = words.first().is_some_and(|word| word == ")");
    *words = words.get(1..).unwrap_or_default();
    met && closed
}

#[test]
fn a_licence_expression_is_met_by_what_it_asks_for() {
    let allowed: Vec<_> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    let met: BTreeMap<_, _> = [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 / MIT / MPL-2.0", true),
        ("GPL-3.0", false),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("ISC AND (GPL-3.0 OR MPL-2.0)", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
        ("Apache-2.0", false),
        ("", false),
        ("(MIT", false),
    ]
    .into();

    for (expression, expected) in met {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
