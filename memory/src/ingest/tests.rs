//! From materials to drafts, whole.

use super::*;
use serde_json::json;

fn text(content: &str) -> TextMaterial {
    TextMaterial { content: content.into(), ..TextMaterial::default() }
}

fn item(kind: Kind, body: &str) -> ItemMaterial {
    ItemMaterial {
        kind,
        title: None,
        body: body.into(),
        tags: Vec::new(),
        status: None,
        id: None,
        timestamp: None,
        metadata: BTreeMap::new(),
        sources: Vec::new(),
        subject: None,
    }
}

fn taken(materials: Materials) -> Parsed {
    parse(materials, &Redactor::new(Mode::Redact), &mut Numbering::default()).unwrap()
}

#[test]
fn materials_become_drafts_in_their_order() {
    let observed = Timestamp::parse("2025-02-01T00:00:00Z").unwrap();
    let parsed = taken(Materials {
        chat: Some(ChatMaterial::Transcript("User: I am ann@example.org\nAssistant: Hello there!".into())),
        diffs: vec![text("@@ -1,5 +1,7 @@\n+from fastapi import Depends")],
        logs: vec![text("2025-01-20 10:30:00 ERROR: Authentication failed for ann@example.org")],
        items: vec![item(Kind::Decision, "Use JWT")],
        observed_at: Some(observed),
        metadata: serde_json::from_value(json!({"repo": "api", "level": "none"})).unwrap(),
        purpose: None,
    });

    let kinds: Vec<Kind> = parsed.drafts.iter().map(|draft| draft.kind).collect();
    assert_eq!(kinds, [Kind::Chat, Kind::Chat, Kind::Diff, Kind::Log, Kind::Decision]);
    assert_eq!(parsed.drafts[0].text, "I am [EMAIL_1]");
    assert_eq!(parsed.drafts[3].text, "2025-01-20 10:30:00 ERROR: Authentication failed for [EMAIL_1]");
    assert_eq!(parsed.drafts[0].observed_at, Some(observed));
    assert_eq!(parsed.drafts[3].observed_at.unwrap().to_rfc3339(), "2025-01-20T10:30:00Z", "its own time wins");
    assert!(parsed.drafts.iter().all(|draft| draft.metadata["repo"] == "api"));
    assert_eq!(parsed.drafts[3].metadata["level"], "error", "its own metadata wins");
    assert_eq!(
        summary(&parsed.counts()),
        "2 chat turns, 1 diff hunk, 1 log event; 1 decision found; 2 e-mail addresses redacted"
    );
}

#[test]
fn the_callers_id_goes_to_every_part() {
    let parsed = taken(Materials {
        logs: vec![TextMaterial { id: Some("log-7".into()), ..text("ERROR: a\nERROR: b") }],
        chat: Some(ChatMaterial::Messages(vec![
            Message { role: "user".into(), content: "hi".into(), id: Some("m1".into()), ..Message::default() },
            Message { role: "user".into(), content: " ".into(), ..Message::default() },
        ])),
        ..Materials::default()
    });

    let ids: Vec<_> = parsed.drafts.iter().map(|draft| draft.external_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["m1", "log-7", "log-7"]);
}

#[test]
fn a_workspace_may_refuse_sensitive_data() {
    let materials = || Materials { logs: vec![text("ERROR: ann@example.org")], ..Materials::default() };
    let mut numbering = Numbering::default();

    let refused = parse(materials(), &Redactor::new(Mode::Reject), &mut numbering);
    let untouched = parse(materials(), &Redactor::new(Mode::Off), &mut numbering).unwrap();

    let error = refused.unwrap_err();
    assert!(error.to_string().contains("1 e-mail address"), "{error}");
    assert!(!error.to_string().contains("ann@"), "an error never shows the value");
    assert_eq!(untouched.drafts[0].text, "ERROR: ann@example.org");
    assert_eq!(numbering, Numbering::default(), "a refused request leaves no trace");
}

#[test]
fn materials_without_words_are_refused() {
    let empty =
        Materials { chat: Some(ChatMaterial::Transcript(" \n".into())), logs: vec![text("")], ..Materials::default() };

    assert_eq!(parse(empty, &Redactor::new(Mode::Redact), &mut Numbering::default()), Err(IngestError::Empty));
}

#[test]
fn a_summary_counts_with_the_right_plurals() {
    let counts = Counts {
        drafts: BTreeMap::from([(Kind::Chat, 2), (Kind::Diff, 1), (Kind::Log, 1)]),
        found: BTreeMap::from([(Kind::Decision, 1)]),
        redactions: BTreeMap::from([("email".to_owned(), 1)]),
    };

    assert_eq!(summary(&counts), "2 chat turns, 1 diff hunk, 1 log event; 1 decision found; 1 e-mail address redacted");
    assert_eq!(summary(&Counts::default()), "nothing new");
}

#[test]
fn long_texts_are_shortened_at_a_word() {
    assert_eq!(shortened("short", 10), "short");
    assert_eq!(shortened("a long title here", 10), "a long…");
    assert_eq!(shortened("unbreakablewords", 10), "unbreakab…");
}

proptest::proptest! {
    #[test]
    fn no_material_is_too_strange(text in "\\PC{0,60}|(\\PC|\n|: |@@ -1 \\+1 @@|User: |[0-9]|\\.|-){0,60}") {
        let materials = Materials {
            chat: Some(ChatMaterial::Transcript(text.clone())),
            diffs: vec![TextMaterial { content: text.clone(), ..TextMaterial::default() }],
            logs: vec![TextMaterial { content: text.clone(), ..TextMaterial::default() }],
            items: vec![item(Kind::Note, &text)],
            ..Materials::default()
        };
        let first = parse(materials.clone(), &Redactor::new(Mode::Redact), &mut Numbering::default());
        let again = parse(materials, &Redactor::new(Mode::Redact), &mut Numbering::default());
        proptest::prop_assert_eq!(&first, &again, "the same materials give the same drafts");
        for draft in first.map(|parsed| parsed.drafts).unwrap_or_default() {
            for found in draft.found {
                proptest::prop_assert_eq!(draft.text.get(found.span.0..found.span.1), Some(found.text.as_str()));
            }
        }
    }
}
