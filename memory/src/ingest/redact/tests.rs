//! What is taken out and what stays, as tables: each line is a promise to somebody.

use super::*;

/// The text after redaction in a fresh thread.
fn clean(text: &str) -> String {
    Redactor::new(Mode::Redact).redact(text, &mut Numbering::default()).text.into_owned()
}

#[test]
fn sensitive_data_is_replaced() {
    let hex = "3f9a1c5e7b2d4f608192a3b4c5d6e7f8";
    let cases: Vec<(String, &str)> = [
        ("mail ann.lee+x@example.co.uk now", "mail [EMAIL_1] now"),
        ("<bob@corp.internal>, (eve@example.com).", "<[EMAIL_1]>, ([EMAIL_2])."),
        ("mailto:ann@example.org?subject=x", "mailto:[EMAIL_1]?subject=x"),
        ("user=ann@example.org", "user=[EMAIL_1]"),
        ("ann@EXAMPLE.org and Ann@example.org", "[EMAIL_1] and [EMAIL_1]"),
        (
            "2025-01-20 10:30:00 ERROR: Authentication failed for user@example.com",
            "2025-01-20 10:30:00 ERROR: Authentication failed for [EMAIL_1]",
        ),
        // phones
        ("call +1 415 555 2671 today", "call [PHONE_1] today"),
        ("+49 30 1234567", "[PHONE_1]"),
        ("+14155552671", "[PHONE_1]"),
        ("+1 (415) 555-2671", "[PHONE_1]"),
        ("(415) 555-2671", "[PHONE_1]"),
        ("at 415-555-2671.", "at [PHONE_1]."),
        ("1-800-555-0199", "[PHONE_1]"),
        ("555-123-4567", "[PHONE_1]"),
        ("my phone number is 4155552671", "my phone number is [PHONE_1]"),
        ("Tel: 030 12345678", "Tel: [PHONE_1]"),
        ("phone=020 7946 0958", "phone=[PHONE_1]"),
        ("call me at 555-1234", "call me at [PHONE_1]"),
        // addresses
        ("from 203.0.113.9:8080 to http://10.11.10.1/x", "from [IP_1]:8080 to http://[IP_2]/x"),
        ("host/192.168.1.100:9000", "host/[IP_1]:9000"),
        ("2001:db8:85a3::8a2e:370:7334", "[IP_1]"),
        ("[fe80::1ff:fe23:4567:890a]", "[[IP_1]]"),
        // money
        ("card 4111 1111 1111 1111 ok", "card [CARD_1] ok"),
        ("4111111111111111", "[CARD_1]"),
        ("5500-0000-0000-0004", "[CARD_1]"),
        ("amex 378282246310005", "amex [CARD_1]"),
        ("IBAN DE89 3704 0044 0532 0130 00, please", "IBAN [IBAN_1], please"),
        ("GB29NWBK60161331926819", "[IBAN_1]"),
        // national ids
        ("SSN 123-45-6789.", "SSN [NATIONAL_ID_1]."),
        ("AB 12 34 56 C", "[NATIONAL_ID_1]"),
        ("529.982.247-25", "[NATIONAL_ID_1]"),
        // keys
        ("key AKIAIOSFODNN7EXAMPLE", "key [API_KEY_1]"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[API_KEY_1]"),
        ("sk-or-v1-0123456789abcdef0123456789abcdef0123456789abcdef", "[API_KEY_1]"),
        ("OPENAI_API_KEY=sk-proj-aB3dE5fG7hI9jK1lM3nO5pQ7", "OPENAI_API_KEY=[API_KEY_1]"),
        ("sk_test_4eC39HqLyjWDarjtT1zdp7dc", "[API_KEY_1]"),
        ("glpat-aB3dE5fG7hI9jK1lM3nO", "[API_KEY_1]"),
        ("xoxb-123456789012-abcdefGHIJKL", "[API_KEY_1]"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "[API_KEY_1]"),
        ("hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ012345", "[API_KEY_1]"),
        ("Bearer cmg_7f3a9b2c4d5e6f708192", "Bearer [API_KEY_1]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N", "[API_KEY_1]"),
        // by context
        ("password=hunter2", "password=[PASSWORD_1]"),
        ("password = \"correct horse 7\"", "password = \"[PASSWORD_1]\""),
        ("{\"password\": \"s3cr3t!\"}", "{\"password\": \"[PASSWORD_1]\"}"),
        ("/login?user=bob&password=letmein&x=1", "/login?user=bob&password=[PASSWORD_1]&x=1"),
        ("export DB_PASSWORD=letmein", "export DB_PASSWORD=[PASSWORD_1]"),
        ("the password is hunter2.", "the password is [PASSWORD_1]."),
        ("postgres://app:s3cret@db.local:5432/x", "postgres://app:[PASSWORD_1]@db.local:5432/x"),
        ("https://bob:p@ss@example.com/", "https://bob:[PASSWORD_1]@example.com/"),
        ("api_key: 9f8e7d6c5b4a39281706", "api_key: [SECRET_1]"),
        ("client_secret='Zm9vYmFyMTIzNDU2'", "client_secret='[SECRET_1]'"),
        ("X-Auth-Token: 7c6a180b36896a0a8c02787eeafb0e4c", "X-Auth-Token: [SECRET_1]"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [SECRET_1]"),
        ("Authorization: Bearer abcDEF123456ghiJKL", "Authorization: Bearer [SECRET_1]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----\nrest", "[PRIVATE_KEY_1]\nrest"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEow", "[PRIVATE_KEY_1]"),
        ("npm_abcdefghijklmnopqrstuvwxyzabcdefghij", "[API_KEY_1]"),
        ("The password is: hunter2", "The password is: [PASSWORD_1]"),
        ("password: Tr0ub4dor&3", "password: [PASSWORD_1]"),
        ("redis://:p4ss@cache:6379", "redis://:[PASSWORD_1]@cache:6379"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [SECRET_1]"),
        ("{\\\"password\\\": \\\"x1y2z3\\\"}", "{\\\"password\\\": \\\"[PASSWORD_1]\\\"}"),
        ("Tel.: +49 (0)30 123456", "Tel.: [PHONE_1]"),
        ("+1-555-123-4567", "[PHONE_1]"),
        ("(555) 123 4567", "[PHONE_1]"),
        ("Phone: 555-0123", "Phone: [PHONE_1]"),
        ("ping 8.8.8.8, then 1.1.1.1.", "ping [IP_1], then [IP_2]."),
        ("10.0.0.1-10.0.0.9", "[IP_1]-[IP_2]"),
        ("é ann@example.org ü", "é [EMAIL_1] ü"),
    ]
    .into_iter()
    .map(|(text, want)| (text.to_owned(), want))
    .chain([(format!("secret_key = {hex}"), "secret_key = [SECRET_1]")])
    .collect();
    for (text, want) in cases {
        assert_eq!(clean(&text), want, "{text}");
    }
}

#[test]
fn what_only_looks_sensitive_stays() {
    for text in [
        // hashes, ids, versions, times
        "commit 1190afd14f3f9a1c5e7b2d4f608192a3b4c5d6e7",
        "index 7aae7a0e..c6ffb1fd 100644",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "version 1.2.3.4 and v10.0.19.1, upgraded from 1.2.3.4 to 1.2.3.5",
        "foo>=1.2.3.4 bar==2.0.1.3 baz@1.2.3.4 pkg-1.2.3.4.tar.gz ^1.2.3.4",
        "Chrome/120.0.0.0 Safari/537.36",
        "1.2.3.4.5 and 1.2.3",
        "Firefox/115.1.2.3",
        "installed the sdk 4.2.1.7",
        "next_token=abc123def456 pageToken: \"abc123def456\"",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "etag \"33a64df551425fcc55e4d42a148795d9f25f89d4\"",
        "pos 12.5, -33.8688, 151.2093",
        "ISO 8601, RFC 3339, port 5432, room 1204, 20250120103000",
        "2024-2025, 1:30-2:45, 100.000.000, 1 000 000 000",
        "9.99 + 10.01 = 20.00",
        "v2024.1.2.3 and 10.0.19045.1234",
        "2015-10-18 18:01:47,978 INFO",
        "2025-01-20T10:30:00.123456Z",
        "17/06/09 20:10:40",
        "1445144423722 1737369000 1737369000123456",
        "order 1234567890123456, invoice 2024-000123-45",
        "order no. 4155552671 and ticket 415 555 2671",
        "appattempt_1445144423722_0020_000001",
        "task_1445144423722_0020_m_000001",
        "UUID=4111-1111",
        "+0200 +05:30 +1,234 (+12)",
        "@@ -308,6 +308,7 @@ class X",
        "+12345",
        "+2.32.3 (2024-??-??)",
        "+1234567890",
        "x\n+1048576000\n+20250120103000123",
        "lines 100-200-3000",
        "978-3-16-148410-0",
        "000-12-3456 666-12-3456 123-00-4567 912-34-5678",
        "4111111111111112",
        "DE89370400440532013001",
        // code
        "user@decorator and x@y",
        "@app.route('/x')",
        "a @ b.T, w@x.shape(1)",
        "npm i @foo/bar@1.2.3 left-pad@1.3.0",
        "icon@2x.png and getty@tty1.service",
        "git clone git@github.com:foo/bar.git",
        "ssh://git@example.com/x.git",
        "java.lang.Object@1b2c3d",
        "std::net::Ipv6Addr a::b::c1 dead::beef",
        "aa:bb:cc:dd:ee:ff 10:30:00",
        "def f(password: str, token: Optional[str] = None):",
        "login(user=user, password=password)",
        "password = read_password()",
        "password = os.environ['PASSWORD']",
        "token = self.tokens[0]",
        "token = response.access_token",
        "token: String,",
        "if token == other_token_12345678:",
        "max_tokens = 4096",
        "token_count: 184, tokens: 4000",
        "password_min_length: 12",
        "PASSWORD=${DB_PASSWORD} password=$1 password: <password>",
        "password=*** password=xxxx",
        "api_key = \"your-api-key-here\"",
        "the password is incorrect",
        "the token is expired",
        "Password: required",
        "\"password\": \"string\"",
        "secret = \"not a secret at all\"",
        "We discussed the secret: nothing is easy.",
        "sk-estimator-doc-link-has-a-long-name",
        "cmg_http_requests_total cmg_memory::ingest",
        "hf_model_loader_function_name",
        "http://127.0.0.1:8080 0.0.0.0 localhost ::1 255.255.255.0 10.0.0.0/8",
        "http://example.com:8080/a@b",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "[EMAIL_1] password=[PASSWORD_1] [IP_2]",
        "3.14159 2,718 1e10 0x7fff5fbff8c8",
        "Session 3: Q1 2024, rooms 101-105",
        "It took 1.5-2.5 hours on 12/05/2023 (about 400-500 people)",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn the_same_value_keeps_its_number_within_a_thread() {
    let redactor = Redactor::new(Mode::Redact).with_key(b"workspace");
    let mut numbering = Numbering::default();
    redactor.redact("ann@example.org bob@example.org", &mut numbering);

    let stored = serde_json::to_string(&numbering).unwrap();
    let mut numbering: Numbering = serde_json::from_str(&stored).unwrap();
    let later = redactor.redact("eve@example.org bob@example.org +1 415 555 2671 +14155552671", &mut numbering);

    assert_eq!(later.text, "[EMAIL_3] [EMAIL_2] [PHONE_1] [PHONE_1]");
    assert_eq!(later.counts, BTreeMap::from([("email", 2), ("phone", 2)]));
    assert!(!stored.contains("example"), "the state holds no value: {stored}");
}

#[test]
fn off_means_untouched() {
    let redacted = Redactor::new(Mode::Off).redact("ann@example.org", &mut Numbering::default()).text.into_owned();

    assert_eq!(redacted, "ann@example.org");
}

#[test]
fn labels_and_metadata_of_a_draft_are_redacted_too() {
    let mut draft = Draft::new(crate::kind::Kind::Chat, "hi");
    draft.speaker = Some("ann@example.org".into());
    draft.title = Some("call +1 415 555 2671".into());
    draft.tags = vec!["ann@example.org".into()];
    draft.external_id = Some("10.1.2.3".into());
    draft.metadata = serde_json::from_value(serde_json::json!({
        "from": ["ann@example.org"], "deep": {"password": "letmein"}, "ann@example.org": 1, "n": 4111111111111111_u64
    }))
    .unwrap();
    let mut counts = BTreeMap::new();

    Redactor::new(Mode::Redact).redact_draft(&mut draft, &mut Numbering::default(), &mut counts);

    assert_eq!(draft.speaker.as_deref(), Some("[EMAIL_1]"));
    assert_eq!(draft.title.as_deref(), Some("call [PHONE_1]"));
    assert_eq!(draft.tags, ["[EMAIL_1]"]);
    assert_eq!(draft.external_id.as_deref(), Some("[IP_1]"));
    assert_eq!(draft.metadata["deep"]["password"], "[PASSWORD_1]");
    assert_eq!(draft.metadata["from"][0], "[EMAIL_1]");
    assert_eq!(draft.metadata["[EMAIL_1]"], 1);
    assert_eq!(counts["email"], 4);
}

proptest::proptest! {
    #[test]
    fn redacting_twice_is_redacting_once(
        text in "([a-z]{1,8}[ @.:=\"]{0,2}|password=|token: |sk-|[0-9]{1,6}[-. ]?|\\+|://|eyJ|[A-Z]{2}[0-9]{2}|é|\n){0,40}"
    ) {
        let redactor = Redactor::new(Mode::Redact);
        let mut numbering = Numbering::default();
        let once = redactor.redact(&text, &mut numbering).text.into_owned();
        let twice = redactor.redact(&once, &mut numbering).text.into_owned();
        proptest::prop_assert_eq!(once, twice);
    }
}
