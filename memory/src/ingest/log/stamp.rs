//! Reads the head of a log line: when, and how bad.
//!
//! A line starts an event if it opens with a timestamp or a level in one of the forms that loggers
//! write. Everything else continues the event before it.
//!
//! Not here: what an event is made of (`super`), traces and tests.

use crate::lang;
use crate::time::{Cursor, Timestamp};
use serde_json::{Map, Value};

/// What the head of a line says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// When it happened, where the stamp says it whole.
    pub(super) at: Option<Timestamp>,
    /// The level, normalised.
    pub(super) level: Option<&'static str>,
    /// True if the stamp holds a date: then it is certain that a new event begins.
    pub(super) dated: bool,
    /// A trace that stands in a field of a JSON line.
    pub(super) trace: Option<String>,
}

/// The furthest that a level is looked for behind the stamp.
const LEVEL_WINDOW: usize = 160;

/// The head of a line that starts an event; `None` for a line that continues one.
///
/// `base` gives the year to stamps that have none.
pub(super) fn head_of(line: &str, base: Option<Timestamp>) -> Option<Head> {
    let first = line.bytes().next()?;
    if matches!(first, b' ' | b'\t' | b'}' | b')' | b'^') {
        return None;
    }
    if first == b'{' {
        return json_head(line);
    }
    let stamp = stamp_at(line, base).or_else(|| behind_prefix(line).and_then(|rest| stamp_at(rest, base)));
    if let Some(Stamp { at, dated, rest, level }) = stamp {
        return Some(Head { at, level: level.or_else(|| level_within(rest)), dated, trace: None });
    }
    logfmt_head(line).or_else(|| level_head(line, base)).or_else(|| access_head(line))
}

/// The stamp that opens a line, and the text behind it.
pub(super) fn at_start(line: &str) -> Option<(Option<Timestamp>, &str)> {
    stamp_at(line, None).map(|stamp| (stamp.at, stamp.rest))
}

/// A stamp and the text behind it.
struct Stamp<'t> {
    at: Option<Timestamp>,
    dated: bool,
    rest: &'t str,
    level: Option<&'static str>,
}

/// The text behind a first word that is no part of the event: the file it comes from
/// (`nova-api.log.1.2017-05-16_13:53:08 2017-05-16 …`), the container (`web_1  | …`), or a syslog
/// priority (`<34>1 …`).
fn behind_prefix(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix('<') {
        let (number, rest) = rest.split_once('>')?;
        let priority = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        return priority.then(|| rest.strip_prefix("1 ").unwrap_or(rest));
    }
    let (word, rest) = line.split_once(' ')?;
    if word.len() > 128 {
        return None;
    }
    if let Some(rest) = rest.trim_start_matches(' ').strip_prefix("| ") {
        return Some(rest);
    }
    (word.contains(".log") || word.ends_with(':') || word.ends_with("|")).then_some(rest)
}

/// A timestamp that opens the text, in brackets or bare.
fn stamp_at(text: &str, base: Option<Timestamp>) -> Option<Stamp<'_>> {
    let first = text.bytes().next()?;
    if !first.is_ascii_digit() && !first.is_ascii_uppercase() && first != b'[' && first != b'(' {
        return None;
    }
    let (body, bracket) = match first {
        b'[' | b'(' => (text.get(1..)?, true),
        _ => (text, false),
    };
    let forms = [iso, year_last_two, six_digits, epoch, day_month_year, month_day_year, month_day, clock_only];
    let lettered = [week_day, month_name, glog];
    let forms: &[Form] = if body.starts_with(|c: char| c.is_ascii_digit()) { &forms } else { &lettered };
    for form in forms {
        let mut cursor = Cursor::new(body.as_bytes());
        let Some(read) = form(&mut cursor, base) else { continue };
        let rest = body.get(body.len() - cursor.rest().len()..)?;
        let rest = if bracket { rest.strip_prefix([']', ')'])? } else { rest };
        // A stamp is a word of its own.
        if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        return Some(Stamp { at: read.at, dated: read.dated, rest, level: read.level });
    }
    None
}

/// What one form of stamp says.
struct Read {
    at: Option<Timestamp>,
    dated: bool,
    level: Option<&'static str>,
}

impl Read {
    fn dated(at: Option<Timestamp>) -> Option<Self> {
        Some(Self { at, dated: true, level: None })
    }
}

type Form = fn(&mut Cursor<'_>, Option<Timestamp>) -> Option<Read>;

/// Moves the cursor behind what `read` took, or leaves it where it is.
fn maybe<'a, T>(cursor: &mut Cursor<'a>, read: impl FnOnce(&mut Cursor<'a>) -> Option<T>) -> Option<T> {
    let mut ahead = Cursor::new(cursor.rest());
    let value = read(&mut ahead)?;
    *cursor = ahead;
    Some(value)
}

/// A zone behind a time: `Z`, `+02:00`, ` +0000`, ` UTC`; 0 where there is none.
fn zone(cursor: &mut Cursor<'_>) -> i64 {
    let numeric = |cursor: &mut Cursor<'_>| {
        cursor.take_any(b" ");
        let signed = matches!(cursor.peek(), Some(b'+' | b'-'));
        let digits = cursor.rest().iter().skip(1).take(2).filter(|byte| byte.is_ascii_digit()).count();
        let more = cursor.rest().get(3).is_some_and(|byte| *byte == b':' || byte.is_ascii_digit());
        if signed && digits == 2 && more { cursor.offset() } else { None }
    };
    if cursor.take_any(b"Zz") {
        return 0;
    }
    maybe(cursor, numeric).unwrap_or_else(|| {
        let _ = maybe(cursor, |cursor| cursor.take_word(b" UTC").or_else(|| cursor.take_word(b" GMT")));
        0
    })
}

/// `2025-01-20 10:30:00,123`, `2025/01/20T10:30:00Z`, `2025.01.20 10:30:00`
fn iso(cursor: &mut Cursor<'_>, _: Option<Timestamp>) -> Option<Read> {
    let date = cursor.date()?;
    if !cursor.take_any(b"T _-") {
        return None;
    }
    let time = cursor.time_of_day()?;
    let zone = zone(cursor);
    Read::dated(Some(Timestamp(date.0 + time - zone)))
}

/// `17/06/09 20:10:40` (year, month, day)
fn year_last_two(cursor: &mut Cursor<'_>, _: Option<Timestamp>) -> Option<Read> {
    let year = cursor.small(2)?;
    let separator = cursor.peek().filter(|byte| b"/-".contains(byte))?;
    cursor.take_any(&[separator]);
    let month = cursor.small(2)?;
    if !cursor.take_any(&[separator]) {
        return None;
    }
    let day = cursor.small(2)?;
    if !cursor.take_any(b" ") {
        return None;
    }
    let date = Timestamp::from_civil((century(year), month, day), (0, 0, 0), 0)?;
    let time = cursor.time_of_day()?;
    Read::dated(Some(Timestamp(date.0 + time)))
}

fn century(year: u8) -> i64 {
    if year < 70 { 2000 + i64::from(year) } else { 1900 + i64::from(year) }
}

/// `081109 203615` (year, month, day, then hour, minute, second)
fn six_digits(cursor: &mut Cursor<'_>, _: Option<Timestamp>) -> Option<Read> {
    let (year, month, day) = (cursor.small(2)?, cursor.small(2)?, cursor.small(2)?);
    if !cursor.take_any(b" ") {
        return None;
    }
    let time = (cursor.small(2)?, cursor.small(2)?, cursor.small(2)?);
    let blank = cursor.peek() == Some(b' ');
    let at = Timestamp::from_civil((century(year), month, day), time, 0)?;
    if blank { Read::dated(Some(at)) } else { None }
}

/// `1737369000`, `1737369000.123`, `1737369000123`: between 2001 and 2100.
fn epoch(cursor: &mut Cursor<'_>, _: Option<Timestamp>) -> Option<Read> {
    let digits = cursor.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = cursor.number(10, 16)?;
    let micros = match digits {
        10 => number.checked_mul(1_000_000)? + i64::from(cursor.fraction()),
        13 => number.checked_mul(1000)?,
        16 => number,
        _ => return None,
    };
    let ends = cursor.is_done() || matches!(cursor.peek(), Some(b' ' | b']' | b'\t' | b':' | b',' | b'|'));
    if ends { Read::dated(Some(plausible(micros)?)) } else { None }
}

fn plausible(micros: i64) -> Option<Timestamp> {
    (1_000_000_000_000_000..4_102_444_800_000_000).contains(&micros).then_some(Timestamp(micros))
}

/// `10/Oct/2000:13:55:36 -0700`, `10-Oct-2000 13:55:36`, `10 Oct 2000 13:55:36`
fn day_month_year(cursor: &mut Cursor<'_>, _: Option<Timestamp>) -> Option<Read> {
    let day = cursor.small(1)?;
    cursor.take_any(b"/- ").then_some(())?;
    let month = cursor.month()?;
    cursor.take_any(b"/- ").then_some(())?;
    let year = cursor.number(4, 4)?;
    cursor.take_any(b": ").then_some(())?;
    let date = Timestamp::from_civil((year, month, day), (0, 0, 0), 0)?;
    let time = cursor.time_of_day()?;
    let zone = zone(cursor);
    Read::dated(Some(Timestamp(date.0 + time - zone)))
}

/// `01/20/2025 10:30:00 AM`; day and month change places where only that makes a date.
fn month_day_year(cursor: &mut Cursor<'_>, _: Option<Timestamp>) -> Option<Read> {
    let first = cursor.small(1)?;
    cursor.take_any(b"/.").then_some(())?;
    let second = cursor.small(1)?;
    cursor.take_any(b"/.").then_some(())?;
    let year = cursor.number(4, 4)?;
    cursor.take_any(b",");
    cursor.take_any(b" ").then_some(())?;
    let date = Timestamp::from_civil((year, first, second), (0, 0, 0), 0)
        .or_else(|| Timestamp::from_civil((year, second, first), (0, 0, 0), 0))?;
    let time = cursor.time_of_day()?;
    let half_day = maybe(cursor, |cursor| {
        cursor.take_any(b" ");
        let afternoon = cursor.take_word(b"PM").is_some();
        (afternoon || cursor.take_word(b"AM").is_some()).then_some(afternoon)
    });
    const HOUR: i64 = 3_600_000_000;
    let shift = match half_day {
        Some(true) if time < 12 * HOUR => 12 * HOUR,
        Some(false) if time >= 12 * HOUR => -12 * HOUR,
        _ => 0,
    };
    Read::dated(Some(Timestamp(date.0 + time + shift)))
}

/// `03-17 16:13:38.811`: no year.
fn month_day(cursor: &mut Cursor<'_>, base: Option<Timestamp>) -> Option<Read> {
    let month = cursor.small(2)?;
    cursor.take_any(b"-").then_some(())?;
    let day = cursor.small(2)?;
    cursor.take_any(b" ").then_some(())?;
    let time = cursor.time_of_day()?;
    Read::dated(in_year(base, month, day, time)?)
}

/// `10:30:00`: only the time of day, so nothing is said about when.
fn clock_only(cursor: &mut Cursor<'_>, _: Option<Timestamp>) -> Option<Read> {
    let start = cursor.rest().get(2..3).is_some_and(|byte| byte == b":") && cursor.rest().get(5..6) == Some(b":");
    cursor.time_of_day()?;
    start.then_some(Read { at: None, dated: false, level: None })
}

/// `Jan  5 10:00:00`: no year.
fn month_name(cursor: &mut Cursor<'_>, base: Option<Timestamp>) -> Option<Read> {
    let month = cursor.month()?;
    cursor.take_any(b" ").then_some(())?;
    cursor.take_any(b" ");
    let day = cursor.small(1)?;
    cursor.take_any(b" ").then_some(())?;
    if let Some(year) = maybe(cursor, |cursor| {
        let year = cursor.number(4, 4)?;
        cursor.take_any(b" ").then_some(year)
    }) {
        let date = Timestamp::from_civil((year, month, day), (0, 0, 0), 0)?;
        return Read::dated(Some(Timestamp(date.0 + cursor.time_of_day()?)));
    }
    let time = cursor.time_of_day()?;
    Read::dated(in_year(base, month, day, time)?)
}

/// `Wed Oct 11 14:32:52.123456 2000`, and `Wed, 11 Oct 2000 14:32:52 GMT`
fn week_day(cursor: &mut Cursor<'_>, base: Option<Timestamp>) -> Option<Read> {
    const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    DAYS.iter().find_map(|day| cursor.take_word(day))?;
    if cursor.take_any(b",") {
        cursor.take_any(b" ");
        return day_month_year(cursor, base);
    }
    cursor.take_any(b" ").then_some(())?;
    let month = cursor.month()?;
    cursor.take_any(b" ").then_some(())?;
    cursor.take_any(b" ");
    let day = cursor.small(1)?;
    cursor.take_any(b" ").then_some(())?;
    let time = cursor.time_of_day()?;
    cursor.take_any(b" ").then_some(())?;
    let year = cursor.number(4, 4)?;
    let date = Timestamp::from_civil((year, month, day), (0, 0, 0), 0)?;
    Read::dated(Some(Timestamp(date.0 + time)))
}

/// `I0120 10:30:00.123456`: the level's letter, month and day.
fn glog(cursor: &mut Cursor<'_>, base: Option<Timestamp>) -> Option<Read> {
    let level = match cursor.peek()? {
        b'I' => "info",
        b'W' => "warn",
        b'E' => "error",
        b'F' => "fatal",
        _ => return None,
    };
    cursor.take_any(b"IWEF");
    let (month, day) = (cursor.small(2)?, cursor.small(2)?);
    cursor.take_any(b" ").then_some(())?;
    let time = cursor.time_of_day()?;
    Some(Read { at: in_year(base, month, day, time)?, dated: true, level: Some(level) })
}

/// The instant in the year that makes it lie before `base` (a day of grace for zones). The outer
/// `None` means that no year has such a day, the inner one that the year is not known.
#[expect(clippy::option_option, reason = "no such day and no known year are two answers")]
fn in_year(base: Option<Timestamp>, month: u8, day: u8, time: i64) -> Option<Option<Timestamp>> {
    const DAY: i64 = 86_400_000_000;
    // A leap year, so that 29 February is a day.
    Timestamp::from_civil((2000, month, day), (0, 0, 0), 0)?;
    let Some(base) = base else { return Some(None) };
    let in_year = |year| Timestamp::from_civil((year, month, day), (0, 0, 0), 0).map(|date| Timestamp(date.0 + time));
    let this = in_year(base.year()).filter(|at| at.0 <= base.0 + DAY);
    Some(this.or_else(|| in_year(base.year() - 1)))
}

/// `127.0.0.1 - bob [10/Oct/2000:13:55:36 -0700] "GET …"`
fn access_head(line: &str) -> Option<Head> {
    let open = memchr::memchr(b'[', line.as_bytes().get(..line.len().min(200))?)?;
    let mut cursor = Cursor::new(line.as_bytes().get(open + 1..)?);
    let words = line.get(..open)?.split_ascii_whitespace().count();
    let read = day_month_year(&mut cursor, None)?;
    ((1..=4).contains(&words) && cursor.peek() == Some(b']')).then_some(Head {
        at: read.at,
        level: None,
        dated: true,
        trace: None,
    })
}

/// `time="…" level=info msg="…"`, in any order, as logfmt writes it.
fn logfmt_head(line: &str) -> Option<Head> {
    const STAMPS: [&str; 4] = ["time=", "ts=", "timestamp=", "t="];
    let opens =
        STAMPS.iter().any(|key| line.starts_with(key)) || line.starts_with("level=") || line.starts_with("lvl=");
    if !opens {
        return None;
    }
    let window = line.char_indices().nth(LEVEL_WINDOW).map_or(line, |(end, _)| line.get(..end).unwrap_or(line));
    let value = |keys: &[&str]| {
        keys.iter().find_map(|key| {
            let at =
                window.find(key).filter(|at| *at == 0 || window.get(..*at).is_some_and(|head| head.ends_with(' ')))?;
            let value = window.get(at + key.len()..)?;
            match value.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next(),
                None => value.split(' ').next(),
            }
        })
    };
    let at = value(&STAMPS)
        .and_then(|text| Timestamp::parse(text).ok().or_else(|| text.parse().ok().and_then(number_stamp)));
    let level = value(&["level=", "lvl="]).and_then(level_named);
    (at.is_some() || level.is_some()).then_some(Head { dated: at.is_some(), at, level, trace: None })
}

/// `ERROR: …`, `[warn] …`, `WARNING:root:…`, and a stamp behind it if there is one.
fn level_head(line: &str, base: Option<Timestamp>) -> Option<Head> {
    let (body, bracket) = match line.strip_prefix(['[', '<']) {
        Some(body) => (body, true),
        None => (line, false),
    };
    let length = body.bytes().take(9).take_while(u8::is_ascii_alphabetic).count();
    let (word, rest) = body.split_at_checked(length)?;
    let level = level_named(word)?;
    let shouted = word.bytes().all(|byte| byte.is_ascii_uppercase());
    let next = rest.bytes().next();
    let fits = match next {
        Some(b']' | b'>') => bracket,
        Some(b':') => shouted,
        Some(b' ' | b'\t') => shouted && (bracket || speaks_log(word, rest)),
        Some(b'|') => shouted,
        _ => false,
    };
    if !fits {
        return None;
    }
    let rest = rest.trim_start_matches([']', '>', ':', ' ', '\t', '|', '-']);
    let stamp = stamp_at(rest, base);
    let (at, dated) = stamp.map_or((None, false), |stamp| (stamp.at, stamp.dated));
    Some(Head { at, level: Some(level), dated, trace: None })
}

/// A bare capital word opens an event unless it opens a headline in capitals.
fn speaks_log(word: &str, rest: &str) -> bool {
    let next = rest.trim_start().split(' ').next().unwrap_or_default();
    let headline = next.len() > 1 && next.bytes().all(|byte| byte.is_ascii_uppercase());
    !headline && word.len() > 3
}

/// The level named within the first words behind a stamp.
fn level_within(rest: &str) -> Option<&'static str> {
    let window = rest.as_bytes().get(..rest.len().min(LEVEL_WINDOW)).unwrap_or_default();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let mut place = 0;
    // Levels stand within the first words; further on the message may use the same ones.
    for _ in 0..14 {
        place += window.get(place..)?.iter().position(is_part)?;
        let length = window.get(place..)?.iter().take_while(|byte| is_part(byte)).count();
        let word = rest.get(place..place + length)?;
        let ahead = place.checked_sub(1).and_then(|at| window.get(at)).copied().unwrap_or(b' ');
        let next = window.get(place + length).copied().unwrap_or(b' ');
        if stands_as_level(word, ahead, next)
            && let Some(level) = level_named(word)
        {
            return Some(level);
        }
        place += length;
    }
    None
}

/// True if a word between these two bytes is set as levels are: in capitals, in brackets, or as a
/// `level=` value. "error" in running text is no level.
fn stands_as_level(word: &str, ahead: u8, next: u8) -> bool {
    let shouted = word.bytes().all(|byte| byte.is_ascii_uppercase());
    let capital = word.starts_with(|first: char| first.is_ascii_uppercase());
    let apart = matches!(ahead, b' ' | b'[' | b'<' | b'|' | b'\t' | b'(' | b'-' | b']' | b'.' | b':')
        && matches!(next, b' ' | b']' | b'>' | b'|' | b':' | b'\t' | b')' | b',' | b'-' | b'[');
    let boxed = matches!((ahead, next), (b'[', b']') | (b'<', b'>') | (b'|', b'|') | (b'(', b')'));
    (apart && shouted)
        || boxed
        || ahead == b'='
        || (apart && capital && matches!(next, b':' | b','))
        || (ahead == b'.' && next == b' ') && shouted
        || (ahead == b':' && next == b']')
        || (ahead == b' ' && matches!(next, b':'))
        || (ahead == b'|' && next == b' ')
        || (ahead == b' ' && next == b'|')
}

/// One name for each level, whatever the logger calls it.
fn level_named(word: &str) -> Option<&'static str> {
    if !(1..=11).contains(&word.len()) {
        return None;
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "trace" | "finest" | "finer" | "verbose" => "trace",
        "debug" | "dbg" | "fine" => "debug",
        "info" | "information" | "inf" => "info",
        "notice" => "notice",
        "warn" | "warning" | "wrn" => "warn",
        "error" | "err" | "severe" => "error",
        "critical" | "crit" => "critical",
        "fatal" | "panic" | "emerg" | "emergency" | "alert" => "fatal",
        _ => return None,
    })
}

/// A line that is one JSON object and says when, how bad or what.
fn json_head(line: &str) -> Option<Head> {
    if !line.trim_end().ends_with('}') {
        return None;
    }
    let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let field = |names: &[&str]| names.iter().find_map(|name| fields.get(*name));
    let stamp = field(&["ts", "time", "timestamp", "@timestamp", "date", "datetime", "asctime"]);
    let level = field(&["level", "lvl", "severity", "levelname", "log.level", "loglevel"]);
    let message = field(&["msg", "message", "event", "text"]);
    let trace =
        field(&["stack", "stacktrace", "stack_trace", "exc_info", "exception", "traceback", "error.stack_trace"]);
    if stamp.is_none() && level.is_none() && message.is_none() {
        return None;
    }
    let at = stamp.and_then(json_stamp);
    let trace = trace.and_then(Value::as_str).map(str::to_owned);
    Some(Head { at, level: level.and_then(json_level), dated: true, trace })
}

fn json_stamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => Timestamp::parse(text).ok().or_else(|| text.parse().ok().and_then(number_stamp)),
        Value::Number(number) => number.as_f64().and_then(number_stamp),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Epoch seconds, milli-, micro- or nanoseconds, told apart by their size.
fn number_stamp(number: f64) -> Option<Timestamp> {
    let micros =
        [1e6, 1e3, 1.0, 1e-3].iter().map(|factor| number * factor).find(|micros| (1e15..4.1e15).contains(micros))?;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked above")]
    let whole = micros.round() as i64;
    plausible(whole)
}

fn json_level(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) => level_named(text),
        // The numbers of bunyan and pino.
        Value::Number(number) => match number.as_u64()? {
            10 => Some("trace"),
            20 => Some("debug"),
            30 => Some("info"),
            40 => Some("warn"),
            50 => Some("error"),
            60 => Some("fatal"),
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Cursor<'_> {
    /// Takes exactly these bytes.
    fn take_word(&mut self, word: &[u8]) -> Option<()> {
        let rest = self.rest().strip_prefix(word)?;
        *self = Cursor::new(self.rest().get(self.rest().len() - rest.len()..)?);
        Some(())
    }

    /// Takes a month's name, three letters or whole.
    fn month(&mut self) -> Option<u8> {
        let length = self.rest().iter().take(10).take_while(|byte| byte.is_ascii_alphabetic()).count();
        let word = std::str::from_utf8(self.rest().get(..length)?).ok()?;
        let month = lang::month_number(&word.to_ascii_lowercase())?;
        *self = Cursor::new(self.rest().get(length..)?);
        Some(month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, &'static str)> {
        let base = Timestamp::parse("2025-03-01T00:00:00Z").ok();
        let head = head_of(line, base)?;
        Some((head.at.map_or_else(|| "-".to_owned(), Timestamp::to_rfc3339), head.level.unwrap_or("-")))
    }

    #[test]
    fn heads_are_read_in_all_their_forms() {
        for (line, at, level) in [
            ("2025-01-20 10:30:00 ERROR: Authentication failed", "2025-01-20T10:30:00Z", "error"),
            ("2015-10-18 18:01:47,978 INFO [main] a.b.C: x", "2015-10-18T18:01:47.978Z", "info"),
            ("2025-01-20T10:30:00.123+01:00 [worker] WARN x", "2025-01-20T09:30:00.123Z", "warn"),
            ("2025-01-20T10:30:00Z DEBUG x", "2025-01-20T10:30:00Z", "debug"),
            ("2025-01-20 10:30:00 +0100 something", "2025-01-20T09:30:00Z", "-"),
            ("2015-07-29 17:41:44,747 - INFO  [x] y", "2015-07-29T17:41:44.747Z", "info"),
            ("[2025-01-20 10:30:00] production.ERROR: boom", "2025-01-20T10:30:00Z", "error"),
            ("2023/01/01 12:00:00 [error] 12#12: *1 open() failed", "2023-01-01T12:00:00Z", "error"),
            ("17/06/09 20:10:40 INFO executor.X: y", "2017-06-09T20:10:40Z", "info"),
            ("081109 203615 148 INFO dfs.X: y", "2008-11-09T20:36:15Z", "info"),
            ("Jan  5 10:00:00 host sshd[12]: x", "2025-01-05T10:00:00Z", "-"),
            ("Dec 31 23:59:59 host cron: x", "2024-12-31T23:59:59Z", "-"),
            ("<34>1 2003-10-11T22:14:15.003Z host su - - x", "2003-10-11T22:14:15.003Z", "-"),
            ("[Sun Dec 04 04:47:44 2005] [notice] x", "2005-12-04T04:47:44Z", "notice"),
            ("10.1.2.3 - bob [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200", "2000-10-10T20:55:36Z", "-"),
            (
                "app.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO a.b [-] x",
                "2017-05-16T00:00:00.008Z",
                "info",
            ),
            ("web_1  | 2025-01-20 10:30:00 [ERROR] x", "2025-01-20T10:30:00Z", "error"),
            ("1737369000 INFO x", "2025-01-20T10:30:00Z", "info"),
            ("1737369000.5 x", "2025-01-20T10:30:00.500Z", "-"),
            ("[1737369000123] ERROR x", "2025-01-20T10:30:00.123Z", "error"),
            ("I0120 10:30:00.000000 1 main.go:5] x", "2025-01-20T10:30:00Z", "info"),
            ("03-17 16:13:38.811 1702 2395 D Tag: x", "2024-03-17T16:13:38.811Z", "-"),
            ("01/20/2025 10:30:00 PM ERROR x", "2025-01-20T22:30:00Z", "error"),
            ("10:30:00.123 [main] INFO a.B - x", "-", "info"),
            ("ERROR: x", "-", "error"),
            ("[WARN] x", "-", "warn"),
            ("WARNING:root:x", "-", "warn"),
            ("INFO 2025-01-20 10:30:00 x", "2025-01-20T10:30:00Z", "info"),
            ("time=\"2025-01-20T10:30:00Z\" level=warning msg=\"x\"", "2025-01-20T10:30:00Z", "warn"),
            ("level=error ts=2025-01-20T10:30:00Z x", "2025-01-20T10:30:00Z", "error"),
            ("{\"ts\":1737369000.5,\"level\":\"info\",\"msg\":\"x\"}", "2025-01-20T10:30:00.500Z", "info"),
            ("{\"time\":\"2025-01-20T10:30:00Z\",\"level\":50,\"msg\":\"x\"}", "2025-01-20T10:30:00Z", "error"),
            (
                "{\"@timestamp\":1737369000123,\"severity\":\"WARNING\",\"message\":\"x\"}",
                "2025-01-20T10:30:00.123Z",
                "warn",
            ),
        ] {
            assert_eq!(read(line), Some((at.to_owned(), level)), "{line}");
        }
    }

    #[test]
    fn other_lines_start_nothing() {
        for line in [
            "",
            "    at a.b.C(D.java:12)",
            "Caused by: java.io.IOException: x",
            "Traceback (most recent call last):",
            "ValueError: bad",
            "Error: bad",
            "error in line",
            "INFORMATION IS POWER",
            "{",
            "{\"a\": 1}",
            "{ not json }",
            "12 items",
            "2025 was good",
            "1234567890123456789 x",
            "Mary had 5 lambs",
            "10.1.2.3 - x",
            "12:30 is noon",
            "2025-01-20 was a Monday",
            "Information about",
            "panic: runtime error",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
