//! Events of logs of our own, in the forms that loggers and test runners write.

use super::*;

fn kinds(text: &str) -> Vec<(Kind, String)> {
    parse_log(text, None, None).into_iter().map(|draft| (draft.kind, draft.text)).collect()
}

fn ids(draft: &Draft) -> Vec<String> {
    draft.artifacts.iter().map(ArtifactRef::id).collect()
}

#[test]
fn every_pattern_compiles() {
    for pattern in trace::patterns().into_iter().chain(failing::patterns()) {
        assert!(pattern.is_some());
    }
}

#[test]
fn an_event_keeps_its_continuation_lines() {
    let text = "2025-01-20 10:30:00 INFO started\n  with two lines\n\n2025-01-20 10:30:01 ERROR: failed\nWARN late\r\n";

    let drafts = parse_log(text, Some("app.log"), None);

    let texts: Vec<&str> = drafts.iter().map(|draft| draft.text.as_str()).collect();
    assert_eq!(
        texts,
        ["2025-01-20 10:30:00 INFO started\n  with two lines", "2025-01-20 10:30:01 ERROR: failed", "WARN late"]
    );
    let levels: Vec<&Value> = drafts.iter().map(|draft| &draft.metadata["level"]).collect();
    assert_eq!(levels, ["info", "error", "warn"]);
    assert_eq!(drafts[0].observed_at.unwrap().to_rfc3339(), "2025-01-20T10:30:00Z");
    assert_eq!(drafts[2].observed_at, drafts[1].observed_at, "without a time of its own it happened just then");
    assert_eq!(drafts[0].path.as_deref(), Some("app.log"));
}

#[test]
fn lines_before_any_start_are_one_event() {
    let text = "Starting up\nplease wait\n2025-01-20 10:30:00 INFO up\n";

    assert_eq!(
        kinds(text),
        [(Kind::Log, "Starting up\nplease wait".into()), (Kind::Log, "2025-01-20 10:30:00 INFO up".into())]
    );
}

#[test]
fn a_stamped_trace_is_one_stack_with_its_frames() {
    let text = "2025-01-20 10:30:00 ERROR [main] shop.Cart: cannot pay\n\
        shop.PaymentException: declined\n\
        \tat shop.pay.Client.charge(Client.java:42)\n\
        \tat java.base/java.lang.Thread.run(Thread.java:833)\n\
        \tat sun.reflect.X.invoke(Native Method)\n\
        Caused by: java.io.IOException: reset\n\
        \t... 12 more\n\
        2025-01-20 10:30:01 INFO next\n";

    let drafts = parse_log(text, None, None);

    assert_eq!(drafts.iter().map(|draft| draft.kind).collect::<Vec<_>>(), [Kind::Stack, Kind::Log]);
    assert_eq!(ids(&drafts[0]), ["CODE:shop/pay/Client.java#L42-L42", "CODE:java/lang/Thread.java#L833-L833"]);
    assert_eq!(drafts[0].artifacts[0].symbol.as_deref(), Some("shop.pay.Client.charge"));
    assert_eq!(drafts[0].title.as_deref(), Some("shop.PaymentException: declined"));
    assert!(drafts[0].text.ends_with("... 12 more"));
}

#[test]
fn a_bare_python_trace_stands_alone() {
    let text = "running job\n\
        Traceback (most recent call last):\n\
        \x20 File \"app/job.py\", line 12, in run\n\
        \x20   pay()\n\
        \x20 File \"app/pay.py\", line 3, in pay\n\
        \x20   raise ValueError(\"no\")\n\
        ValueError: no\n\
        \n\
        During handling of the above exception, another exception occurred:\n\
        \n\
        Traceback (most recent call last):\n\
        \x20 File \"app/job.py\", line 14, in run\n\
        RuntimeError: gave up\n\
        done\n";

    let drafts = parse_log(text, None, None);

    assert_eq!(drafts.iter().map(|draft| draft.kind).collect::<Vec<_>>(), [Kind::Log, Kind::Stack, Kind::Log]);
    assert_eq!(ids(&drafts[1]), ["CODE:app/job.py#L12-L12", "CODE:app/pay.py#L3-L3", "CODE:app/job.py#L14-L14"]);
    assert_eq!(drafts[1].title.as_deref(), Some("ValueError: no"));
    assert!(drafts[1].text.ends_with("RuntimeError: gave up"));
    assert_eq!(drafts[2].text, "done");
}

#[test]
fn traces_of_other_languages_are_known() {
    for (text, id) in [
        (
            "TypeError: x is undefined\n    at run (/srv/app/main.js:10:5)\n    at /srv/app/b.js:1:2\n",
            "CODE:/srv/app/main.js#L10-L10",
        ),
        (
            "thread 'main' panicked at src/main.rs:4:5:\nboom\nnote: run with `RUST_BACKTRACE=1`\n",
            "CODE:src/main.rs#L4-L4",
        ),
        (
            "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.run(0x1)\n\t/srv/app/main.go:12 +0x1d\nexit status 2\n",
            "CODE:/srv/app/main.go#L12-L12",
        ),
        (
            "Unhandled exception. System.Exception: x\n   at Shop.Cart.Add() in /src/Cart.cs:line 12\n",
            "CODE:/src/Cart.cs#L12-L12",
        ),
        (
            "{\"level\":\"error\",\"msg\":\"x\",\"stack\":\"Error: x\\n    at run (/srv/a.js:1:2)\"}\n",
            "CODE:/srv/a.js#L1-L1",
        ),
    ] {
        let drafts = parse_log(text, None, None);

        assert_eq!(drafts.len(), 1, "{text}\n{drafts:#?}");
        assert_eq!(drafts[0].kind, Kind::Stack, "{text}");
        assert_eq!(ids(&drafts[0])[0], id);
    }
}

#[test]
fn failing_tests_are_events_of_their_own() {
    let pytest = "==== FAILURES ====\n____________ test_pay ____________\n\n    def test_pay():\n>       assert pay() == 1\n\
        E       assert 2 == 1\n\ntests/test_pay.py:7: AssertionError\n==================== short test summary info ====================\n\
        FAILED tests/test_pay.py::test_pay - assert 2 == 1\n1 failed in 0.1s\n";
    let cargo = "running 2 tests\ntest a::works ... ok\ntest a::fails ... FAILED\n\nfailures:\n\n---- a::fails stdout ----\n\
        thread 'a::fails' panicked at src/a.rs:10:5:\nassertion failed\n\n\nfailures:\n    a::fails\n\ntest result: FAILED. 1 passed; 1 failed\n";
    let go = "=== RUN   TestPay\n--- FAIL: TestPay (0.00s)\n    pay_test.go:9: got 2, want 1\nFAIL\n";
    let jest = "FAIL src/pay.test.js\n  ● cart › pays\n\n    expect(received).toBe(expected)\n\n      at Object.<anonymous> (src/pay.test.js:5:9)\n\nTests: 1 failed\n";
    let junit = "[INFO] Running shop.PayTest\n[ERROR] pays(shop.PayTest)  Time elapsed: 0.01 s  <<< FAILURE!\n\
        java.lang.AssertionError: expected 1\n\tat shop.PayTest.pays(PayTest.java:12)\n\n[INFO] Results:\n";
    let unittest = "F\n======================================================================\nFAIL: test_pay (tests.PayCase)\n\
        ----------------------------------------------------------------------\nTraceback (most recent call last):\n  File \"tests.py\", line 5, in test_pay\n\
        AssertionError: 2 != 1\n\nRan 1 test in 0.001s\n";
    for (text, name, id) in [
        (pytest, "test_pay", "CODE:tests/test_pay.py#L7-L7"),
        (cargo, "a::fails", "CODE:src/a.rs#L10-L10"),
        (go, "TestPay", "CODE:pay_test.go#L9-L9"),
        (jest, "cart › pays", "CODE:src/pay.test.js#L5-L5"),
        (junit, "pays(shop.PayTest)", "CODE:shop/PayTest.java#L12-L12"),
        (unittest, "test_pay", "CODE:tests.py#L5-L5"),
        ("FAILED tests/a.py::test_b - ValueError: x\n", "tests/a.py::test_b", ""),
    ] {
        let failed: Vec<Draft> =
            parse_log(text, None, None).into_iter().filter(|draft| draft.kind == Kind::TestFail).collect();

        assert_eq!(failed.len(), 1, "{text}\n{failed:#?}");
        assert_eq!(failed[0].title.as_deref(), Some(name));
        assert_eq!(ids(&failed[0]).first().map_or("", String::as_str), id);
    }
}

#[test]
fn time_is_linear_in_hostile_text() {
    for unit in [
        "a",
        "2025-01-20 10:30:00 ERROR x\n",
        "\n",
        "    at x\n",
        "{",
        "{\"level\":",
        "____ ",
        "●",
        "x\n",
        "panicked at .rs:",
    ] {
        let text = unit.repeat(200_000 / unit.len());
        let _ = parse_log(&text, None, None);
    }
}

proptest::proptest! {
    #[test]
    fn no_word_is_lost(
        text in "(2025-01-20 10:30:00 INFO x|ERROR: y|  at a.b(C.java:1)|Traceback \\(most recent call last\\):|---- a stdout ----|___ t ___|=======================|\\{\"msg\":1\\}|é ü| |\r|panic: x|--- FAIL: T|[a-z ]{0,9}|\n){0,40}"
    ) {
        let joined: String = parse_log(&text, None, None).iter().flat_map(|draft| draft.text.chars()).filter(|c| !c.is_whitespace()).collect();
        let words: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        proptest::prop_assert_eq!(joined, words);
    }
}
