//! Recognises stack traces and reads the places in code from their frames: Java and its relatives,
//! Python, JavaScript, Rust, Go, C#.
//!
//! Not here: where an event begins and ends (`super`).

use crate::ingest::draft::ArtifactRef;
use crate::ingest::pattern;
use regex::Regex;
use std::sync::LazyLock;

/// The most places that one event names: deep recursion says nothing new after that.
const MOST_FRAMES: usize = 64;

/// A language's way of writing traces, as far as it matters for their extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `Traceback …`, closed by the first line that is not indented.
    Python,
    /// A header, then indented `at …` lines.
    At,
    /// `panic: …`, then `goroutine …` with unindented functions.
    Go,
    /// `thread '…' panicked at …`
    Rust,
}

/// `at com.example.Foo.bar(Foo.java:12)`
static JAVA: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"^\s*at (?:[\w.@-]+/)*([\w.$<>]+)\(([\w$-]+\.(?:java|kt|scala|groovy|clj)):(\d{1,7})\)"));
/// `at run (/srv/app/main.js:10:5)`, `at file:///srv/app/main.mjs:10:5`
static NODE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"^\s*at (?:(?:async )?([^()\s]+(?: \[as [^\]]+\])?) \()?((?:file://|[A-Za-z]:)?[^():\s]+):(\d{1,7}):\d{1,7}\)?$",
    )
});
/// `File "app/main.py", line 12, in run`
static PYTHON: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r#"^\s*File "([^"]+)", line (\d{1,7})(?:, in (\S+))?"#));
/// `panicked at src/main.rs:4:5`, and a backtrace's `at /src/main.rs:4:5`
static RUST: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"(?:panicked at (?:'.*', )?|^\s+at )([^\s:']+\.rs):(\d{1,7})(?::\d{1,7})?"));
/// A tab, then `/srv/app/main.go:12 +0x1d`
static GO: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^\t([^\s:]+\.go):(\d{1,7})(?: \+0x[0-9a-f]+)?$"));
/// `at Shop.Cart.Add() in C:\src\Cart.cs:line 12`
static SHARP: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"^\s*at ([\w.`<>]+)\(.*\) in (.+?\.(?:cs|fs|vb)):line (\d{1,7})"));

/// Every pattern here, for the test that they compile.
#[cfg(test)]
pub(super) fn patterns() -> Vec<&'static LazyLock<Option<Regex>>> {
    vec![&JAVA, &NODE, &PYTHON, &RUST, &GO, &SHARP]
}

/// The style of a trace that this line opens, given the line after it.
pub(super) fn opens(line: &str, next: Option<&str>) -> Option<Style> {
    if line.starts_with("Traceback (most recent call last)") {
        return Some(Style::Python);
    }
    if line.starts_with("thread '") && line.contains("panicked at") {
        return Some(Style::Rust);
    }
    if line.starts_with("panic: ") || (line.starts_with("goroutine ") && line.trim_end().ends_with("]:")) {
        return Some(Style::Go);
    }
    let header = !line.starts_with([' ', '\t']) && !line.trim().is_empty();
    (header && next.is_some_and(is_at_line)).then_some(Style::At)
}

/// `    at …`, the frame line of Java, JavaScript and C#.
fn is_at_line(line: &str) -> bool {
    line.starts_with([' ', '\t']) && line.trim_start().starts_with("at ")
}

/// How a line stands to an open trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// It belongs to it.
    Inside,
    /// It is its last line.
    Last,
    /// It belongs to something else.
    Outside,
}

/// Whether a line still belongs to a trace of this style.
pub(super) fn extent(style: Style, line: &str, next: Option<&str>) -> Extent {
    const LINKS: [&str; 14] = [
        "Caused by:",
        "Suppressed:",
        "... ",
        "During handling of the above",
        "The above exception was the direct",
        "Traceback (most recent",
        "stack backtrace:",
        "note: run with",
        "note: Some details",
        "goroutine ",
        "created by ",
        "[signal ",
        "exit status ",
        "--- End of",
    ];
    if line.trim().is_empty() {
        // A blank line inside is followed by more of it.
        let more =
            next.is_some_and(|next| next.starts_with([' ', '\t']) || LINKS.iter().any(|link| next.starts_with(link)));
        return if more { Extent::Inside } else { Extent::Last };
    }
    if line.starts_with([' ', '\t']) || LINKS.iter().any(|link| line.starts_with(link)) {
        return Extent::Inside;
    }
    match style {
        // The exception itself; another trace may follow after a blank line.
        Style::Python if next.is_some_and(|next| next.trim().is_empty()) => Extent::Inside,
        Style::Python => Extent::Last,
        Style::Go if next.is_some_and(|next| next.starts_with('\t')) => Extent::Inside,
        Style::At if next.is_some_and(is_at_line) => Extent::Inside,
        Style::Rust if next.is_some_and(|next| next.starts_with("stack backtrace") || next.starts_with("note:")) => {
            Extent::Inside
        }
        // The message of a panic stands on the line after its place.
        Style::Rust => Extent::Last,
        Style::Go | Style::At => Extent::Outside,
    }
}

/// What the frames of a text say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    /// The places, in order, without repetition.
    pub(super) places: Vec<ArtifactRef>,
    /// How many lines are frames.
    pub(super) count: usize,
}

/// Reads the frames of a text.
pub(super) fn frames(text: &str) -> Frames {
    let mut frames = Frames::default();
    for line in text.lines() {
        if line.len() > 2000 || !may_be_frame(line) {
            continue;
        }
        if let Some(place) = frame(line) {
            frames.count += 1;
            let place_is_new = frames.places.len() < MOST_FRAMES && !frames.places.contains(&place);
            if place_is_new {
                frames.places.push(place);
            }
        } else if is_unplaced_frame(line) {
            frames.count += 1;
        }
    }
    frames
}

/// A cheap look before the patterns.
fn may_be_frame(line: &str) -> bool {
    let trimmed = line.trim_start();
    trimmed.starts_with("at ")
        || trimmed.starts_with("File \"")
        || (line.starts_with('\t') && line.contains(".go:"))
        || (line.contains("panicked at ") && line.contains(".rs:"))
}

/// Frames without a line number: native methods and the like.
fn is_unplaced_frame(line: &str) -> bool {
    is_at_line(line)
        && ["(Native Method)", "(Unknown Source)", "(<anonymous>)", "(<generated>)"]
            .iter()
            .any(|end| line.trim_end().ends_with(end))
}

fn frame(line: &str) -> Option<ArtifactRef> {
    java(line)
        .or_else(|| python(line))
        .or_else(|| rust(line))
        .or_else(|| sharp(line))
        .or_else(|| node(line))
        .or_else(|| go(line))
}

/// The class gives the folder that Java's frames leave out.
fn java(line: &str) -> Option<ArtifactRef> {
    let found = JAVA.as_ref()?.captures(line)?;
    let symbol = found.get(1)?.as_str();
    let file = found.get(2)?.as_str();
    let package = symbol.rsplitn(3, '.').nth(2).map(|package| package.replace('.', "/"));
    let path = package.map_or_else(|| file.to_owned(), |package| format!("{package}/{file}"));
    place(path, found.get(3)?.as_str(), Some(symbol))
}

fn node(line: &str) -> Option<ArtifactRef> {
    let found = NODE.as_ref()?.captures(line.trim_end())?;
    let path = found.get(2)?.as_str();
    let path = path.strip_prefix("file://").unwrap_or(path);
    place(path.to_owned(), found.get(3)?.as_str(), found.get(1).map(|symbol| symbol.as_str()))
}

fn python(line: &str) -> Option<ArtifactRef> {
    let found = PYTHON.as_ref()?.captures(line)?;
    let symbol = found.get(3).map(|symbol| symbol.as_str()).filter(|symbol| !symbol.starts_with('<'));
    place(found.get(1)?.as_str().to_owned(), found.get(2)?.as_str(), symbol)
}

fn rust(line: &str) -> Option<ArtifactRef> {
    let found = RUST.as_ref()?.captures(line)?;
    place(found.get(1)?.as_str().to_owned(), found.get(2)?.as_str(), None)
}

fn go(line: &str) -> Option<ArtifactRef> {
    let found = GO.as_ref()?.captures(line)?;
    place(found.get(1)?.as_str().to_owned(), found.get(2)?.as_str(), None)
}

fn sharp(line: &str) -> Option<ArtifactRef> {
    let found = SHARP.as_ref()?.captures(line)?;
    place(found.get(2)?.as_str().to_owned(), found.get(3)?.as_str(), Some(found.get(1)?.as_str()))
}

fn place(path: String, line: &str, symbol: Option<&str>) -> Option<ArtifactRef> {
    let line = line.parse().ok()?;
    Some(ArtifactRef { symbol: symbol.map(str::to_owned), ..ArtifactRef::lines(path, line, line) })
}

/// The line that says what went wrong, for the title.
pub(super) fn headline(text: &str) -> Option<&str> {
    let lines = || text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    let named = |line: &&str| {
        let head = line.split([':', ' ']).next().unwrap_or_default();
        let name = head.rsplit('.').next().unwrap_or_default();
        (name.ends_with("Error") || name.ends_with("Exception") || name.ends_with("Exit"))
            && head.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._$".contains(&byte))
    };
    lines()
        .find(named)
        .or_else(|| lines().find(|line| line.contains("panicked at") || line.starts_with("panic: ")))
        .or_else(|| lines().find(|line| line.starts_with("Exception in thread")))
}
