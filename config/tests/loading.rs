//! What whoever starts the server relies on: which source wins, what is refused, and what is never shown.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fall over")]

use std::path::PathBuf;

use cmg_config::{
    Config, ConfigError, DEVELOPMENT_SECRET_KEY, EmbeddingModel, Environment, KeywordIndex, LogLevel, Origin,
    Redaction, Sources, VectorIndex,
};
use tempfile::TempDir;

const KEY: &str = "a-secret-key-of-our-own-with-32-characters-or-more";

/// A folder with files, and sources that look into it.
struct Files {
    folder: TempDir,
}

impl Files {
    fn with<const N: usize>(files: [(&str, &str); N]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sources<const N: usize>(&self, file: Option<&str>, variables: [(&str, &str); N]) -> Sources {
        Sources {
            folder: Some(self.folder.path().to_owned()),
            file: file.map(|name| self.path(name)),
            ..Sources::of_variables(variables)
        }
    }
}

fn load<const N: usize>(variables: [(&str, &str); N]) -> Config {
    Config::load(&Sources::of_variables(variables)).unwrap()
}

fn errors(sources: &Sources) -> Vec<ConfigError> {
    Config::load(sources).expect_err("this configuration is wrong").0
}

fn complaint<const N: usize>(variables: [(&str, &str); N]) -> String {
    Config::load(&Sources::of_variables(variables)).expect_err("this configuration is wrong").to_string()
}

fn production<'a>(secret_key: &'a str, token: &'a str, password: &'a str) -> Sources {
    Sources::of_variables([
        ("ENVIRONMENT", "production"),
        ("SECRET_KEY", secret_key),
        ("ADMIN_TOKEN", token),
        ("ADMIN_PASSWORD", password),
    ])
}

#[test]
fn without_any_source_the_promised_defaults_hold() {
    let config = load([]);

    assert_eq!(config.environment, Environment::Development);
    assert_eq!((config.server.host.as_str(), config.server.port, config.server.workers), ("127.0.0.1", 8080, 0));
    assert_eq!((config.server.max_body_bytes, config.server.shutdown_seconds), (8 << 20, 30));
    assert_eq!(config.journal.database_url.folder, PathBuf::from("./data"));
    assert_eq!((config.journal.queue_limit, config.journal.cache_mb), (4096, 16));
    assert_eq!((config.journal.snapshot_after_bytes, config.journal.snapshot_after_seconds), (64 << 20, 900));
    assert_eq!(config.memory.embedding_model, EmbeddingModel::StaticMinilm256);
    assert_eq!((config.memory.default_token_budget, config.memory.max_context_items), (4000, 50));
    assert_eq!((config.memory.budget_mb, config.memory.thread_idle_seconds), (1024, 600));
    assert_eq!((config.memory.vector_index, config.memory.keyword_index), (VectorIndex::Auto, KeywordIndex::Auto));
    assert_eq!(config.memory.exact_limit_items, 200_000);
    assert_eq!(config.memory.redaction, Redaction::Redact);
    assert_eq!(config.secrets.secret_key.expose(), DEVELOPMENT_SECRET_KEY);
    assert!(config.admin.token.is_none() && config.secrets.bootstrap_api_key.is_none());
}

#[test]
fn the_default_of_a_config_is_what_loads_from_nowhere() {
    assert_eq!(Config::default().show(), load([]).show());
    assert_eq!(cmg_config::Secrets::default().secret_key.expose(), DEVELOPMENT_SECRET_KEY);
}

#[test]
fn each_source_wins_over_the_one_before() {
    let files = Files::with([
        ("test.toml", "[server]\nport = 1001\nworkers = 1\nshutdown_seconds = 1\n"),
        ("mine.toml", "[server]\nport = 1002\nworkers = 2\n"),
    ]);
    let sources =
        files.sources(Some("mine.toml"), [("ENVIRONMENT", "test"), ("SERVER_PORT", "1003"), ("SECRET_KEY", KEY)]);

    let server = Config::load(&sources).unwrap().server;

    assert_eq!(server.port, 1003, "the environment wins over all");
    assert_eq!(server.workers, 2, "--config wins over the environment's file");
    assert_eq!(server.shutdown_seconds, 1, "the environment's file wins over the defaults");
    assert_eq!(server.max_body_bytes, 8 << 20, "the rest keeps its default");
}

#[test]
fn a_file_in_the_folder_replaces_the_compiled_in_one() {
    let compiled_in = load([("ENVIRONMENT", "test")]);
    assert_eq!((compiled_in.server.port, compiled_in.telemetry.log_level), (0, LogLevel::Warn));

    let files = Files::with([("test.toml", "[secrets]\nsecret_key = \"x\"\n")]);
    let replaced = Config::load(&files.sources(None, [("ENVIRONMENT", "test")])).unwrap();

    assert_eq!((replaced.server.port, replaced.telemetry.log_level), (8080, LogLevel::Info));
}

#[test]
fn every_kind_of_value_is_read_from_the_environment() {
    let config = load([
        ("DEBUG", "1"),
        ("SERVER_PORT", " 0 "),
        ("CMG_JOURNAL_SNAPSHOT_AFTER_BYTES", "1_000_000"),
        ("CMG_MEMORY_MIN_SCORE", "0.25"),
        ("CMG_MEMORY_VECTOR_INDEX", "HNSW"),
        ("EMBEDDING_MODEL", "file:/models/mine.bin"),
        ("DATABASE_URL", "sled:/var/lib/cmg"),
        ("CORS_ORIGINS", "http://localhost:3000, https://app.example.com"),
        ("METRICS_ENABLED", "False"),
        ("DEFAULT_MODEL", "author/model"),
    ]);

    assert!(config.server.debug && !config.telemetry.metrics_enabled);
    assert_eq!((config.server.port, config.journal.snapshot_after_bytes), (0, 1_000_000));
    assert!((config.memory.min_score - 0.25).abs() < f32::EPSILON);
    assert_eq!(config.memory.vector_index, VectorIndex::Hnsw);
    assert_eq!(config.memory.embedding_model, EmbeddingModel::File(PathBuf::from("/models/mine.bin")));
    assert_eq!(config.journal.database_url.folder, PathBuf::from("/var/lib/cmg"));
    assert_eq!(config.server.cors_origins, ["http://localhost:3000", "https://app.example.com"]);
    assert_eq!(config.gateway.default_model.as_deref(), Some("author/model"));
}

#[test]
fn a_list_may_be_given_as_json_too() {
    let config = load([("CORS_ORIGINS", r#"["http://a.example", "*"]"#)]);

    assert_eq!(config.server.cors_origins, ["http://a.example", "*"]);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let config = load([("SERVER_PORT", ""), ("ADMIN_TOKEN", ""), ("ENVIRONMENT", "")]);

    assert_eq!(config.server.port, 8080);
    assert!(config.admin.token.is_none());
}

#[test]
fn an_unknown_key_is_named_with_its_file_its_line_and_the_nearest_known_one() {
    let files = Files::with([("mine.toml", "[server]\nhost = \"::1\"\nprot = 1\n\n[servers]\nport = 1\n")]);

    let found = errors(&files.sources(Some("mine.toml"), []));

    let file = files.path("mine.toml").display().to_string();
    let unknown =
        |line, key: &str, nearest| ConfigError::UnknownKey { file: file.clone(), line, key: key.to_owned(), nearest };
    assert_eq!(found, [unknown(3, "server.prot", Some("server.port")), unknown(5, "servers", Some("server"))]);
    assert!(
        found[0].to_string().ends_with("mine.toml, line 3: unknown key `server.prot` (did you mean `server.port`?)")
    );
}

#[test]
fn a_key_outside_its_section_finds_its_place() {
    let files = Files::with([("mine.toml", "thread_idle_seconds = 5\nmemory = 3\nquite_something_else = 1\n")]);

    let found = errors(&files.sources(Some("mine.toml"), []));

    let guesses: Vec<_> = found
        .iter()
        .map(|error| match error {
            ConfigError::UnknownKey { line, nearest, .. } => (*line, *nearest),
            other => panic!("{other}"),
        })
        .collect();
    assert!(guesses.contains(&(1, Some("memory.thread_idle_seconds"))), "{guesses:?}");
    assert!(guesses.contains(&(3, None)), "{guesses:?}");
}

#[test]
fn an_unknown_variable_of_a_section_is_named() {
    let text = complaint([("CMG_SERVER_WORKRES", "2")]);

    assert!(text.contains("CMG_SERVER_WORKRES") && text.contains("did you mean `CMG_SERVER_WORKERS`?"), "{text}");
    load([("CMG_PORT_FILE", "/run/port"), ("CMG_URL", "http://x"), ("SERVER_SOFTWARE", "somebody else's")]);
}

#[test]
fn a_bad_value_is_named_with_what_was_given_and_what_is_allowed() {
    for (name, given, allowed) in [
        ("SERVER_PORT", "70000", "a whole number from 0 to 65535"),
        ("SERVER_PORT", "-1", "a whole number from 0 to 65535"),
        ("SERVER_HOST", "http://x", "an IP address or host name"),
        ("DEBUG", "maybe", "true or false"),
        ("DATABASE_URL", "sqlite:///x", "`sled:` and a folder"),
        ("EMBEDDING_MODEL", "ada-002", "static-minilm-256, none"),
        ("CMG_MEMORY_REDACTION", "mask", "one of redact, off, reject"),
        ("CMG_MEMORY_MIN_SCORE", "NaN", "a number from -10 to 10"),
        ("CORS_ORIGINS", "app.example.com", "a list of origins"),
        ("OPENROUTER_API_BASE", "openrouter.ai", "an http:// or https:// URL"),
        ("LOG_LEVEL", "loud", "one of error, warn, info, debug, trace"),
        ("ENVIRONMENT", "staging", "one of development, test, production"),
    ] {
        let text = complaint([(name, given)]);
        assert!(text.contains(name) && text.contains(given) && text.contains(allowed), "{name}: {text}");
    }
}

#[test]
fn a_bad_value_in_a_file_is_named_with_its_line() {
    let files = Files::with([("mine.toml", "[memory]\n# how many\nmax_context_items = \"many\"\n")]);

    let found = errors(&files.sources(Some("mine.toml"), []));

    assert_eq!(
        found,
        [ConfigError::BadValue {
            key: "memory.max_context_items".to_owned(),
            place: Origin::File { file: files.path("mine.toml").display().to_string(), line: 3 },
            given: "\"many\"".to_owned(),
            allowed: "a whole number from 1 to 10000".to_owned(),
        }]
    );
}

#[test]
fn all_errors_are_reported_together() {
    let files = Files::with([("mine.toml", "[server]\nport = 99999\nnonsense = 1\n")]);

    let found = errors(&files.sources(Some("mine.toml"), [("ENVIRONMENT", "production"), ("LOG_LEVEL", "loud")]));

    assert_eq!(found.len(), 6, "two of the file, one variable, three missing secrets: {found:?}");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_an_error_with_its_place() {
    let files = Files::with([("broken.toml", "[server]\nport = \n")]);

    let missing = errors(&files.sources(Some("absent.toml"), []));
    let broken = errors(&files.sources(Some("broken.toml"), []));

    assert!(
        matches!(&missing[..], [ConfigError::Unreadable { file, .. }] if file.ends_with("absent.toml")),
        "{missing:?}"
    );
    assert!(matches!(&broken[..], [ConfigError::Syntax { line: 2, .. }, ..]), "{broken:?}");
}

#[test]
fn the_environment_cannot_be_chosen_by_a_file() {
    let files = Files::with([("mine.toml", "environment = \"production\"\n")]);

    let found = errors(&files.sources(Some("mine.toml"), []));

    assert!(found[0].to_string().contains("line 1: environment: give it as the variable ENVIRONMENT"), "{found:?}");
}

#[test]
fn the_secret_key_may_come_from_a_file_but_not_from_both() {
    let files = Files::with([("key", "a-key-from-a-file\n"), ("empty", "\n")]);
    let path = files.path("key").display().to_string();
    let empty = files.path("empty").display().to_string();

    assert_eq!(load([("SECRET_KEY_FILE", &path)]).secrets.secret_key.expose(), "a-key-from-a-file");
    assert!(complaint([("SECRET_KEY_FILE", &path), ("SECRET_KEY", KEY)]).contains("give one of them, not both"));
    assert!(complaint([("SECRET_KEY_FILE", "/nowhere/at/all")]).contains("/nowhere/at/all: cannot be read"));
    assert!(complaint([("SECRET_KEY_FILE", &empty)]).contains("must not be empty"));
}

#[test]
fn a_bootstrap_key_of_the_wrong_form_is_refused_without_being_shown() {
    let good = format!("cmg_{}", "a".repeat(32));
    assert!(load([("BOOTSTRAP_API_KEY", &good)]).secrets.bootstrap_api_key.is_some());

    let text = complaint([("BOOTSTRAP_API_KEY", "cmg_tooshort")]);

    assert!(text.contains("BOOTSTRAP_API_KEY") && text.contains("at least 32") && !text.contains("tooshort"), "{text}");
}

#[test]
fn no_secret_is_in_any_text_about_a_configuration() {
    let files = Files::with([("mine.toml", "[admin]\npassword = \"pass-in-a-file\"\n")]);
    let bootstrap = format!("cmg_{}", "b".repeat(40));
    let sources = files.sources(
        Some("mine.toml"),
        [
            ("SECRET_KEY", KEY),
            ("ADMIN_TOKEN", "token-token"),
            ("OPENROUTER_API_KEY", "sk-or-1"),
            ("BOOTSTRAP_API_KEY", &bootstrap),
        ],
    );
    let config = Config::load(&sources).unwrap();

    let texts = format!("{}\n{config:?}\n{}", config.show(), config.summary());

    for secret in [KEY, "token-token", "sk-or-1", "pass-in-a-file", &bootstrap] {
        assert!(!texts.contains(secret), "{secret} is shown");
    }
}

#[test]
fn no_secret_is_in_any_error() {
    let files = Files::with([("mine.toml", "[admin]\ntoken = 12345678\npassword = [\"pw-in-a-list\"]\n")]);
    let variables = [
        ("DATABASE_URL", "postgres://user:db-password@host/db"),
        ("OPENROUTER_API_BASE", "https://user:url-password@host/v1"),
        ("OPENROUTER_API_KEY", "sk or with spaces"),
    ];

    let text = Config::load(&files.sources(Some("mine.toml"), variables)).unwrap_err().to_string();

    for secret in ["12345678", "pw-in-a-list", "db-password", "url-password", "sk or with"] {
        assert!(!text.contains(secret), "{secret} is shown in {text}");
    }
    assert!(text.starts_with("5 problems"), "{text}");
}

#[test]
fn what_is_shown_says_where_each_value_comes_from_and_loads_again() {
    let files = Files::with([("mine.toml", "[server]\n\nworkers = 3\n")]);
    let config = Config::load(&files.sources(Some("mine.toml"), [("SERVER_PORT", "0"), ("DEBUG", "on")])).unwrap();

    let page = config.show();

    let source = |name: &str| page.lines().find(|line| line.starts_with(name)).unwrap().split("# ").last().unwrap();
    assert_eq!(source("host = "), "default");
    assert_eq!(source("port = "), "variable SERVER_PORT");
    assert!(source("workers = ").ends_with("mine.toml, line 3"));
    assert_eq!(source("secret_key = "), "built-in development.toml");
    assert_eq!(source("log_level = \"debug\""), "follows from server.debug");
    let again = Files::with([("again.toml", &page)]);
    Config::load(&again.sources(Some("again.toml"), [])).expect("the page is a configuration itself");
}

#[test]
fn debug_leaves_a_log_level_alone_that_somebody_set() {
    assert_eq!(load([("DEBUG", "true"), ("LOG_LEVEL", "ERROR")]).telemetry.log_level, LogLevel::Error);
}

#[test]
fn production_starts_on_secrets_of_its_own() {
    let config = Config::load(&production(KEY, "an-admin-token-1", "an-admin-pass-1")).unwrap();

    assert_eq!(config.environment, Environment::Production);
}

#[test]
fn production_refuses_missing_default_short_and_placeholder_secrets_and_debug() {
    let refused = |sources: &Sources| -> Vec<&'static str> {
        errors(sources)
            .into_iter()
            .map(|error| match error {
                ConfigError::Refused { env, .. } => env,
                other => panic!("{other}"),
            })
            .collect()
    };
    let (token, password) = ("an-admin-token-1", "an-admin-pass-1");

    assert_eq!(refused(&production("", "", "")), ["SECRET_KEY", "ADMIN_TOKEN", "ADMIN_PASSWORD"]);
    assert_eq!(refused(&production(DEVELOPMENT_SECRET_KEY, token, password)), ["SECRET_KEY"]);
    assert_eq!(refused(&production("only-31-characters-of-a-secret-", token, password)), ["SECRET_KEY"]);
    assert_eq!(refused(&production(&"x".repeat(40), token, password)), ["SECRET_KEY"]);
    assert_eq!(refused(&production(KEY, "changeme", "admin")), ["ADMIN_TOKEN", "ADMIN_PASSWORD"]);
    let mut debug = production(KEY, token, password);
    debug.env.insert("DEBUG".to_owned(), "true".into());
    assert_eq!(refused(&debug), ["DEBUG"]);
}
