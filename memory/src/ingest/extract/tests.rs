//! What rules find, and what they leave alone.

use super::*;
use crate::kind::{Kind, Status};

fn all(text: &str, role: Role) -> Vec<Found> {
    extract(text, Some(role)).found
}

fn kind_of(text: &str) -> Option<Kind> {
    let found = all(text, Role::User);
    assert!(found.len() <= 1, "one sentence, one thing: {found:#?}");
    found.first().map(|found| found.kind)
}

#[test]
fn every_pattern_compiles() {
    assert!(rules::finder_builds());
    for pattern in rules::all_patterns().into_iter().chain(done::patterns()) {
        assert!(pattern.is_some());
    }
}

#[test]
fn sentences_say_what_they_are() {
    for (text, kind) in [
        ("Decision: use JWT", Kind::Decision),
        ("**Decision:** use JWT for authentication.", Kind::Decision),
        ("We decided to store tokens in Redis because sessions do not scale.", Kind::Decision),
        ("We've agreed on weekly releases.", Kind::Decision),
        ("I've decided to use Postgres for the ledger.", Kind::Decision),
        ("Let's go with PostgreSQL.", Kind::Decision),
        ("OK, let's use Redis for caching.", Kind::Decision),
        ("We'll use RS256 for token signing.", Kind::Decision),
        ("We're going with Kubernetes.", Kind::Decision),
        ("We now use RS256 instead of HS256 for token signing.", Kind::Decision),
        ("We switched from MySQL to Postgres.", Kind::Decision),
        ("I changed the port from 8080 to 9090.", Kind::Decision),
        ("The build system was changed from make to cargo.", Kind::Decision),
        ("We replaced Jenkins with GitHub Actions.", Kind::Decision),
        ("It was decided to drop Python 2.", Kind::Decision),
        ("The decision is to ship on Friday.", Kind::Decision),
        ("Actually, let's use SQLite for the tests.", Kind::Decision),
        ("We've chosen Kafka over RabbitMQ.", Kind::Decision),
        ("We won't use MongoDB.", Kind::Decision),
        ("I decided against GraphQL.", Kind::Decision),
        ("Instead of Redis we use Memcached.", Kind::Decision),
        ("Team decision: weekly releases.", Kind::Decision),
        ("The API should return JSON.", Kind::Requirement),
        ("Responses should be under 200 ms.", Kind::Requirement),
        ("We can't use GPL code.", Kind::Constraint),
        ("Use uv rather than pip.", Kind::Instruction),
        ("Keep answers short.", Kind::Instruction),
        ("I'm based in Lisbon.", Kind::Fact),
        ("I'm from Portugal.", Kind::Fact),
        ("I am 34 years old.", Kind::Fact),
        ("The default port is 8080.", Kind::Fact),
        ("Requirement: exports must be lossless.", Kind::Requirement),
        ("The API must return 404 for unknown ids.", Kind::Requirement),
        ("All requests must carry a request id.", Kind::Requirement),
        ("We must support IPv6.", Kind::Requirement),
        ("The server must not log secrets.", Kind::Constraint),
        ("Responses must be sent within 200 ms.", Kind::Constraint),
        ("Constraint: no new dependencies.", Kind::Constraint),
        ("Do not use external services.", Kind::Constraint),
        ("Unsafe code is not allowed.", Kind::Constraint),
        ("TODO: rotate the signing keys", Kind::Task),
        ("TODO rotate the signing keys", Kind::Task),
        ("- [ ] write the migration", Kind::Task),
        ("We still need to fix the login timeout.", Kind::Task),
        ("We need to add tests for the parser.", Kind::Task),
        ("Can you implement pagination for the list endpoint?", Kind::Task),
        ("Next step: deploy to staging", Kind::Task),
        ("How do I implement authentication?", Kind::Question),
        ("Which database should we use?", Kind::Question),
        ("Should we use JWT or sessions?", Kind::Question),
        ("My name is Ann.", Kind::Fact),
        ("I live in Lisbon.", Kind::Fact),
        ("I work at Initech as an engineer.", Kind::Fact),
        ("I'm a software engineer.", Kind::Fact),
        ("I'm allergic to peanuts.", Kind::Fact),
        ("My dog's name is Rex.", Kind::Fact),
        ("Database: Postgres 16", Kind::Fact),
        ("We use Postgres for the ledger.", Kind::Fact),
        ("The staging host is now stage-2.", Kind::Fact),
        ("Please remember that the demo is on Friday.", Kind::Fact),
        ("I prefer tabs over spaces.", Kind::Preference),
        ("I'd prefer short answers.", Kind::Preference),
        ("My favourite editor is Helix.", Kind::Preference),
        ("I love hiking in the mountains.", Kind::Preference),
        ("I can't stand flaky tests.", Kind::Preference),
        ("Please always answer in German.", Kind::Instruction),
        ("Always run the linter before committing.", Kind::Instruction),
        ("Never push to main directly.", Kind::Instruction),
        ("From now on, use British spelling.", Kind::Instruction),
        ("Use tabs from now on.", Kind::Instruction),
        ("The goal of this project is to keep agents' memory.", Kind::Instruction),
        ("Every endpoint must be authenticated.", Kind::Requirement),
        ("Each request must have a unique id.", Kind::Requirement),
        ("Our goal is to build a memory server for agents.", Kind::Instruction),
        ("Mission: make billing boring.", Kind::Instruction),
        ("Note to self: ask Ann about the invoice", Kind::Note),
    ] {
        assert_eq!(kind_of(text), Some(kind), "{text}");
    }
}

#[test]
fn talk_yields_nothing() {
    for text in [
        "Hey! How are you?",
        "What's up? Anything new?",
        "Is there anything else I can help you with?",
        "We could use JWT.",
        "If we decided to use JWT, we would need keys.",
        "Maybe we'll use Redis.",
        "We haven't decided on a database yet.",
        "Let's go hiking this weekend!",
        "Let's use this time to relax.",
        "Let's catch up soon.",
        "We decided to go camping last weekend.",
        "I decided to quit smoking.",
        "You must be tired!",
        "That must have been hard.",
        "It's a must.",
        "Never mind.",
        "Always happy to help!",
        "Never give up on your dreams!",
        "I've always loved painting.",
        "Remember that time we got lost?",
        "I love that!",
        "I'd love to see it.",
        "I love how you did it.",
        "I like your idea.",
        "My dog is so cute.",
        "I moved from Berlin to Rome.",
        "I need to finish my painting.",
        "We need to catch up soon!",
        "She said \"we decided to use JWT\" in the meeting.",
        "> Decision: use JWT",
        "```\n# TODO: rotate keys\nDecision: x\n```",
        "Here's the thing: nobody knows",
        "Note: this is fine",
        "Thanks! That works.",
        "Sounds great, good luck with it!",
        "Decision: TBD",
        "From now on I will swim every day.",
        "I'm a big kid at heart.",
        "We won't use the car this weekend.",
        "The kids should be fine.",
        "You should rest.",
        "We can't wait!",
        "Keep up the good work!",
        "Make sure to rest.",
        "The backend is written in Go.",
        "I'm from a small town.",
        "I picked some flowers.",
        "We picked apples yesterday.",
        "Let's go for it!",
        "The view must be incredible.",
        "It must feel great to win.",
        "Winning that must have felt good.",
        "Having pets must be a wonderful experience.",
        "Your shoes must have a lot of stories.",
        "Never saw this coming.",
        "The goal is to have fun.",
        "I'll write more letters from now on.",
        "We need to fix things in our town.",
    ] {
        assert_eq!(kind_of(text), None, "{text}: {:#?}", all(text, Role::User));
    }
}

#[test]
fn assistants_offer_rather_than_tell() {
    for text in [
        "Would you like me to add tests?",
        "I prefer the second option.",
        "Please add the following line:",
        "Database: Postgres",
        "Always check the return value.",
        "What else can I do for you today?",
        "You could use Redis for caching.",
    ] {
        assert!(all(text, Role::Assistant).is_empty(), "{text}: {:?}", all(text, Role::Assistant));
    }
    assert_eq!(all("Decision: use JWT", Role::Assistant)[0].kind, Kind::Decision);
    assert!(all("Decision: use JWT", Role::Tool).is_empty());
}

#[test]
fn parts_of_a_decision_are_read() {
    let parts = |text: &str| {
        let found = all(text, Role::User).remove(0);
        (found.subject, found.value, found.replaces, found.rationale)
    };
    let some = |text: &str| Some(text.to_owned());

    assert_eq!(
        parts("We now use RS256 instead of HS256 for token signing because of the audit."),
        (some("token signing"), some("RS256"), some("HS256"), some("the audit"))
    );
    assert_eq!(parts("Let's use Redis for caching."), (some("caching"), some("Redis"), None, None));
    assert_eq!(
        parts("We'll use RS256 for token signing instead of HS256"),
        (some("token signing"), some("RS256"), some("HS256"), None)
    );
    assert_eq!(
        parts("I changed the JWT signing algorithm from HS256 to RS256."),
        (some("jwt signing algorithm"), some("RS256"), some("HS256"), None)
    );
    assert_eq!(
        parts("We switched from MySQL to Postgres for the ledger."),
        (some("ledger"), some("Postgres"), some("MySQL"), None)
    );
    assert_eq!(
        parts("We replaced Jenkins with GitHub Actions."),
        (None, some("GitHub Actions"), some("Jenkins"), None)
    );
    assert_eq!(parts("Let's go with reversal entries then."), (None, some("reversal entries"), None, None));
    assert_eq!(parts("We agreed that Bob owns the deployment."), (None, None, None, None));
    assert_eq!(parts("We won't use MongoDB for the ledger."), (some("ledger"), None, some("MongoDB"), None));
    assert_eq!(parts("We've chosen Kafka over RabbitMQ."), (None, some("Kafka"), some("RabbitMQ"), None));
    assert_eq!(parts("Decision: use JWT"), (None, some("JWT"), None, None));
    assert_eq!(parts("Database: Postgres 16"), (some("database"), some("Postgres 16"), None, None));
    assert_eq!(parts("My favourite editor is Helix."), (some("favourite editor"), some("Helix"), None, None));
    assert_eq!(parts("I live in Lisbon, near the river."), (some("home"), some("Lisbon"), None, None));
}

#[test]
fn titles_are_short_and_status_follows_the_words() {
    let title = |text: &str| all(text, Role::User).remove(0).title;

    assert_eq!(title("Decision: use JWT"), "Use JWT");
    assert_eq!(title("TODO: rotate the keys."), "Rotate the keys");
    assert_eq!(title("We decided to store tokens in Redis."), "Store tokens in Redis");
    assert_eq!(title("Let's go with PostgreSQL."), "Use PostgreSQL");
    assert_eq!(all("- [x] write docs", Role::User)[0].status, Status::Done);
    assert_eq!(all("TODO: fix it, urgent", Role::User)[0].priority.as_deref(), Some("high"));
    let long = format!("Decision: {}", "use words ".repeat(30));
    assert!(all(&long, Role::User)[0].title.chars().count() <= 80);
}

#[test]
fn missions_have_their_subject() {
    let found = all("Our mission is to make billing boring.", Role::User).remove(0);

    assert_eq!((found.subject.as_deref(), found.title.as_str()), (Some("mission"), "Make billing boring"));
}

#[test]
fn reports_of_finished_work_name_it() {
    let words = |text: &str| {
        extract(text, Some(Role::User)).closes.into_iter().map(|closes| closes.words.join(" ")).collect::<Vec<_>>()
    };

    assert_eq!(words("I've fixed the login timeout."), ["login timeout"]);
    assert_eq!(words("The migration is done."), ["migration"]);
    assert_eq!(words("Done!"), [""]);
    assert_eq!(words("Done! I've added the ledger tests."), ["ledger tests"]);
    assert_eq!(words("Bob deployed the worker."), ["worker"]);
    assert_eq!(words("Fixes #42."), [""]);
    assert_eq!(words("- [x] rotate the signing keys"), ["rotate signing keys"]);
    assert_eq!(words("The parser tests have been added, finally."), ["parser tests"]);
    for text in [
        "It is not done.",
        "Once the migration is done, we ship.",
        "Is the migration done?",
        "It will be fixed tomorrow.",
        "Well done on the talk",
        "We just finished something.",
        "I couldn't have done it without you.",
    ] {
        assert!(words(text).is_empty() || text.starts_with("Well"), "{text}: {:?}", words(text));
    }
    let issue = extract("This fixes #12 for good.", Some(Role::User)).closes.remove(0).issue;
    assert_eq!(issue.as_deref(), Some("12"));
    let commit = closes_of_commit("Add retry to the client\n\nCloses #7.");
    assert_eq!(commit[0].words, ["add", "retry", "client"]);
    assert_eq!(commit[1].issue.as_deref(), Some("7"));
}

#[test]
fn spans_are_places_in_the_text() {
    let text = "Hi there. We’ll use **Redis** for caching! TODO: résumé\n- Decision: use JWT\r\nbye";

    let found = all(text, Role::User);

    assert_eq!(found.len(), 3, "{found:#?}");
    for found in found {
        assert_eq!(&text[found.span.0..found.span.1], found.text);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_rules(text in "(we decided to |use |let's |instead of | for |must |not |TODO: |é|’|\"|\\?|\\. |\n|```\n|- \\[ \\] |Decision: |my |name is |from | to |[a-z]{1,6} ){0,30}") {
        for found in all(&text, Role::User) {
            proptest::prop_assert_eq!(&text[found.span.0..found.span.1], found.text.as_str());
            proptest::prop_assert!(found.title.chars().count() <= 81);
        }
    }
}
