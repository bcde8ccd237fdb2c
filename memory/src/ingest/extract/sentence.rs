//! Cuts a text into sentences that rules may read: no code, no quoted lines, no bullets.

use std::borrow::Cow;

/// The longest sentence that is read: beyond it, it is no sentence.
const LONGEST: usize = 500;

/// A sentence, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Sentence<'t> {
    /// As written, without bullets and blanks around it.
    pub(super) raw: &'t str,
    /// For reading: plain apostrophes and quotes, no emphasis marks, no checkbox.
    pub(super) plain: Cow<'t, str>,
    /// `plain` in lower case (ASCII), byte for byte.
    pub(super) lower: String,
    /// Bytes of the text.
    pub(super) span: (usize, usize),
    /// The sentence is its whole line.
    pub(super) is_line: bool,
    /// `- [ ]` is `Some(false)`, `- [x]` is `Some(true)`.
    pub(super) checkbox: Option<bool>,
}

impl Sentence<'_> {
    pub(super) fn is_question(&self) -> bool {
        self.plain.trim_end_matches(['"', ')', ' ', '*']).ends_with('?')
    }

    /// True if a place of `plain` lies inside double quotes or backticks.
    pub(super) fn is_quoted(&self, place: usize) -> bool {
        let head = self.plain.get(..place).unwrap_or_default();
        head.matches('"').count() % 2 == 1 || head.matches('`').count() % 2 == 1
    }
}

/// The sentences of a text, in order.
pub(super) fn sentences(text: &str) -> Vec<Sentence<'_>> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut in_code = false;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let fence = trimmed.starts_with("```") || trimmed.starts_with("~~~");
        let indented_code = line.starts_with("    ") && !trimmed.starts_with(['-', '*']);
        if fence {
            in_code = !in_code;
        } else if !in_code && !trimmed.starts_with('>') && !trimmed.starts_with('|') && !indented_code {
            cut_line(text, start, start + line.len(), &mut sentences);
        }
        start += line.len();
    }
    sentences
}

fn cut_line<'t>(text: &'t str, start: usize, end: usize, sentences: &mut Vec<Sentence<'t>>) {
    let line = text.get(start..end).unwrap_or_default();
    let (skip, checkbox) = bullet(line);
    let from = start + skip;
    let body = text.get(from..end).unwrap_or_default();
    let mut place = 0;
    let mut first = true;
    while place < body.len() {
        let rest = body.get(place..).unwrap_or_default();
        let length = sentence_length(rest);
        let raw_part = rest.get(..length).unwrap_or(rest);
        let raw = raw_part.trim();
        let lead = raw_part.len() - raw_part.trim_start().len();
        let is_line = first && body.get(place + length..).is_none_or(|rest| rest.trim().is_empty());
        if !raw.is_empty() && raw.len() <= LONGEST {
            let at = from + place + lead;
            let checkbox = if is_line { checkbox } else { None };
            sentences.push(read(raw, (at, at + raw.len()), is_line, checkbox));
        }
        first = false;
        place += length.max(1);
    }
}

fn read(raw: &str, span: (usize, usize), is_line: bool, checkbox: Option<bool>) -> Sentence<'_> {
    let marked = raw.contains("**") || raw.contains("__") || raw.contains(['’', '‘', '“', '”']);
    let plain = if marked {
        let text = raw.replace("**", "").replace("__", "").replace(['’', '‘'], "'").replace(['“', '”'], "\"");
        Cow::Owned(text)
    } else {
        Cow::Borrowed(raw)
    };
    let lower = plain.to_ascii_lowercase();
    Sentence { raw, plain, lower, span, is_line, checkbox }
}

/// The length of what marks a line as an item of a list, and its checkbox.
fn bullet(line: &str) -> (usize, Option<bool>) {
    let trimmed = line.trim_start();
    let blanks = line.len() - trimmed.len();
    let digits = trimmed.bytes().take(3).take_while(u8::is_ascii_digit).count();
    let numbered =
        digits > 0 && trimmed.get(digits..).is_some_and(|rest| rest.starts_with(". ") || rest.starts_with(") "));
    let marked = ["- ", "* ", "• ", "+ "].iter().find(|mark| trimmed.starts_with(*mark)).map(|mark| mark.len());
    let length = if numbered { digits + 2 } else { marked.unwrap_or(0) };
    let hashes = trimmed.bytes().take_while(|byte| *byte == b'#').count();
    if length == 0 && (1..=6).contains(&hashes) && trimmed.get(hashes..).is_some_and(|rest| rest.starts_with(' ')) {
        return (blanks + hashes + 1, None);
    }
    let rest = trimmed.get(length..).unwrap_or_default();
    let checkbox = match rest.get(..4) {
        Some("[ ] ") => Some(false),
        Some("[x] " | "[X] ") => Some(true),
        _ => None,
    };
    let boxed = if checkbox.is_some() { 4 } else { 0 };
    (blanks + length + boxed, checkbox)
}

/// The bytes up to the end of the first sentence.
fn sentence_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut place = 0;
    while let Some(found) =
        bytes.get(place..).and_then(|rest| rest.iter().position(|byte| matches!(byte, b'.' | b'!' | b'?')))
    {
        let mark = place + found;
        let run =
            bytes.get(mark..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b'.' | b'!' | b'?')).count();
        let close = bytes
            .get(mark + run..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| matches!(byte, b'"' | b'\'' | b')' | b'*'))
            .count();
        let end = mark + run + close;
        let next = bytes.get(end).copied();
        let ends = next.is_none_or(|byte| byte.is_ascii_whitespace());
        if ends
            && !(run == 1 && bytes.get(mark) == Some(&b'.') && is_abbreviation(text.get(..mark).unwrap_or_default()))
        {
            return end;
        }
        place = end;
    }
    text.len()
}

/// True if a full stop after this text belongs to its last word.
fn is_abbreviation(head: &str) -> bool {
    const SHORT: [&str; 17] = [
        "e.g", "i.e", "etc", "vs", "mr", "mrs", "ms", "dr", "st", "no", "approx", "fig", "cf", "resp", "incl", "al",
        "inc",
    ];
    let word_start = head.bytes().rev().take(8).take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'.').count();
    let word = head.get(head.len() - word_start..).unwrap_or_default();
    // 200 ms are no lady.
    if word == "ms" {
        return false;
    }
    let word = word.to_ascii_lowercase();
    SHORT.contains(&word.as_str()) && word != "no" || (word.len() == 1 && word != "i" && !head.is_empty())
}
