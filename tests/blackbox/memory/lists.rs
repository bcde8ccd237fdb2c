//! Lists: every element once, whatever the size of a page.

use super::{id, workspace};
use crate::support::stories;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn pages_of_any_size_hold_every_item_once_and_in_one_order() {
    let client = workspace();
    client.chat("paged", &stories::pantry()[..40]);
    let whole: Vec<String> = client.items("paged").iter().map(|item| id(item).to_owned()).collect();
    assert!(whole.len() >= 40);
    assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), whole.len(), "no item stands twice in a list");

    for limit in [1, 7, 40, 500] {
        let paged: Vec<String> =
            client.pages("/v1/threads/paged/items", limit).iter().map(|item| id(item).to_owned()).collect();
        assert_eq!(paged, whole, "pages of {limit}");
    }
}

#[test]
fn the_last_page_says_that_it_is_the_last() {
    let client = workspace();
    client.chat("last", &(0..4).map(|n| json!({"role": "user", "content": format!("Turn {n}.")})).collect::<Vec<_>>());

    let page = client.get("/v1/threads/last/items?limit=4").done();

    assert_eq!((page["data"].as_array().unwrap().len(), &page["next_cursor"]), (4, &Value::Null), "{page}");
    let fields: BTreeSet<&str> = page.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, BTreeSet::from(["object", "data", "next_cursor"]));
}

#[test]
fn a_list_grows_at_its_end_while_it_is_read() {
    let client = workspace();
    let turns = stories::pantry();
    client.chat("grows", &turns[..10]);
    let first = client.get("/v1/threads/grows/items?limit=6").done();
    client.chat("grows", &turns[..16]);

    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second =
        client.get(&format!("/v1/threads/grows/items?limit=500&cursor={}", crate::support::encoded(cursor))).done();

    let seen: Vec<&str> =
        first["data"].as_array().unwrap().iter().chain(second["data"].as_array().unwrap()).map(id).collect();
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "nothing twice: {seen:?}");
    for item in client.items("grows") {
        assert!(seen.contains(&id(&item)), "{} is missing", id(&item));
    }
}

#[test]
fn threads_are_listed_and_described() {
    let client = workspace();
    for thread in ["one", "two", "three"] {
        client.chat(thread, &[json!({"role": "user", "content": format!("Hello {thread}.")})]);
    }

    let listed: BTreeSet<String> =
        client.pages("/v1/threads", 2).iter().map(|thread| thread["thread_id"].as_str().unwrap().to_owned()).collect();
    let thread = client.get("/v1/threads/two").done();

    assert_eq!(listed, ["one", "two", "three"].map(str::to_owned).into());
    assert_eq!((&thread["thread_id"], &thread["item_count"]), (&json!("two"), &json!(1)));
    for time in ["created_at", "updated_at"] {
        assert!(thread[time].as_str().is_some_and(|t| t.ends_with('Z')), "`{time}`: {thread}");
    }
}
