//! `cmg bench quality`: how much of the evidence for questions about real conversations comes back.
//!
//! Reads conversations in the form of LoCoMo (`snap-research/locomo`), one file each. A conversation becomes a thread,
//! a session of it one request; then each question of the categories 1–4 is a purpose.
//!
//! # What the figures mean
//!
//! - **Evidence recall@k**: the share of a question's evidence turns among the first k items, averaged over questions.
//!   Every item counts as one of the k, also one that is no turn.
//! - **Evidence recall at a budget of N**: the same over what comes back with `token_budget` N.
//! - Evidence that names no turn of the conversation is dropped; a question without any left is left out.

use super::client::Connection;
use super::fill;
use super::progress::Progress;
use super::report;
use super::server::Gate;
use super::wire::{self, RecallRanks, RecallRequest};
use super::{BenchError, Target};
use cmg_memory::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Ranks up to which evidence is looked for.
const DEPTHS: [usize; 3] = [5, 10, 20];
/// `top_k` of the recall whose ranks are looked at.
const DEEPEST: u32 = 20;
/// Budgets in `o200k_base` tokens that evidence has to fit into.
const BUDGETS: [u32; 4] = [500, 1_000, 2_000, 4_000];
/// A budget that no twenty turns use up.
const NO_BUDGET: u32 = 1_000_000;
/// `top_k` where the budget alone is to decide.
const NO_TOP_K: u32 = 500;
/// Seconds from a turn to the next.
const TURN_SECONDS: i64 = 20;
/// What the categories are called, from 1 on.
const CATEGORIES: [&str; 4] = ["1 multi-hop", "2 temporal", "3 open-domain", "4 single-hop"];
/// Which of a question's shares are looked at for `--failures`: recall@10 and the smallest budget.
const WATCHED: [usize; 2] = [1, DEPTHS.len()];

/// What to read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Folder of LoCoMo conversations, one .json file each.
    #[arg(long, value_name = "DIR")]
    locomo: PathBuf,
    /// Write the questions with evidence missing at rank 10 or in 500 tokens into this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,
}

/// A conversation as LoCoMo has it.
#[derive(Debug)]
struct Conversation {
    name: String,
    sessions: Vec<Vec<Turn>>,
    questions: Vec<Question>,
    /// Questions of the categories 1–4 without evidence that can be found.
    skipped: u64,
}

/// A turn as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Turn {
    id: String,
    role: &'static str,
    name: String,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Timestamp>,
}

/// A question and the turns that answer it.
#[derive(Debug, Clone, PartialEq)]
struct Question {
    text: String,
    answer: Value,
    /// From 0 on; its name is in [`CATEGORIES`].
    category: usize,
    evidence: BTreeSet<String>,
}

/// The shares of one question, at [`DEPTHS`] and then at [`BUDGETS`].
type Shares = [f64; DEPTHS.len() + BUDGETS.len()];

/// The figures of a run.
#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    turns: u64,
    items: u64,
    questions: u64,
    skipped_questions: u64,
    rows: Vec<Row>,
}

/// Means over the questions of one sort.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    /// `all`, `category` or `conversation`.
    of: &'static str,
    name: String,
    questions: u64,
    recall_at_5: f64,
    recall_at_10: f64,
    recall_at_20: f64,
    recall_in_500_tokens: f64,
    recall_in_1000_tokens: f64,
    recall_in_2000_tokens: f64,
    recall_in_4000_tokens: f64,
}

/// A question that was asked.
#[derive(Debug)]
struct Asked {
    conversation: usize,
    category: usize,
    shares: Shares,
}

/// For developers: what was not found.
#[derive(Debug, Serialize)]
struct Failure<'a> {
    conversation: &'a str,
    category: &'static str,
    question: &'a str,
    answer: &'a Value,
    recall_at_10: f64,
    recall_in_500_tokens: f64,
    missed_at_10: Vec<Missed<'a>>,
    missed_in_500_tokens: Vec<&'a str>,
    first_10: Vec<Option<&'a str>>,
}

/// An evidence turn that was not found.
#[derive(Debug, Serialize)]
struct Missed<'a> {
    id: &'a str,
    text: &'a str,
}

/// Reads, ingests, asks, prints. A request that fails ends the run: half the questions give no figure.
pub(super) fn run(args: &Args) -> Result<u64, BenchError> {
    let conversations = read_folder(&args.locomo)?;
    let mut failures = args.failures.as_deref().map(create).transpose()?;
    let mut gate = Gate::open(&args.target, &[])?;
    let outcome = measure(&gate, &conversations, &mut failures);
    let report = gate.explain(outcome)?;
    drop(gate);
    if let (Some(path), Some(mut file)) = (&args.failures, failures) {
        file.flush().map_err(|error| unreadable(path, error))?;
    }
    report::print(args.target.json, &report, &lines(&report));
    Ok(0)
}

type Failures = Option<std::io::BufWriter<std::fs::File>>;

fn create(path: &Path) -> Result<std::io::BufWriter<std::fs::File>, BenchError> {
    std::fs::File::create(path).map(std::io::BufWriter::new).map_err(|error| unreadable(path, error))
}

// ---- reading --------------------------------------------------------------------------------------------------------

fn unreadable(path: &Path, why: impl std::fmt::Display) -> BenchError {
    BenchError::Failed(format!("{}: {why}", path.display()))
}

/// All conversations of a folder, by name.
fn read_folder(folder: &Path) -> Result<Vec<Conversation>, BenchError> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(unreadable(folder, "there is no .json file in it"));
    }
    paths.iter().map(|path| read_file(path)).collect()
}

fn read_file(path: &Path) -> Result<Conversation, BenchError> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
    let file: Map<String, Value> = serde_json::from_str(&text).map_err(|error| unreadable(path, error))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let conversation = read_conversation(name, &file);
    if conversation.sessions.is_empty() {
        return Err(unreadable(path, "there is no `session_1` in it: this is no LoCoMo conversation"));
    }
    Ok(conversation)
}

fn read_conversation(name: String, file: &Map<String, Value>) -> Conversation {
    let mut numbers: Vec<u32> = file.keys().filter_map(|key| key.strip_prefix("session_")?.parse().ok()).collect();
    numbers.sort_unstable();
    let sessions: Vec<Vec<Turn>> = numbers.into_iter().map(|number| read_session(file, number)).collect();
    let ids: BTreeSet<&str> = sessions.iter().flatten().map(|turn| turn.id.as_str()).collect();
    let asked = file.get("qa").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let read: Vec<Question> = asked.iter().filter_map(|question| read_question(question, &ids)).collect();
    let all = read.len();
    let questions: Vec<Question> = read.into_iter().filter(|question| !question.evidence.is_empty()).collect();
    let skipped = (all - questions.len()) as u64;
    Conversation { name, sessions, questions, skipped }
}

fn read_session(file: &Map<String, Value>, number: u32) -> Vec<Turn> {
    let key = format!("session_{number}");
    let date = file.get(&format!("{key}_date_time")).and_then(Value::as_str).and_then(parse_date);
    let turns = file.get(&key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    turns.iter().zip(0_i64..).filter_map(|(turn, place)| read_turn(turn, date, place)).collect()
}

fn read_turn(turn: &Value, session: Option<Timestamp>, place: i64) -> Option<Turn> {
    let text = |key: &str| turn.get(key).and_then(Value::as_str).unwrap_or_default();
    let content = match text("blip_caption") {
        "" => text("text").to_owned(),
        caption => format!("{} [shared {caption}]", text("text")),
    };
    let timestamp = session.map(|session| Timestamp(session.0 + place * TURN_SECONDS * 1_000_000));
    let known = !text("dia_id").is_empty() && !content.trim().is_empty();
    known.then(|| Turn {
        id: text("dia_id").to_owned(),
        role: "user",
        name: text("speaker").to_owned(),
        content,
        timestamp,
    })
}

/// A question of the categories 1–4 with the evidence that names one of these turns.
fn read_question(question: &Value, ids: &BTreeSet<&str>) -> Option<Question> {
    let category = usize::try_from(question.get("category")?.as_u64()?).ok()?.checked_sub(1)?;
    CATEGORIES.get(category)?;
    let told = question.get("evidence").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named = told.iter().filter_map(Value::as_str).flat_map(evidence_ids);
    let evidence = named.filter(|id| ids.contains(id)).map(str::to_owned).collect();
    let text = question.get("question")?.as_str()?.to_owned();
    let answer = question.get("answer").cloned().unwrap_or_default();
    Some(Question { text, answer, category, evidence })
}

/// The ids in one string of evidence: `D8:6; D9:17` holds two.
fn evidence_ids(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| char == ';' || char == ',' || char.is_whitespace()).filter(|id| !id.is_empty())
}

/// The instant of `1:56 pm on 8 May, 2023`.
fn parse_date(text: &str) -> Option<Timestamp> {
    let (time, date) = text.trim().split_once(" on ")?;
    let (clock, half) = time.trim().split_once(' ')?;
    let (hour, minute) = clock.split_once(':')?;
    let hour: u8 = hour.parse().ok().filter(|hour| (1..=12).contains(hour))?;
    let hour = match half.trim().to_ascii_lowercase().as_str() {
        "am" => hour % 12,
        "pm" => hour % 12 + 12,
        _ => return None,
    };
    let (day_month, year) = date.split_once(',')?;
    let (day, month) = day_month.trim().split_once(' ')?;
    let date = (year.trim().parse().ok()?, month_number(month.trim())?, day.parse().ok()?);
    Timestamp::from_civil(date, (hour, minute.parse().ok()?, 0), 0)
}

fn month_number(name: &str) -> Option<u8> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let short = name.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == short)?;
    u8::try_from(at + 1).ok()
}

// ---- asking ---------------------------------------------------------------------------------------------------------

fn measure(gate: &Gate, conversations: &[Conversation], failures: &mut Failures) -> Result<Report, BenchError> {
    let threads = fill::thread_ids(conversations.len() as u64)?;
    let outcome = ingest(gate, conversations, &threads)
        .and_then(|items| ask_all(gate, conversations, &threads, failures).map(|asked| (items, asked)));
    fill::leave(gate, &threads);
    let (items, asked) = outcome?;
    Ok(Report {
        benchmark: "quality",
        turns: conversations.iter().map(turns).sum(),
        items,
        questions: asked.len() as u64,
        skipped_questions: conversations.iter().map(|conversation| conversation.skipped).sum(),
        rows: rows(conversations, &asked),
    })
}

fn turns(conversation: &Conversation) -> u64 {
    conversation.sessions.iter().map(|session| session.len() as u64).sum()
}

fn ingest(gate: &Gate, conversations: &[Conversation], threads: &[String]) -> Result<u64, BenchError> {
    let progress = Progress::new("ingesting", conversations.iter().map(turns).sum(), "turns");
    let mut connection = gate.endpoint().connection();
    let mut items = 0;
    for (conversation, thread) in conversations.iter().zip(threads) {
        for session in conversation.sessions.iter().filter(|session| !session.is_empty()) {
            items += fill::send(&mut connection, thread, session)?;
            progress.add(session.len() as u64);
        }
    }
    Ok(items)
}

fn ask_all(
    gate: &Gate,
    conversations: &[Conversation],
    threads: &[String],
    failures: &mut Failures,
) -> Result<Vec<Asked>, BenchError> {
    let count = conversations.iter().map(|conversation| conversation.questions.len() as u64).sum();
    let progress = Progress::new("asking", count, "questions");
    let mut connection = gate.endpoint().connection();
    let mut asked = Vec::new();
    for ((place, conversation), thread) in conversations.iter().enumerate().zip(threads) {
        for question in &conversation.questions {
            let answers = ask(&mut connection, thread, &question.text)?;
            let shares = shares(&question.evidence, &answers);
            if let Some(file) = failures {
                write_failure(file, conversation, question, &answers, &shares)?;
            }
            asked.push(Asked { conversation: place, category: question.category, shares });
            progress.add(1);
        }
    }
    Ok(asked)
}

/// What came back for one question: the ids by rank, without a budget and for each of the [`BUDGETS`].
#[derive(Debug, Default)]
struct Answers {
    ranked: Vec<Option<String>>,
    in_budget: [Vec<Option<String>>; BUDGETS.len()],
}

fn ask(connection: &mut Connection, thread: &str, purpose: &str) -> Result<Answers, BenchError> {
    let mut answers =
        Answers { ranked: recall(connection, thread, purpose, NO_BUDGET, DEEPEST)?, ..Answers::default() };
    for (found, budget) in answers.in_budget.iter_mut().zip(BUDGETS) {
        *found = recall(connection, thread, purpose, budget, NO_TOP_K)?;
    }
    Ok(answers)
}

fn recall(
    connection: &mut Connection,
    thread: &str,
    purpose: &str,
    token_budget: u32,
    top_k: u32,
) -> Result<Vec<Option<String>>, BenchError> {
    let request = RecallRequest { thread_id: Some(thread), purpose, token_budget, top_k, scope: "thread" };
    let answer = connection.post(wire::RECALL, &wire::body(&request))?;
    if !answer.is_success() {
        return Err(BenchError::Failed(format!("no answer to “{purpose}”: {}", answer.excerpt())));
    }
    let found: RecallRanks = serde_json::from_slice(answer.body)
        .map_err(|error| BenchError::Failed(format!("the answer to “{purpose}” is not what it should be: {error}")))?;
    Ok(found.items.into_iter().map(|item| item.external_id).collect())
}

// ---- counting -------------------------------------------------------------------------------------------------------

/// The share of the evidence that is among the first `depth` of what was found.
#[expect(clippy::cast_precision_loss, reason = "counts of turns")]
fn share(evidence: &BTreeSet<String>, found: &[Option<String>], depth: usize) -> f64 {
    let there: BTreeSet<&str> = found.iter().take(depth).flatten().map(String::as_str).collect();
    let hits = evidence.iter().filter(|id| there.contains(id.as_str())).count();
    if evidence.is_empty() { 0.0 } else { hits as f64 / evidence.len() as f64 }
}

fn shares(evidence: &BTreeSet<String>, answers: &Answers) -> Shares {
    let by_rank = DEPTHS.iter().map(|depth| share(evidence, &answers.ranked, *depth));
    let by_budget = answers.in_budget.iter().map(|found| share(evidence, found, usize::MAX));
    let mut shares = Shares::default();
    for (place, value) in shares.iter_mut().zip(by_rank.chain(by_budget)) {
        *place = value;
    }
    shares
}

/// All questions, then each category, then each conversation, those without questions left out.
fn rows(conversations: &[Conversation], asked: &[Asked]) -> Vec<Row> {
    let all = row("all", "all", asked.iter());
    let by_category = CATEGORIES
        .iter()
        .enumerate()
        .map(|(category, name)| row("category", name, asked.iter().filter(move |asked| asked.category == category)));
    let by_conversation = conversations.iter().enumerate().map(|(place, conversation)| {
        row("conversation", &conversation.name, asked.iter().filter(move |asked| asked.conversation == place))
    });
    std::iter::once(all).chain(by_category).chain(by_conversation).filter(|row| row.questions > 0).collect()
}

/// The means over these questions.
fn row<'a>(of: &'static str, name: &str, asked: impl Iterator<Item = &'a Asked>) -> Row {
    let (mut questions, mut sums) = (0_u64, Shares::default());
    for one in asked {
        questions += 1;
        for (sum, share) in sums.iter_mut().zip(one.shares) {
            *sum += share;
        }
    }
    let means = sums.map(|sum| if questions == 0 { 0.0 } else { sum / report::float(questions) });
    let [at_5, at_10, at_20, in_500, in_1000, in_2000, in_4000] = means;
    Row {
        of,
        name: name.to_owned(),
        questions,
        recall_at_5: at_5,
        recall_at_10: at_10,
        recall_at_20: at_20,
        recall_in_500_tokens: in_500,
        recall_in_1000_tokens: in_1000,
        recall_in_2000_tokens: in_2000,
        recall_in_4000_tokens: in_4000,
    }
}

// ---- for people -----------------------------------------------------------------------------------------------------

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} turns, {} items; {} questions, {} left out for want of evidence that can be found",
            report.turns, report.items, report.questions, report.skipped_questions
        ),
        String::new(),
        format!(
            "{:<18}{:>9}{:>8}{:>8}{:>8}{:>9}{:>9}{:>9}{:>9}",
            "evidence recall", "questions", "@5", "@10", "@20", "500 tok", "1000 tok", "2000 tok", "4000 tok"
        ),
    ];
    let mut last = "all";
    for row in &report.rows {
        if row.of != last {
            lines.push(String::new());
            last = row.of;
        }
        lines.push(format!(
            "{:<18}{:>9}{:>8.3}{:>8.3}{:>8.3}{:>9.3}{:>9.3}{:>9.3}{:>9.3}",
            row.name,
            row.questions,
            row.recall_at_5,
            row.recall_at_10,
            row.recall_at_20,
            row.recall_in_500_tokens,
            row.recall_in_1000_tokens,
            row.recall_in_2000_tokens,
            row.recall_in_4000_tokens
        ));
    }
    lines
}

/// Writes the question down if some of its evidence is missing where it matters most.
fn write_failure(
    file: &mut impl std::io::Write,
    conversation: &Conversation,
    question: &Question,
    answers: &Answers,
    shares: &Shares,
) -> Result<(), BenchError> {
    let [at_10, in_500] = WATCHED.map(|place| shares.get(place).copied().unwrap_or_default());
    if at_10 >= 1.0 && in_500 >= 1.0 {
        return Ok(());
    }
    let text = |id: &str| {
        let turn = conversation.sessions.iter().flatten().find(|turn| turn.id == id);
        turn.map_or("", |turn| turn.content.as_str())
    };
    let [smallest, ..] = &answers.in_budget;
    let failure = Failure {
        conversation: &conversation.name,
        category: CATEGORIES.get(question.category).copied().unwrap_or_default(),
        question: &question.text,
        answer: &question.answer,
        recall_at_10: at_10,
        recall_in_500_tokens: in_500,
        missed_at_10: missed(&question.evidence, &answers.ranked, 10).map(|id| Missed { id, text: text(id) }).collect(),
        missed_in_500_tokens: missed(&question.evidence, smallest, usize::MAX).collect(),
        first_10: answers.ranked.iter().take(10).map(Option::as_deref).collect(),
    };
    let line = serde_json::to_string(&failure).unwrap_or_default();
    writeln!(file, "{line}").map_err(|error| BenchError::Failed(format!("cannot write the failures: {error}")))
}

/// The evidence that is not among the first `depth` of what was found.
fn missed<'a>(
    evidence: &'a BTreeSet<String>,
    found: &'a [Option<String>],
    depth: usize,
) -> impl Iterator<Item = &'a str> {
    let there = move |id: &&str| found.iter().take(depth).flatten().any(|found| found == id);
    evidence.iter().map(String::as_str).filter(move |id| !there(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn found(ids: &[&str]) -> Vec<Option<String>> {
        ids.iter().map(|id| Some((*id).to_owned()).filter(|id| !id.is_empty())).collect()
    }

    #[test]
    fn dates_are_read_as_they_are_written() {
        for (text, expected) in [
            ("1:56 pm on 8 May, 2023", "2023-05-08T13:56:00Z"),
            ("12:09 am on 13 September, 2023", "2023-09-13T00:09:00Z"),
            ("12:30 pm on 1 January, 2022", "2022-01-01T12:30:00Z"),
            (" 9:05 am on 29 February, 2024 ", "2024-02-29T09:05:00Z"),
        ] {
            assert_eq!(parse_date(text).map(Timestamp::to_rfc3339).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "on",
            "8 May, 2023",
            "13:56 pm on 8 May, 2023",
            "0:10 am on 8 May, 2023",
            "1:56 xm on 8 May, 2023",
            "1:56 pm on 31 June, 2023",
            "1:56 pm on 8 Mai, 2023",
            "1:60 pm on 8 May, 2023",
            "1:56 pm on 8 é, 2023",
        ] {
            assert_eq!(parse_date(text), None, "{text:?}");
        }
    }

    #[test]
    fn strings_of_several_ids_are_split() {
        let ids = |text| evidence_ids(text).collect::<Vec<_>>();

        assert_eq!(ids("D1:3"), ["D1:3"]);
        assert_eq!(ids("D8:6; D9:17"), ["D8:6", "D9:17"]);
        assert_eq!(ids("D1:1,D2:2 D3:3 ;; "), ["D1:1", "D2:2", "D3:3"]);
        assert!(ids(" ; ").is_empty());
    }

    #[test]
    fn the_share_counts_distinct_evidence_within_the_depth() {
        let evidence = set(&["D1:1", "D1:2", "D9:9"]);
        let ranked = found(&["D1:1", "", "D1:1", "D4:4", "D5:5", "D1:2"]);

        assert_eq!(share(&evidence, &ranked, 5), 1.0 / 3.0, "an item that is no turn takes a rank too");
        assert_eq!(share(&evidence, &ranked, 10), 2.0 / 3.0);
        assert_eq!(share(&set(&[]), &ranked, 10), 0.0);
        assert_eq!(missed(&evidence, &ranked, 5).collect::<Vec<_>>(), ["D1:2", "D9:9"]);
    }

    fn example() -> Conversation {
        let file = serde_json::json!({
            "speaker_a": "Ann", "speaker_b": "Ben",
            "session_2_date_time": "12:00 pm on 2 May, 2023",
            "session_2": [{"speaker": "Ben", "dia_id": "D2:1", "text": "Look!", "blip_caption": "a red kite"}],
            "session_10": [{"speaker": "Ann", "dia_id": "D10:1", "text": "Later."}],
            "session_1_date_time": "1:56 pm on 1 May, 2023",
            "session_1": [
                {"speaker": "Ann", "dia_id": "D1:1", "text": "Hello."},
                {"speaker": "Ben", "dia_id": "D1:2", "text": "Hi."}
            ],
            "qa": [
                {"question": "Who?", "answer": 7, "evidence": ["D1:1; D2:1", "D1:1"], "category": 1},
                {"question": "What?", "answer": "x", "evidence": ["D:11:26", "D7:7"], "category": 3},
                {"question": "Never?", "adversarial_answer": "x", "evidence": ["D1:1"], "category": 5},
                {"question": "Nothing?", "evidence": [], "category": 4}
            ]
        });
        read_conversation("example".to_owned(), file.as_object().expect("an object"))
    }

    #[test]
    fn a_conversation_is_read_session_by_session_with_its_dates_and_captions() {
        let conversation = example();
        let turns: Vec<&Turn> = conversation.sessions.iter().flatten().collect();

        let ids: Vec<&str> = turns.iter().map(|turn| turn.id.as_str()).collect();
        assert_eq!(ids, ["D1:1", "D1:2", "D2:1", "D10:1"], "sessions are in the order of their numbers");
        assert_eq!(turns[2].content, "Look! [shared a red kite]");
        assert_eq!(turns[1].timestamp.map(Timestamp::to_rfc3339).as_deref(), Some("2023-05-01T13:56:20Z"));
        assert_eq!((turns[1].role, turns[1].name.as_str(), turns[3].timestamp), ("user", "Ben", None));
    }

    #[test]
    fn questions_keep_the_evidence_that_is_there_and_go_without_any() {
        let conversation = example();

        assert_eq!(conversation.questions.len(), 1);
        assert_eq!(conversation.questions[0].evidence, set(&["D1:1", "D2:1"]));
        assert_eq!(conversation.skipped, 2, "one names no turn, one names nothing; adversarial ones do not count");
    }

    #[test]
    fn means_are_over_questions_not_over_evidence() {
        let asked = |category, value| Asked { conversation: 0, category, shares: [value; 7] };
        let rows = rows(&[example()], &[asked(0, 1.0), asked(0, 0.5), asked(3, 0.0)]);

        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["all", "1 multi-hop", "4 single-hop", "example"]);
        assert_eq!(rows.iter().map(|row| row.recall_at_10).collect::<Vec<_>>(), [0.5, 0.75, 0.0, 0.5]);
        assert_eq!(rows[1].questions, 2);
    }

    #[test]
    fn a_failure_names_what_was_missed_and_a_success_nothing() {
        let conversation = example();
        let question = &conversation.questions[0];
        let answers = |ids: &[&str]| Answers { ranked: found(ids), in_budget: std::array::from_fn(|_| found(ids)) };
        let written = |answers: &Answers| {
            let mut text = Vec::new();
            let shares = shares(&question.evidence, answers);
            write_failure(&mut text, &conversation, question, answers, &shares).expect("written");
            String::from_utf8(text).expect("text")
        };

        assert_eq!(written(&answers(&["D1:1", "D2:1"])), "");
        let line: Value = serde_json::from_str(&written(&answers(&["D1:1"]))).expect("JSON");
        assert_eq!(line["missed_at_10"], serde_json::json!([{"id": "D2:1", "text": "Look! [shared a red kite]"}]));
        assert_eq!(line["recall_in_500_tokens"], serde_json::json!(0.5));
    }
}
