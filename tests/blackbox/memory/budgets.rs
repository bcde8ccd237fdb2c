//! Budgets: a caller pays for so many tokens and so many items, and never for more.

use super::{text, workspace};
use crate::support::client::items_of;
use crate::support::stories;
use serde_json::{Value, json};

fn tokens(items: &[Value]) -> u64 {
    items.iter().map(|item| item["tokens"].as_u64().unwrap()).sum()
}

#[test]
fn a_token_budget_is_never_exceeded_and_is_made_use_of() {
    let client = workspace();
    client.chat("budget", &stories::pantry());
    let ask = |budget: u64, top_k: u64| {
        let purpose = "everything about the database, the backups and the kitchens";
        items_of(
            &client.recall(&json!({"thread_id": "budget", "purpose": purpose, "token_budget": budget, "top_k": top_k})),
        )
    };
    let plenty = ask(1_000_000, 100);
    assert!(tokens(&plenty) > 400, "the purpose is wide: {} tokens", tokens(&plenty));

    for budget in [1, 5, 12, 40, 100, 250, 400] {
        let items = ask(budget, 100);
        assert!(tokens(&items) <= budget, "a budget of {budget} costs {}", tokens(&items));
        if budget >= 100 {
            assert!(tokens(&items) * 2 >= budget, "a budget of {budget} buys only {}", tokens(&items));
        }
    }
    for top_k in [1, 2, 7] {
        let items = ask(4000, top_k);
        assert_eq!(items.len(), top_k as usize, "top_k of {top_k}");
        assert_eq!(items[0]["id"], plenty[0]["id"], "the best stays the best");
    }
}

#[test]
fn an_item_is_never_cut_in_the_middle() {
    let client = workspace();
    let turns = stories::pantry();
    client.chat("whole", &turns);

    for budget in [20, 60, 150] {
        let answer =
            client.recall(&json!({"thread_id": "whole", "purpose": "backup restore drill", "token_budget": budget}));
        for item in items_of(&answer) {
            if item["kind"] == "chat" {
                assert!(turns.iter().any(|turn| turn["content"] == text(&item)), "cut: {item}");
            }
        }
    }
}

#[test]
fn a_prompt_never_exceeds_its_budget() {
    let client = workspace();
    client.chat("prompt", &stories::pantry());

    for budget in [1, 10, 50, 200, 1000, 4000] {
        let set = client
            .post(
                "/v1/workingset",
                &json!({"thread_id": "prompt", "purpose": "continue with the barcodes", "token_budget": budget}),
            )
            .done();

        let estimate = set["token_estimate"].as_u64().unwrap();
        assert!(estimate <= budget, "a budget of {budget} gives {estimate} tokens");
        // No tokenizer here, so a bound that any prompt in plain English keeps: a token is a character at least.
        let prompt = set["prompt"].as_str().unwrap();
        assert!(prompt.split_whitespace().count() as u64 <= budget * 2, "{budget}: {prompt}");
    }
}

#[test]
fn the_defaults_of_the_server_hold_when_a_request_does_not_say() {
    let server = crate::support::Server::start_with(&[("DEFAULT_TOKEN_BUDGET", "60"), ("MAX_CONTEXT_ITEMS", "3")]);
    let client = server.client();
    client.chat("defaults", &stories::pantry());

    let items = client.find("defaults", "kitchens and their stock");

    assert!(items.len() <= 3, "MAX_CONTEXT_ITEMS is 3: {}", items.len());
    assert!(tokens(&items) <= 60, "DEFAULT_TOKEN_BUDGET is 60: {}", tokens(&items));
    assert!(!items.is_empty());
}
