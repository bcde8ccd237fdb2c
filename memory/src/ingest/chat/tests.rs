//! Transcripts of our own: who speaks, and who does not.

use super::*;

fn turns(text: &str) -> Vec<(Option<String>, String)> {
    parse_transcript(text).into_iter().map(|turn| (turn.speaker, turn.text)).collect()
}

fn spoken(pairs: &[(&str, &str)]) -> Vec<(Option<String>, String)> {
    pairs
        .iter()
        .map(|(name, text)| (Some(*name).filter(|name| !name.is_empty()).map(str::to_owned), (*text).to_owned()))
        .collect()
}

#[test]
fn turns_begin_with_their_speaker() {
    for (text, want) in [
        ("User: hi\nAssistant: hello", vec![("User", "hi"), ("Assistant", "hello")]),
        ("User: two\nlines\n\nAssistant:\nnext line\n", vec![("User", "two\nlines"), ("Assistant", "next line")]),
        ("Alice: hi\nBob: hello there!", vec![("Alice", "hi"), ("Bob", "hello there!")]),
        ("Alice: a\nx\nBob: b\nAlice: c\nBob: d", vec![("Alice", "a\nx"), ("Bob", "b"), ("Alice", "c"), ("Bob", "d")]),
        ("Ann: I will do it.\nsoon\nBob: fine.", vec![("Ann", "I will do it.\nsoon"), ("Bob", "fine.")]),
        ("intro\n\nUser: hi", vec![("", "intro"), ("User", "hi")]),
        ("**User:** hi\n**Assistant**: yes", vec![("User", "hi"), ("Assistant", "yes")]),
        ("[2025-01-20 10:30] Alice: hi\n[2025-01-20 10:31] Bob Lee: yo", vec![("Alice", "hi"), ("Bob Lee", "yo")]),
        ("10:30 Alice: hi\n10:31 Bob: yo", vec![("Alice", "hi"), ("Bob", "yo")]),
        ("12/05/2023, 10:30 - Alice: hi", vec![("Alice", "hi")]),
        ("Alice (PM): shall we start?\nBob (Dev): yes", vec![("Alice (PM)", "shall we start?"), ("Bob (Dev)", "yes")]),
        ("System: be brief\nUser: hi", vec![("System", "be brief"), ("User", "hi")]),
        ("user:hi\nassistant:yo", vec![("user", "hi"), ("assistant", "yo")]),
        ("Zoë: ça va?\nÉmile: oui", vec![("Zoë", "ça va?"), ("Émile", "oui")]),
    ] {
        assert_eq!(turns(text), spoken(&want), "{text}");
    }
}

#[test]
fn labels_links_and_code_do_not_speak() {
    for text in [
        "User: look\nNote: this matters\nhttp://example.org: down\nError: no such file\n10:30: lunch\nDecision: use JWT",
        "User: run\n```\nAssistant: not a turn\nUser: neither\n```\nthanks",
        "User: see\n    Assistant: indented",
        "User: list\n- Assistant: item\n> User: quoted",
        "User: we have\nDatabase: Postgres\nCache layer: Redis",
        "Name: Bob\nAge: 5",
        "just one text: with a colon",
        "Warning: hot\nWarning: very hot",
        "Step 1: do\nStep 2: do more\nStep 1: again",
        "Database: Postgres",
        "std::net: x\nstd::net: y",
    ] {
        assert_eq!(parse_transcript(text).len(), 1, "{text}: {:?}", turns(text));
    }
}

#[test]
fn an_unclosed_fence_hides_nobody() {
    assert_eq!(turns("User: ```\ncode\nAssistant: ok").len(), 2);
}

#[test]
fn stamps_and_roles_are_kept() {
    let turns = parse_transcript("[2025-01-20 10:30] Alice: hi\n2025-01-20T10:31:00Z assistant: yo");

    assert_eq!(turns[0].at.unwrap().to_rfc3339(), "2025-01-20T10:30:00Z");
    assert_eq!(turns[0].role, Some(Role::Other));
    assert_eq!(turns[1].at.unwrap().to_rfc3339(), "2025-01-20T10:31:00Z");
    assert_eq!(turns[1].role, Some(Role::Assistant));
}

#[test]
fn a_message_speaks_under_its_name_or_its_role() {
    let named = turn_from_message("user", "hi", Some("Ann"), None, Some("m1"));
    let plain = turn_from_message("assistant", "hi", None, None, None);

    assert_eq!(
        (named.speaker.as_deref(), named.role, named.id.as_deref()),
        (Some("Ann"), Some(Role::User), Some("m1"))
    );
    assert_eq!((plain.speaker.as_deref(), plain.role), (Some("assistant"), Some(Role::Assistant)));
}

#[test]
fn prose_names_places_in_code() {
    let draft = Turn {
        text: "see src/main.rs:10-20, (app/x.py:3) and lib/a.ts#L5-L9; not example.com:8080, 10:30 or foo.rs".into(),
        ..Turn::default()
    }
    .into_draft();

    let ids: Vec<String> = draft.artifacts.iter().map(ArtifactRef::id).collect();
    assert_eq!(ids, ["CODE:src/main.rs#L10-L20", "CODE:app/x.py#L3-L3", "CODE:lib/a.ts#L5-L9"]);
    assert!(PLACE.is_some());
}

proptest::proptest! {
    #[test]
    fn no_word_is_lost_but_names(text in "(User: |Assistant:|Ann: |Note: |```|[a-z]{1,6}| |\n|\r\n|é|\\[10:30\\] ){0,40}") {
        let mut rest = text.as_str();
        for turn in parse_transcript(&text) {
            let at = rest.find(turn.text.as_str());
            proptest::prop_assert!(at.is_some(), "{:?}", turn);
            let skipped = rest[..at.unwrap()].replace("User:", "").replace("Assistant:", "");
            proptest::prop_assert!(skipped.chars().filter(|c| c.is_alphanumeric()).count() <= 24, "{:?} before {:?}", skipped, turn);
            rest = &rest[at.unwrap() + turn.text.len()..];
        }
    }
}
