//! Unified diffs in, one draft per hunk out.
//!
//! Understood are git's diffs (renames, modes, binary notes, combined diffs with `@@@`), plain
//! ones (`---`/`+++`), hunks without any file header, and the covers of `git log -p`, `git show`
//! and `git format-patch`: commit, author, date and message.
//!
//! # Promise
//!
//! The text of a hunk is the hunk, verbatim, from its `@@` on. A file that changes without hunks
//! (rename, mode, binary) is one draft with its header as text. A commit's message is the title's
//! second line on its first hunk and stands whole in `metadata["commit_message"]` of that draft; a
//! commit without a diff becomes a draft of its own. Text that is no diff at all becomes one draft,
//! verbatim. No changed line is lost.
//!
//! # Invariants
//!
//! - `artifacts` names the lines of the new file (of the old one, if the file was deleted).
//! - Hunks of one commit have its id as `session` and its date as `observed_at`.
//! - Line numbers come from the header. Where its counts do not fit the lines, the lines win: a
//!   hunk ends where the next header begins.
//!
//! # Deliberately absent
//!
//! Applying diffs, and guessing symbols that the header does not name.

use super::draft::{ArtifactRef, Draft};
use crate::kind::Kind;
use crate::time::Timestamp;
use serde_json::Value;

/// Splits a diff into drafts, one per hunk.
///
/// `path` is used for hunks that no file header names.
#[must_use]
pub fn parse_diff(text: &str, path: Option<&str>) -> Vec<Draft> {
    let mut parser = Parser::new(text, path);
    while let Some(line) = parser.next() {
        parser.take(line);
    }
    parser.finish()
}

/// The added and the removed lines of a hunk, without their signs.
///
/// For a combined diff a line counts as added or removed if it is so against any parent.
#[must_use]
pub fn changed_lines(hunk: &str) -> (Vec<&str>, Vec<&str>) {
    let mut lines = hunk.lines();
    let header = lines.clone().next().unwrap_or_default();
    let columns = header.bytes().take_while(|byte| *byte == b'@').count().saturating_sub(1).max(1);
    if header.starts_with("@@") {
        lines.next();
    }
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for line in lines {
        let (Some(signs), Some(rest)) = (line.get(..columns), line.get(columns..)) else { continue };
        if signs.contains('+') {
            added.push(rest);
        } else if signs.contains('-') {
            removed.push(rest);
        }
    }
    (added, removed)
}

/// A line of the text, without its end, and its place.
#[derive(Debug, Clone, Copy)]
struct Line<'t> {
    start: usize,
    text: &'t str,
}

/// What the covers and headers above a hunk say.
#[derive(Debug, Clone, Default)]
struct Commit {
    id: Option<String>,
    author: Option<String>,
    date: Option<Timestamp>,
    message: String,
    /// A draft that carries the message exists.
    told: bool,
    start: usize,
}

#[derive(Debug, Clone, Default)]
struct File {
    old: Option<String>,
    new: Option<String>,
    start: usize,
    header_seen: bool,
    hunks: usize,
    /// `renamed`, `added`, `deleted`, `binary`, `mode`: what happened besides the hunks.
    change: Option<&'static str>,
}

impl File {
    fn path(&self) -> Option<&str> {
        self.new.as_deref().or(self.old.as_deref())
    }
}

/// The numbers and the function of a hunk's header.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HunkHeader<'t> {
    old: (u32, u32),
    new: (u32, u32),
    columns: usize,
    function: &'t str,
}

#[derive(Debug)]
struct Hunk<'t> {
    start: usize,
    header: HunkHeader<'t>,
    /// Lines still due by the header's counts.
    old_due: u32,
    new_due: u32,
}

struct Parser<'t, 'p> {
    text: &'t str,
    lines: Vec<Line<'t>>,
    index: usize,
    path: Option<&'p str>,
    commit: Commit,
    in_message: bool,
    file: File,
    hunk: Option<Hunk<'t>>,
    /// The start of lines that belong to nothing yet.
    stray: Option<usize>,
    drafts: Vec<Draft>,
}

impl<'t, 'p> Parser<'t, 'p> {
    fn new(text: &'t str, path: Option<&'p str>) -> Self {
        let mut start = 0;
        let lines = text
            .split_inclusive('\n')
            .map(|full| {
                let line = Line {
                    start,
                    text: full.strip_suffix('\n').map_or(full, |line| line.strip_suffix('\r').unwrap_or(line)),
                };
                start += full.len();
                line
            })
            .collect();
        Self {
            text,
            lines,
            index: 0,
            path,
            commit: Commit::default(),
            in_message: false,
            file: File::default(),
            hunk: None,
            stray: None,
            drafts: Vec::new(),
        }
    }

    fn next(&mut self) -> Option<Line<'t>> {
        let line = self.lines.get(self.index).copied();
        self.index += 1;
        line
    }

    /// The line `ahead` lines after the one being taken.
    fn peek(&self, ahead: usize) -> &'t str {
        self.lines.get(self.index + ahead - 1).map_or("", |line| line.text)
    }

    fn take(&mut self, line: Line<'t>) {
        if self.take_into_hunk(line) {
            return;
        }
        self.end_hunk(line.start);
        let known = self.take_file_header(line) || self.take_hunk_header(line) || self.take_cover(line);
        // Subversion's rule above the file's header.
        let ruled = line.text.starts_with("Index: ") && self.peek(1).starts_with("=====");
        let rule = line.text.len() > 20 && line.text.bytes().all(|byte| byte == b'=');
        if known || ruled || rule {
            self.end_stray(line.start);
        } else if self.stray.is_none() && !self.is_within_header() {
            self.stray = Some(line.start);
        }
    }

    /// The lines of a binary patch belong to its file's header.
    fn is_within_header(&self) -> bool {
        self.file.header_seen && self.file.hunks == 0 && self.file.change == Some("binary")
    }

    /// True if the line belongs to the open hunk.
    fn take_into_hunk(&mut self, line: Line<'t>) -> bool {
        let next = self.peek(1);
        let after = self.peek(2);
        let Some(hunk) = &mut self.hunk else { return false };
        let due = hunk.old_due > 0 || hunk.new_due > 0;
        let signs = line.text.get(..hunk.header.columns).unwrap_or(line.text);
        let signed = !signs.is_empty() && signs.bytes().all(|byte| matches!(byte, b' ' | b'+' | b'-'));
        // Editors strip blanks: an empty line is an empty context line while more is due.
        let blank = line.text.is_empty() && due;
        if line.text.starts_with('\\') {
            return true;
        }
        // The header of the next file looks like a removed and an added line.
        let header = line.text.starts_with("--- ") && next.starts_with("+++ ") && after.starts_with("@@ -");
        // The end of a mail: `-- ` and the version of git.
        let signature = line.text == "-- " && !due;
        if !(signed || blank) || (header && !due) || signature || (!due && line.text.is_empty()) {
            return false;
        }
        if header && after_is_hunk_of(after) && hunk.old_due.max(hunk.new_due) < 2 {
            return false;
        }
        let removed = signs.contains('-');
        let added = signs.contains('+');
        if !added {
            hunk.old_due = hunk.old_due.saturating_sub(1);
        }
        if !removed {
            hunk.new_due = hunk.new_due.saturating_sub(1);
        }
        true
    }

    fn take_file_header(&mut self, line: Line<'t>) -> bool {
        let text = line.text;
        if let Some(rest) = text.strip_prefix("diff ") {
            self.end_file(line.start);
            self.in_message = false;
            let (old, new) = git_paths(rest);
            self.file = File { old, new, start: line.start, header_seen: true, ..File::default() };
            return true;
        }
        let next = self.peek(1);
        if let Some(old) = text.strip_prefix("--- ").filter(|_| next.starts_with("+++ ")) {
            if !self.file.header_seen || self.file.hunks > 0 {
                self.end_file(line.start);
                self.file = File { start: line.start, header_seen: true, ..File::default() };
            }
            self.in_message = false;
            self.file.old = file_name(old);
            return true;
        }
        if !self.file.header_seen || self.file.hunks > 0 {
            return false;
        }
        if let Some(new) = text.strip_prefix("+++ ") {
            self.file.new = file_name(new);
            if self.file.new.is_none() {
                self.file.change = Some("deleted");
            }
            return true;
        }
        self.take_extended_header(text)
    }

    fn take_extended_header(&mut self, text: &str) -> bool {
        let change = if text.starts_with("rename ") || text.starts_with("copy ") {
            if let Some(old) = text.strip_prefix("rename from ").or_else(|| text.strip_prefix("copy from ")) {
                self.file.old = Some(unquoted(old));
            }
            if let Some(new) = text.strip_prefix("rename to ").or_else(|| text.strip_prefix("copy to ")) {
                self.file.new = Some(unquoted(new));
            }
            Some(if text.starts_with("rename") { "renamed" } else { "copied" })
        } else if text.starts_with("new file mode") {
            Some("added")
        } else if text.starts_with("deleted file mode") {
            Some("deleted")
        } else if text.starts_with("Binary files ") || text.starts_with("GIT binary patch") {
            Some(self.file.change.unwrap_or("binary"))
        } else if text.starts_with("old mode ") || text.starts_with("new mode ") {
            Some("mode")
        } else {
            let plain = ["index ", "similarity index", "dissimilarity index", "mode "];
            return plain.iter().any(|word| text.starts_with(word));
        };
        self.file.change = change;
        true
    }

    fn take_hunk_header(&mut self, line: Line<'t>) -> bool {
        let Some(header) = hunk_header(line.text) else { return false };
        self.in_message = false;
        self.file.hunks += 1;
        let (old_due, new_due) = (header.old.1, header.new.1);
        self.hunk = Some(Hunk { start: line.start, header, old_due, new_due });
        true
    }

    /// The lines of a commit above its diff.
    fn take_cover(&mut self, line: Line<'t>) -> bool {
        let text = line.text;
        if let Some(id) = commit_id(text) {
            self.end_file(line.start);
            self.end_commit(line.start);
            self.commit = Commit { id: Some(id.to_owned()), start: line.start, ..Commit::default() };
            self.in_message = true;
            return true;
        }
        if !self.in_message {
            return false;
        }
        if let Some(author) = text.strip_prefix("Author: ").or_else(|| text.strip_prefix("From: ")) {
            self.commit.author = Some(author.trim().to_owned());
        } else if let Some(date) = ["Date: ", "AuthorDate: "].iter().find_map(|key| text.strip_prefix(key)) {
            self.commit.date = git_date(date.trim());
        } else if let Some(subject) = text.strip_prefix("Subject: ") {
            let subject =
                subject.strip_prefix("[PATCH").and_then(|rest| rest.split_once("] ")).map_or(subject, |(_, rest)| rest);
            self.commit.message.push_str(subject);
        } else if text == "---" {
            // What follows is format-patch's table of changes.
            self.commit.message.push('\n');
            self.in_message = true;
        } else if !["Commit: ", "CommitDate: ", "Merge: ", "commit "].iter().any(|key| text.starts_with(key)) {
            let words = text.strip_prefix("    ").unwrap_or(text);
            if !self.commit.message.is_empty() || !words.trim().is_empty() {
                // A folded subject goes on after one blank.
                self.commit.message.push_str(if self.commit.message.is_empty() { "" } else { "\n" });
                self.commit.message.push_str(words);
            }
        }
        true
    }

    /// The open hunk ends before `end`.
    fn end_hunk(&mut self, end: usize) {
        let Some(hunk) = self.hunk.take() else { return };
        let text = trimmed_end(self.text.get(hunk.start..end).unwrap_or_default());
        let path = self.file.path().or(self.path).map(str::to_owned);
        let mut draft = Draft::new(Kind::Diff, text);
        let (first, count) =
            if hunk.header.new.1 == 0 && hunk.header.new.0 == 0 { hunk.header.old } else { hunk.header.new };
        if let Some(path) = &path {
            let first = first.max(1);
            let symbol = Some(hunk.header.function).filter(|function| !function.is_empty());
            let mut place = ArtifactRef::lines(path.clone(), first, first.saturating_add(count.saturating_sub(1)));
            place.symbol = symbol.map(|function| super::shortened(function, 120));
            place.content_hash = content_hash(text, hunk.header.columns, self.file.change == Some("deleted"));
            draft.artifacts.push(place);
        }
        draft.title = hunk_title(path.as_deref(), hunk.header.function);
        draft.path = path;
        self.push(draft);
    }

    /// The open file ends before `end`: if it had no hunks, its header is all there is to keep.
    fn end_file(&mut self, end: usize) {
        let file = std::mem::take(&mut self.file);
        if !file.header_seen || file.hunks > 0 {
            return self.end_stray(end);
        }
        // What nobody knew stands in the header's text.
        self.stray = None;
        let text = trimmed_end(self.text.get(file.start..end).unwrap_or_default());
        let mut draft = Draft::new(Kind::Diff, text);
        let path = file.path().or(self.path).map(str::to_owned);
        draft.title = path.as_ref().map(|path| match (file.change, &file.old) {
            (Some("renamed"), Some(old)) => format!("{old} → {path}"),
            (Some(change), _) => format!("{path} ({change})"),
            (None, _) => path.clone(),
        });
        draft.path = path;
        self.file = file;
        self.push(draft);
        self.file = File::default();
    }

    /// A commit that changed nothing keeps its message as a draft.
    fn end_commit(&mut self, end: usize) {
        let commit = std::mem::take(&mut self.commit);
        if commit.told || commit.id.is_none() {
            return;
        }
        let text = trimmed_end(self.text.get(commit.start..end).unwrap_or_default());
        let mut draft = Draft::new(Kind::Diff, text);
        draft.title = commit.message.lines().next().map(|line| super::shortened(line, 160));
        draft.session.clone_from(&commit.id);
        draft.observed_at = commit.date;
        self.drafts.push(draft);
    }

    /// Lines that are part of no diff stay as one draft.
    fn end_stray(&mut self, end: usize) {
        let Some(start) = self.stray.take() else { return };
        let text = trimmed_end(self.text.get(start..end).unwrap_or_default());
        if text.trim().is_empty() || is_signature(text) {
            return;
        }
        let mut draft = Draft::new(Kind::Diff, text);
        draft.path = self.path.map(str::to_owned);
        self.drafts.push(draft);
    }

    fn push(&mut self, mut draft: Draft) {
        if let (Some(change), true) = (self.file.change, self.file.hunks <= 1) {
            draft.metadata.insert("change".to_owned(), Value::from(change));
        }
        if let (Some("renamed"), Some(old)) = (self.file.change, &self.file.old) {
            draft.metadata.insert("old_path".to_owned(), Value::from(old.as_str()));
        }
        draft.session.clone_from(&self.commit.id);
        draft.observed_at = self.commit.date;
        let message = self.commit.message.trim();
        if !self.commit.told && self.commit.id.is_some() {
            self.commit.told = true;
            if let Some(subject) = message.lines().next() {
                let subject = super::shortened(subject, 160);
                draft.title = Some(draft.title.map_or_else(|| subject.clone(), |title| format!("{title}\n{subject}")));
                draft.metadata.insert("commit_message".to_owned(), Value::from(message));
            }
            if let Some(author) = &self.commit.author {
                draft.metadata.insert("author".to_owned(), Value::from(author.as_str()));
            }
        }
        self.drafts.push(draft);
    }

    fn finish(mut self) -> Vec<Draft> {
        let end = self.text.len();
        self.end_hunk(end);
        self.end_file(end);
        self.end_stray(end);
        self.end_commit(end);
        if self.drafts.is_empty() && !self.text.trim().is_empty() {
            let mut draft = Draft::new(Kind::Diff, trimmed_end(self.text));
            draft.path = self.path.map(str::to_owned);
            self.drafts.push(draft);
        }
        self.drafts
    }
}

fn after_is_hunk_of(line: &str) -> bool {
    hunk_header(line).is_some()
}

fn trimmed_end(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

/// `-- ` and a version, the end of a mailed patch.
fn is_signature(text: &str) -> bool {
    let version = |rest: &str| rest.is_empty() || (rest.starts_with(|c: char| c.is_ascii_digit()) && rest.len() < 40);
    text.strip_prefix("-- ").is_some_and(|rest| version(rest.trim()) && !rest.trim().contains('\n'))
}

fn hunk_title(path: Option<&str>, function: &str) -> Option<String> {
    let function = super::shortened(function, 120);
    match (path, function.is_empty()) {
        (Some(path), true) => Some(path.to_owned()),
        (Some(path), false) => Some(format!("{path} @@ {function}")),
        (None, false) => Some(format!("@@ {function}")),
        (None, true) => None,
    }
}

/// The hash of the new lines (of the old ones, if the file was deleted).
fn content_hash(hunk: &str, columns: usize, deleted: bool) -> Option<String> {
    let gone = if deleted { '+' } else { '-' };
    let mut hasher = blake3::Hasher::new();
    for line in hunk.lines().skip(1).filter(|line| !line.starts_with('\\')) {
        let signs = line.get(..columns).unwrap_or_default();
        if !signs.contains(gone) {
            hasher.update(line.get(columns..).unwrap_or_default().as_bytes());
            hasher.update(b"\n");
        }
    }
    Some(hasher.finalize().to_hex().to_string())
}

/// `@@ -1,5 +1,7 @@ function`, `@@@ -1,5 -1,6 +1,7 @@@ function`
fn hunk_header(line: &str) -> Option<HunkHeader<'_>> {
    let signs = line.bytes().take_while(|byte| *byte == b'@').count();
    if !(2..=9).contains(&signs) {
        return None;
    }
    let fence = line.get(..signs)?;
    let (ranges, function) = line.get(signs..)?.strip_prefix(' ')?.split_once(fence)?;
    let mut old = None;
    let mut new = None;
    for word in ranges.split_ascii_whitespace() {
        let range = word.get(1..).and_then(line_range)?;
        match word.bytes().next()? {
            // Of several parents the first one counts.
            b'-' if old.is_none() => old = Some(range),
            b'-' => {}
            b'+' => new = Some(range),
            _ => return None,
        }
    }
    Some(HunkHeader { old: old?, new: new?, columns: signs - 1, function: function.trim() })
}

fn line_range(text: &str) -> Option<(u32, u32)> {
    match text.split_once(',') {
        Some((first, count)) => Some((first.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

/// `--git a/x b/x`, `--cc x`, `-r 1 x`: the paths, as far as the line alone tells them.
fn git_paths(rest: &str) -> (Option<String>, Option<String>) {
    if let Some(path) = rest.strip_prefix("--cc ").or_else(|| rest.strip_prefix("--combined ")) {
        return (None, Some(unquoted(path)));
    }
    let Some(both) = rest.strip_prefix("--git ") else {
        return (None, rest.rsplit(' ').next().map(unquoted));
    };
    let both = both.trim_end();
    if both.starts_with('"') {
        let mut names = both.split("\" \"");
        return (names.next().and_then(file_name), names.next().and_then(file_name));
    }
    // Names may hold blanks; without a rename both halves are equal behind `a/` and `b/`.
    let half = both.len().saturating_sub(1) / 2;
    let equal = both.get(2..half).zip(both.get(half + 3..)).filter(|(old, new)| old == new);
    if let Some((_, new)) = equal {
        return (Some(new.to_owned()), Some(new.to_owned()));
    }
    let (old, new) = both.split_once(" b/").unwrap_or((both, ""));
    (file_name(old), Some(new).filter(|new| !new.is_empty()).map(str::to_owned))
}

/// The path of a `---` or `+++` line: without prefix, time and quotes; `None` for `/dev/null`.
fn file_name(text: &str) -> Option<String> {
    let name = text.split('\t').next().unwrap_or(text);
    // Plain diffs write the time behind blanks.
    let name = name.find("  ").and_then(|end| name.get(..end)).unwrap_or(name);
    let name = unquoted(name.trim_end());
    if name == "/dev/null" || name.is_empty() {
        return None;
    }
    let prefixes = ["a/", "b/", "i/", "w/", "c/", "o/"];
    let bare = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
    Some(bare.to_owned())
}

/// A name without git's quotes; the escapes of bytes beyond ASCII are undone.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    if !text.contains('"') {
        return text.to_owned();
    }
    let text = text.trim_matches('"');
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let octal = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            bytes.push(byte);
            rest = tail.get(3..).unwrap_or_default();
        } else if let Some((escaped, tail)) = tail.split_first() {
            bytes.push(match escaped {
                b't' => b'\t',
                b'n' => b'\n',
                other => *other,
            });
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `commit 1190afd…` (git log), `From 1190afd… Mon Sep 17 00:00:00 2001` (format-patch).
fn commit_id(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("commit ").or_else(|| line.strip_prefix("From "))?;
    let id = rest.split([' ', '\t']).next()?;
    let hex = (7..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mailed = line.starts_with("commit ") || rest.ends_with("2001");
    (hex && mailed).then_some(id)
}

/// A commit's date in git's forms: ISO, `Mon Jan 20 10:30:00 2025 +0100`, `Mon, 20 Jan 2025 …`.
fn git_date(text: &str) -> Option<Timestamp> {
    if let Ok(at) = Timestamp::parse(text) {
        return Some(at);
    }
    let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let month_at = words.iter().position(|word| crate::lang::month_number(&word.to_ascii_lowercase()).is_some())?;
    let month = crate::lang::month_number(&words.get(month_at)?.to_ascii_lowercase())?;
    let clock = words.iter().find(|word| word.contains(':'))?;
    let year = words.iter().find_map(|word| {
        word.parse::<i64>().ok().filter(|year| word.len() == 4 && *year > 0 && !word.starts_with(['+', '-']))
    })?;
    let day = words.iter().find_map(|word| word.parse::<u8>().ok().filter(|_| word.len() <= 2))?;
    let zone = words.iter().find(|word| word.len() == 5 && word.starts_with(['+', '-'])).copied().unwrap_or("Z");
    let iso = words.iter().find(|word| word.len() == 10 && word.contains('-'));
    if let Some(date) = iso {
        return Timestamp::parse(&format!("{date}T{clock}{zone}")).ok();
    }
    Timestamp::parse(&format!("{year:04}-{month:02}-{day:02}T{clock}{zone}")).ok()
}

#[cfg(test)]
mod tests;
