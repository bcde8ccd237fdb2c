//! `cmg config`: what is wrong is named, what is secret is not shown, and production starts on nothing weak.

use crate::support::Server;
use crate::support::server::{self, pairs};
use std::fs;

/// A folder to run commands in, with this server's good variables and some more.
fn rest(env: &[(&str, &str)]) -> Server {
    Server::at_rest(env)
}

#[test]
fn a_good_configuration_is_called_good() {
    let run = rest(&[]).run(&["config", "check"]);

    assert_eq!(run.code(), Some(0), "{}", run.said());
    assert!(run.out.contains("good"), "{}", run.said());
}

#[test]
fn an_unknown_key_is_named_with_its_file_and_line() {
    let server = rest(&[]);
    let file = server.folder().join("mine.toml");
    fs::write(&file, "# mine\n[server]\nprot = 1\n").unwrap();

    for command in [&["config", "check", "--config"][..], &["config", "show", "--config"], &["serve", "--config"]] {
        let run = server.run(&[command, &[file.to_str().unwrap()]].concat());

        assert!(run.refused(), "{command:?}: {}", run.said());
        for part in ["mine.toml", "line 3", "server.prot", "server.port"] {
            assert!(run.said().contains(part), "{command:?} says {part}: {}", run.said());
        }
    }
}

#[test]
fn every_bad_value_is_named_at_once() {
    let server = rest(&[
        ("LOG_LEVEL", "loud"),
        ("SERVER_PORT", "70000"),
        ("CMG_MEMORY_REDACTOIN", "off"),
        ("DATABASE_URL", "postgres://x"),
    ]);

    for command in [&["config", "check"][..], &["serve"]] {
        let run = server.run(command);

        assert!(run.refused(), "{command:?}: {}", run.said());
        for part in ["LOG_LEVEL", "loud", "SERVER_PORT", "70000", "CMG_MEMORY_REDACTOIN", "DATABASE_URL"] {
            assert!(run.said().contains(part), "{command:?} says {part}: {}", run.said());
        }
    }
}

#[test]
fn what_is_shown_is_what_holds_and_secrets_are_masked() {
    let password = "an-admin-password-of-mine";
    let run = rest(&[
        ("ADMIN_PASSWORD", password),
        ("MAX_CONTEXT_ITEMS", "17"),
        ("OPENROUTER_API_KEY", "sk-or-canary-123456"),
    ])
    .run(&["config", "show"]);

    assert_eq!(run.code(), Some(0), "{}", run.said());
    assert!(
        run.out.contains("max_context_items = 17") && run.out.contains("MAX_CONTEXT_ITEMS"),
        "value and source: {}",
        run.out
    );
    for secret in [password, server::SECRET_KEY, server::ADMIN_TOKEN, server::API_KEY, "sk-or-canary-123456"] {
        assert!(!run.said().contains(secret), "`{secret}` is shown: {}", run.said());
    }
}

#[test]
fn a_bad_secret_is_named_and_not_repeated() {
    let run = rest(&[("BOOTSTRAP_API_KEY", "cmg_too-short-canary")]).run(&["config", "check"]);

    assert!(run.refused(), "{}", run.said());
    assert!(run.said().contains("BOOTSTRAP_API_KEY"), "{}", run.said());
    assert!(!run.said().contains("canary"), "{}", run.said());
}

#[test]
fn production_starts_on_nothing_weak() {
    let strong = [
        ("ENVIRONMENT", "production"),
        ("SECRET_KEY", "kV9-strong-and-long-enough-0f8a7b6c5d4e3f2a"),
        ("ADMIN_TOKEN", "tok-9f8e7d6c5b4a"),
        ("ADMIN_PASSWORD", "pw-1a2b3c4d5e6f"),
    ];
    let good = rest(&strong).run(&["config", "check"]);
    assert_eq!(good.code(), Some(0), "{}", good.said());

    for (name, value) in [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "development-only-secret-key-do-not-use"),
        ("SECRET_KEY", "short"),
        ("ADMIN_TOKEN", ""),
        ("ADMIN_TOKEN", "changeme-changeme"),
        ("ADMIN_PASSWORD", ""),
        ("ADMIN_PASSWORD", "short"),
        ("DEBUG", "true"),
    ] {
        let mut server = rest(&strong);
        for (known, value) in pairs(&[(name, value)]) {
            server.set(&known, &value);
        }
        for command in [&["config", "check"][..], &["serve"]] {
            let run = server.run(command);
            assert!(run.refused(), "{name}=`{value}`, {command:?}: {}", run.said());
            assert!(run.said().contains(name), "{name}=`{value}`, {command:?} names it: {}", run.said());
        }
    }
}
