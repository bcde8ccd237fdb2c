//! Recognises failing tests in the output of pytest, unittest, cargo test, jest and vitest,
//! go test, and JUnit under Maven or Gradle.
//!
//! Not here: passing tests, which are ordinary log lines.

use crate::ingest::draft::ArtifactRef;
use crate::ingest::pattern;
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// How a test runner reports a failure, which decides where the report ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    /// `____ test_x ____` up to the next rule.
    Pytest,
    /// `FAIL: test_x (module.Case)` between rules of `=`.
    Unittest,
    /// `---- name stdout ----` up to the list of failures.
    Cargo,
    /// `● suite › name` up to the next one or the totals.
    Jest,
    /// `--- FAIL: TestX (0.00s)` and the indented lines below.
    Go,
    /// `testX(com.example.Test) … <<< FAILURE!` and the trace below.
    Junit,
    /// A failure that one line reports.
    OneLine,
}

/// The opening line of a failing test's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) runner: Runner,
    pub(super) name: String,
}

/// `src/lib.rs:10:5`, `tests/test_a.py:12: AssertionError`, `a_test.go:9: …`
static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?:^|[\s(\[])((?:[A-Za-z]:)?[\w./\\@-]*[\w-]\.(?:py|rs|go|js|jsx|ts|tsx|mjs|java|kt|rb|php|c|cc|cpp|h|cs)):(\d{1,7})",
    )
});

/// Every pattern here, for the test that they compile.
#[cfg(test)]
pub(super) fn patterns() -> Vec<&'static LazyLock<Option<Regex>>> {
    vec![&PLACE]
}

/// The names of tests whose failure the text reports at length, so that the one-line form of the
/// same failure (a list, a summary) is not counted again.
pub(super) fn reported(lines: &[&str]) -> BTreeSet<String> {
    let long = |line: &&str| opening(line, None, &BTreeSet::new()).filter(|open| open.runner != Runner::OneLine);
    lines.iter().filter_map(|line| long(line).map(|open| open.name)).collect()
}

/// The failing test whose report this line opens.
pub(super) fn opening(line: &str, previous: Option<&str>, reported: &BTreeSet<String>) -> Option<Opening> {
    let open = |runner, name: &str| Some(Opening { runner, name: name.trim().to_owned() });
    let trimmed = line.trim();
    match trimmed.bytes().next()? {
        b'_' => {
            let name = trimmed.trim_matches('_').strip_prefix(' ')?.strip_suffix(' ')?;
            let ruled = trimmed.starts_with("___") && trimmed.ends_with("___") && !name.is_empty();
            return if ruled { open(Runner::Pytest, name) } else { None };
        }
        b'-' => {
            if let Some(name) = trimmed.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
                return open(Runner::Cargo, name);
            }
            let name = line.strip_prefix("--- FAIL: ")?;
            return open(Runner::Go, name.split(' ').next().unwrap_or(name));
        }
        0xE2 => {
            let name = trimmed.strip_prefix("● ")?;
            return if name.contains(" › ") || line.starts_with(' ') { open(Runner::Jest, name) } else { None };
        }
        _ => {}
    }
    let ruled =
        previous.is_some_and(|previous| previous.len() > 20 && previous.trim_end().bytes().all(|byte| byte == b'='));
    if let Some(name) = line.strip_prefix("FAIL: ").or_else(|| line.strip_prefix("ERROR: ")).filter(|_| ruled) {
        return open(Runner::Unittest, name.split(' ').next().unwrap_or(name));
    }
    if trimmed.ends_with("<<< FAILURE!") || trimmed.ends_with("<<< ERROR!") {
        let name = trimmed.trim_start_matches("[ERROR] ").split(" Time elapsed").next().unwrap_or(trimmed);
        let name = name.trim().trim_end_matches(" --");
        return if name.starts_with("Tests run:") { None } else { open(Runner::Junit, name) };
    }
    let name = one_line(line)?;
    let last = name.rsplit("::").next().unwrap_or(name);
    let known = reported.contains(name)
        || reported.contains(last)
        || reported.iter().any(|long| long.ends_with(&format!(".{last}")));
    if known { None } else { open(Runner::OneLine, name) }
}

/// `FAILED tests/test_a.py::test_b - message`, `test a::b ... FAILED`, `FooTest > bar() FAILED`
fn one_line(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix("FAILED ").filter(|rest| rest.contains("::")) {
        return rest.split(" - ").next();
    }
    if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.trim_end().strip_suffix(" ... FAILED")) {
        return Some(name);
    }
    line.trim_end().strip_suffix(" FAILED").filter(|name| name.contains(" > ") && !name.starts_with(' '))
}

/// True if the report of this runner ends before this line.
pub(super) fn ends_before(runner: Runner, line: &str, dated: bool) -> bool {
    let trimmed = line.trim_end();
    let rule =
        |sign: u8| trimmed.len() > 10 && trimmed.starts_with(char::from(sign)) && trimmed.ends_with(char::from(sign));
    match runner {
        Runner::Pytest => rule(b'='),
        Runner::Unittest => {
            trimmed.starts_with("Ran ") || (trimmed.len() > 20 && trimmed.bytes().all(|byte| byte == b'='))
        }
        Runner::Cargo => dated || trimmed == "failures:" || trimmed.starts_with("test result:"),
        Runner::Jest => {
            dated || ["Test Suites:", "Tests:", "Snapshots:"].iter().any(|total| trimmed.starts_with(total))
        }
        Runner::Go => !trimmed.is_empty() && !line.starts_with([' ', '\t']),
        Runner::Junit => {
            dated
                || trimmed.starts_with("[INFO]")
                || trimmed.starts_with("[ERROR]")
                || trimmed.starts_with("Tests run:")
        }
        Runner::OneLine => !line.starts_with([' ', '\t']) || trimmed.is_empty(),
    }
}

/// The places in code that a failure's report names.
pub(super) fn places(text: &str) -> Vec<ArtifactRef> {
    const MOST: usize = 32;
    let Some(pattern) = PLACE.as_ref() else { return Vec::new() };
    let mut places: Vec<ArtifactRef> = Vec::new();
    for found in pattern.captures_iter(text).take(256) {
        let (Some(path), Some(line)) = (found.get(1), found.get(2)) else { continue };
        let Ok(line) = line.as_str().parse() else { continue };
        let place = ArtifactRef::lines(path.as_str(), line, line);
        if places.len() < MOST && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}
