//! Things to remember: a conversation over six weeks, a series of commits, logs, traces, a failing test. All made up here.

use serde_json::{Value, json};

/// How three of them (Mara, Ivo and their agent) build a stock list for community kitchens. A line that begins with `@`
/// is the start of a session; every other one is a turn.
const PANTRY: &str = "\
@2025-03-03 09:00
Mara: Good morning! Coffee is on, let us talk about the pantry list for the three kitchens.
Ivo: Morning. I have until eleven, then the plumber comes to my flat.
Agent: Good morning. I will take notes and remind you of what was agreed.
Mara: The goal is a small web service where each kitchen sees what it has in stock and what runs out this week.
Ivo: So mostly a list with quantities and expiry dates. How many people would use it at once?
Mara: At most forty volunteers, and usually five or six on a weekday.
Agent: That is small enough for one machine and one process.
Ivo: We decided to use MySQL for the database, because I have run it for years.
Mara: Fine by me. The name of the product shall be Larder.
Ivo: The service must work on old phones, some volunteers have a device from 2016.
Agent: Noted: old phones have to work, so the pages should stay light.
Mara: And please keep all texts in German and Turkish, those are the two languages in the kitchens.
@2025-03-05 14:10
Ivo: I set up the repository today, it lives on the little server in the community office.
Mara: Great, can I see it from home?
Ivo: Through the VPN, yes. I will send you the config file this evening.
Agent: Should the backend be written in Python or in Go?
Ivo: Python with FastAPI. I do not want to learn a new language for this.
Mara: I bought cinnamon rolls for the meeting on Friday, by the way.
Ivo: You are the best. With raisins?
Mara: Without, Selin is allergic to raisins.
Agent: I have drafted the first table: item, quantity, unit, shelf, expiry date.
Ivo: Add the kitchen to it. Every row belongs to exactly one kitchen.
Mara: The kitchen in Neukoelln calls its shelves by colours, the others by numbers.
Agent: Then a shelf is a free text field.
@2025-03-07 10:30
Mara: The rolls are gone already. Selin says thank you.
Ivo: TODO: write the import of the old spreadsheet before the 20th of March.
Agent: The spreadsheet has 1,840 rows, and about sixty of them have no unit.
Mara: Rows without a unit count as pieces.
Ivo: Good rule. We need a login. What do you think of magic links by mail?
Mara: Half of the volunteers have no mail address on their phone.
Agent: A four digit code per kitchen, printed on the fridge, would need no mail.
Ivo: A code on the fridge is weak, but the data is only about noodles.
Mara: Let us go with the fridge code for now.
Ivo: OK. The session should last thirty days, so that nobody types it every morning.
Agent: Agreed: fridge code per kitchen, sessions of thirty days.
@2025-03-11 16:45
Ivo: The MySQL container eats 400 MB on that little server, and the machine only has two gigabytes.
Agent: SQLite would take a fraction of it for forty users.
Ivo: I thought about it over the weekend. Backups become a copy of a file.
Mara: Does that change anything for the volunteers?
Ivo: Nothing at all. We now use SQLite instead of MySQL for the database.
Agent: Understood. I will adapt the connection string and the migrations.
Mara: My sister had her baby on Sunday! A girl, Juna.
Ivo: Congratulations! Give her my best.
Agent: Congratulations to your family.
Mara: Thank you both. I am an aunt and I have not slept.
@2025-03-13 11:00
Agent: The import of the old spreadsheet is done, all 1,840 rows are in.
Ivo: Wonderful, a week early.
Mara: I checked twenty rows by hand, all of them were right, apart from the lentils.
Ivo: What is wrong with the lentils?
Mara: It shows 500 kilograms, it should be 500 grams.
Agent: The spreadsheet had the unit in a merged cell. I corrected the lentils and nine similar rows.
Mara: Thanks. Half a ton of lentils would have been a lot of soup.
Ivo: How should we warn about expiry? A mail, a colour, a push message?
Mara: A colour is enough. Yellow three days before, red on the day.
Agent: I will implement yellow at three days and red on the day itself.
@2025-03-17 09:20
Mara: I prefer short notes in the changelog, one line per change, no emojis.
Ivo: Same here.
Agent: I will keep the changelog to one line per change.
Ivo: The office got a new router, so the address of the server changed to larder.internal.
Mara: My bookmark still works, strange.
Ivo: That is the redirect, it stays until the end of April.
Mara: Kreuzberg wants to scan barcodes with the camera.
Agent: The camera needs HTTPS, and the server only has a self-signed certificate at the moment.
Ivo: Then we get a real certificate first. I will ask Tom, he runs the domain of the association.
Mara: Tom is on holiday until the 24th, hiking in Georgia.
Ivo: Then barcodes have to wait until he is back.
@2025-03-20 15:00
Ivo: Yesterday the page took nine seconds in the Wedding kitchen.
Agent: The log shows that the stock list loads every photo in full size.
Mara: The photos are mine, from the good camera, sorry.
Agent: I suggest thumbnails of 200 pixels, made once at upload.
Ivo: Do it. And lazy loading below the fold.
Agent: Thumbnails are in. The page of the Wedding kitchen now loads in 1.2 seconds.
Mara: I can confirm, even on the old tablet.
Ivo: Should we delete the originals?
Mara: No, keep them, I want to print a poster in autumn.
@2025-03-24 10:05
Mara: Tom is back and very sunburnt.
Ivo: He gave us larder.kiezkueche.example and a certificate from Let's Encrypt.
Agent: The certificate is installed and renews itself every sixty days.
Mara: So the barcodes can start?
Ivo: Yes. TODO: barcode scanning with the camera, for Kreuzberg first.
Agent: Which library should I take, zxing or quagga?
Ivo: zxing. Quagga has had no release for years.
Mara: Volunteers wear gloves, so the button must be big.
Agent: At least 64 pixels high, noted.
@2025-03-27 17:30
Ivo: Somebody guessed the fridge code of Wedding, the stock of rice was set to zero as a joke.
Mara: The code was 1234. Nobody is surprised.
Agent: I restored the rice from the backup of last night: 74 kilograms.
Ivo: The four digit code is not good enough any more.
Mara: What about a QR sticker inside the cupboard, that one scans once a month?
Agent: A sticker with a random token of 128 bits cannot be guessed.
Ivo: Agreed, from now on a QR sticker in the cupboard replaces the fridge code.
Mara: I will print the stickers at the copy shop on Saturday.
Agent: I will also limit wrong attempts to five per minute.
@2025-03-31 09:45
Mara: The stickers are up in all three kitchens, waterproof ones.
Ivo: The volunteers of Neukoelln asked for a shopping list.
Agent: A shopping list could be everything that is below its minimum.
Mara: Then each item needs a minimum. Who sets it?
Ivo: The kitchen lead. For Neukoelln that is Selin, for Wedding it is Paul, for Kreuzberg it is Anoush.
Mara: Paul wants the list printed on Thursdays, since he shops at the market on Friday morning.
Agent: I will make a page for printing, every Thursday at six in the evening.
Ivo: The printer in Wedding only understands PDF.
Agent: Then it becomes a PDF of one page.
@2025-04-03 13:15
Agent: The barcode scanner works on Anoush's phone, 18 of 20 packages were recognised.
Ivo: Which two failed?
Agent: The bulgur with the torn label and a jar of home-made ajvar without any barcode.
Mara: For ajvar there will never be a barcode, we need to enter it by hand.
Ivo: Sure, the form stays.
Mara: The budget for hosting is twelve euros a month, the board confirmed it yesterday.
Ivo: The server costs us nothing, so that pays the backup space.
Agent: Backups go to a storage box every night at three, encrypted, kept for ninety days.
Mara: Has anybody tried to restore one?
Ivo: Not yet. TODO: a restore drill before Easter.
@2025-04-08 18:00
Ivo: I ran the restore drill today: 11 minutes from an empty machine to a working page.
Mara: That calms me.
Agent: I wrote the steps down in docs/restore.md.
Mara: The summer party is on the 21st of June, could the list handle a one-time event?
Ivo: We could add a fourth kitchen called Party and delete it afterwards.
Agent: Deleting a kitchen keeps its history for a year.
Mara: Perfect. I will bring my grandmother's recipe for rhubarb cake.
Ivo: Then I bring the grill.
@2025-04-14 09:10
Mara: The board asked whether we may share the code with the food bank in Leipzig.
Ivo: I would like that. We choose the AGPL as licence, so that improvements come back.
Agent: I will add the licence text and a header to each file.
Mara: Leipzig has eleven kitchens, is that a problem?
Ivo: Not for the database. The page with all kitchens needs a search field.
Agent: I can add the search field this week.
Mara: Then let us meet Leipzig on the 6th of May, by video.
Ivo: It is in my calendar.
";

/// What one may ask about [`pantry`], and words of a turn that answers it.
pub(crate) const PANTRY_QUESTIONS: &[(&str, &[&str])] = &[
    ("What is the product called?", &["shall be Larder"]),
    ("Which database do we use now?", &["SQLite instead of MySQL", "decided to use MySQL"]),
    ("Which web framework and language is the backend written in?", &["Python with FastAPI"]),
    ("Who is allergic to raisins?", &["Selin is allergic"]),
    ("Which languages must the texts be in?", &["German and Turkish"]),
    ("How long does a login session last?", &["thirty days"]),
    ("What was wrong with the lentils?", &["should be 500 grams"]),
    ("When is an item shown in yellow or red for its expiry?", &["Yellow three days", "yellow at three days"]),
    ("How do volunteers log in since the fridge code was guessed?", &["QR sticker in the cupboard"]),
    ("Why did barcode scanning have to wait for a certificate?", &["needs HTTPS", "real certificate first"]),
    ("Which barcode library did we pick?", &["zxing. Quagga"]),
    ("How fast does the page of the Wedding kitchen load with thumbnails?", &["1.2 seconds"]),
    ("Who is the kitchen lead in Kreuzberg?", &["it is Anoush"]),
    ("How much may hosting cost a month?", &["twelve euros"]),
    ("How long did the restore drill take?", &["11 minutes"]),
    ("What is the name of Mara's niece?", &["Juna"]),
    ("Under which licence do we publish the code?", &["AGPL"]),
    ("When is the summer party?", &["21st of June"]),
    ("How long are backups kept?", &["ninety days"]),
    ("What do we do with rows that have no unit?", &["count as pieces"]),
];

/// The conversation as a `chat` array, each turn with the id `turn-<n>`, its speaker and its time.
pub(crate) fn pantry() -> Vec<Value> {
    let mut turns = Vec::new();
    let (mut day, mut minute) = (String::new(), 0);
    for line in PANTRY.lines() {
        if let Some(start) = line.strip_prefix('@') {
            let (date, time) = start.split_once(' ').unwrap();
            let (hour, first) = time.split_once(':').unwrap();
            day = date.to_owned();
            minute = hour.parse::<u32>().unwrap() * 60 + first.parse::<u32>().unwrap();
            continue;
        }
        let (name, content) = line.split_once(": ").unwrap();
        let time = format!("{day}T{:02}:{:02}:00Z", minute / 60, minute % 60);
        let role = if name == "Agent" { "assistant" } else { "user" };
        let id = format!("turn-{}", turns.len() + 1);
        turns.push(json!({"role": role, "name": name, "content": content, "timestamp": time, "id": id}));
        minute += 2;
    }
    turns
}

/// Four commits of Larder, as `git format-patch` writes them.
pub(crate) const COMMITS: [&str; 4] = [
    "\
From 4b1d0c9e7f7a2c1f0d6b8a9e5c3f1a2b4c6d8e0f Mon Sep 17 00:00:00 2001
From: Ivo <ivo@kiezkueche.example>
Date: Wed, 12 Mar 2025 20:14:00 +0000
Subject: [PATCH 1/4] db: SQLite replaces MySQL

---
 larder/db.py | 9 ++++-----
 1 file changed, 4 insertions(+), 5 deletions(-)

diff --git a/larder/db.py b/larder/db.py
index 1f2e3d4..5a6b7c8 100644
--- a/larder/db.py
+++ b/larder/db.py
@@ -1,7 +1,7 @@
-import mysql.connector
+import sqlite3
 
 
 def connect(settings):
-    return mysql.connector.connect(
-        host=settings.db_host, database=\"larder\"
-    )
+    connection = sqlite3.connect(settings.db_path)
+    connection.execute(\"PRAGMA journal_mode=WAL\")
+    return connection
-- 
2.43.0
",
    "\
From 8c2e1d0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d Mon Sep 17 00:00:00 2001
From: Ivo <ivo@kiezkueche.example>
Date: Thu, 20 Mar 2025 18:02:00 +0000
Subject: [PATCH 2/4] photos: thumbnails of 200 pixels at upload

---
 larder/photos.py | 12 ++++++++++++
 larder/templates/stock.html | 2 +-
 2 files changed, 13 insertions(+), 1 deletion(-)

diff --git a/larder/photos.py b/larder/photos.py
index 2b3c4d5..6e7f8a9 100644
--- a/larder/photos.py
+++ b/larder/photos.py
@@ -10,3 +10,15 @@ def store(upload, folder):
     path = folder / upload.filename
     path.write_bytes(upload.file.read())
     return path
+
+
+THUMBNAIL_PIXELS = 200
+
+
+def make_thumbnail(path):
+    image = Image.open(path)
+    image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
+    small = path.with_suffix(\".thumb.jpg\")
+    image.save(small, quality=80)
+    return small
+
diff --git a/larder/templates/stock.html b/larder/templates/stock.html
index 3c4d5e6..7f8a9b0 100644
--- a/larder/templates/stock.html
+++ b/larder/templates/stock.html
@@ -41,5 +41,5 @@
   {% for item in stock %}
   <li class=\"item\">
-    <img src=\"{{ item.photo }}\">
+    <img src=\"{{ item.thumbnail }}\" loading=\"lazy\">
   </li>
   {% endfor %}
-- 
2.43.0
",
    "\
From 0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e Mon Sep 17 00:00:00 2001
From: Agent <agent@kiezkueche.example>
Date: Fri, 28 Mar 2025 09:30:00 +0000
Subject: [PATCH 3/4] login: at most five wrong attempts a minute

---
 larder/login.py | 9 ++++++++-
 1 file changed, 8 insertions(+), 1 deletion(-)

diff --git a/larder/login.py b/larder/login.py
index 9a8b7c6..0f1e2d3 100644
--- a/larder/login.py
+++ b/larder/login.py
@@ -22,6 +22,11 @@ def check_sticker(token, kitchen):
     return hmac.compare_digest(token, kitchen.token)
 
 
+MAX_WRONG_PER_MINUTE = 5
+
+
 def login(request, kitchens):
-    kitchen = find_kitchen(request, kitchens)
+    if attempts.count(request.client) >= MAX_WRONG_PER_MINUTE:
+        raise TooManyAttempts(request.client)
+    kitchen = find_kitchen(request, kitchens)
     return open_session(kitchen, days=30)
-- 
2.43.0
",
    "\
From 7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f Mon Sep 17 00:00:00 2001
From: Agent <agent@kiezkueche.example>
Date: Tue, 1 Apr 2025 11:45:00 +0000
Subject: [PATCH 4/4] shopping: a PDF of what is below its minimum

---
 larder/shopping.py | 13 +++++++++++++
 1 file changed, 13 insertions(+)

diff --git a/larder/shopping.py b/larder/shopping.py
new file mode 100644
index 0000000..4d5e6f7
--- /dev/null
+++ b/larder/shopping.py
@@ -0,0 +1,13 @@
+from larder.pdf import one_page
+
+
+def below_minimum(stock):
+    return [item for item in stock if item.quantity < item.minimum]
+
+
+def shopping_list(kitchen):
+    items = below_minimum(kitchen.stock)
+    items.sort(key=lambda item: item.shelf)
+    return one_page(title=f\"Shopping for {kitchen.name}\", rows=items)
+
+
-- 
2.43.0
",
];

/// The commits as a `diffs` array, each with the id `commit-<n>`.
pub(crate) fn commits() -> Vec<Value> {
    COMMITS.iter().enumerate().map(|(no, text)| json!({"id": format!("commit-{}", no + 1), "content": text})).collect()
}

/// What one may ask about the commits, and words of the hunk that answers it.
pub(crate) const COMMIT_QUESTIONS: &[(&str, &[&str])] = &[
    ("Where do we connect to the database?", &["sqlite3.connect"]),
    ("How are photo thumbnails made?", &["def make_thumbnail"]),
    ("What limits wrong login attempts?", &["MAX_WRONG_PER_MINUTE"]),
    ("How is the shopping list put together?", &["def shopping_list"]),
    ("lazy loading of images in the stock template", &["loading=\"lazy\""]),
];

/// A morning of Larder's log; two of its events go on over several lines.
pub(crate) const LOG: &str = "\
2025-03-19 06:58:01,102 INFO larder.start: Larder 0.4.1 listens on 0.0.0.0:8000
2025-03-19 07:12:44,518 INFO larder.stock: kitchen=wedding list of 612 items in 8911 ms
2025-03-19 07:12:52,007 WARNING larder.stock: kitchen=wedding slow page: 9.1 s for /stock
2025-03-19 07:30:00,000 INFO larder.expiry: 14 items turn yellow, 3 turn red
2025-03-19 07:41:19,774 ERROR larder.mail: could not reach smtp.kiezkueche.example: connection refused
2025-03-19 07:55:02,310 ERROR larder.photos: upload of 48 MB from kitchen=kreuzberg refused
  limit is 20 MB
  client said: image/heic
2025-03-19 08:03:37,940 INFO larder.login: kitchen=neukoelln session opened for 30 days
2025-03-19 08:15:00,004 ERROR larder.backup: storage box answered 507, 0 bytes left
2025-03-19 08:15:00,009 CRITICAL larder.backup: no backup since 2025-03-17
2025-03-19 08:22:13,450 INFO larder.stock: kitchen=wedding rice set to 74 kg
";

/// What one may ask about the log, and words of the event that answers it.
pub(crate) const LOG_QUESTIONS: &[(&str, &[&str])] = &[
    ("Why did the nightly backup fail?", &["storage box answered 507", "no backup since"]),
    ("mail server connection refused", &["could not reach smtp"]),
    ("Why was the photo upload from Kreuzberg refused?", &["upload of 48 MB"]),
    ("slow stock page in Wedding", &["slow page: 9.1 s", "in 8911 ms"]),
];

/// A Python trace, as it stands in a log.
pub(crate) const PYTHON_TRACE: &str = "\
2025-04-02 10:11:12,000 ERROR larder.shopping: the shopping list of kitchen=wedding failed
Traceback (most recent call last):
  File \"/srv/larder/larder/shopping.py\", line 9, in shopping_list
    items = below_minimum(kitchen.stock)
  File \"/srv/larder/larder/shopping.py\", line 5, in below_minimum
    return [item for item in stock if item.quantity < item.minimum]
TypeError: '<' not supported between instances of 'int' and 'NoneType'
";

/// A Java trace, from the label printer.
pub(crate) const JAVA_TRACE: &str = "\
2025-04-02 18:00:03 ERROR LabelPrinter - job 311 failed
java.lang.IllegalStateException: paper tray is empty
\tat example.kiez.print.Tray.feed(Tray.java:88)
\tat example.kiez.print.LabelPrinter.print(LabelPrinter.java:141)
\tat example.kiez.print.Main.main(Main.java:22)
Caused by: java.io.IOException: sensor 2 reports no paper
\tat example.kiez.print.Sensor.read(Sensor.java:37)
\t... 3 more
";

/// A run of pytest with one failure.
pub(crate) const PYTEST: &str = "\
============================= test session starts ==============================
collected 14 items

tests/test_expiry.py ....F....                                           [ 64%]
tests/test_login.py .....                                                [100%]

=================================== FAILURES ===================================
_________________________ test_red_on_the_day_itself ___________________________

    def test_red_on_the_day_itself():
        item = Item(\"milk\", expires=date(2025, 3, 20))
>       assert colour(item, today=date(2025, 3, 20)) == \"red\"
E       AssertionError: assert 'yellow' == 'red'

tests/test_expiry.py:31: AssertionError
=========================== short test summary info ============================
FAILED tests/test_expiry.py::test_red_on_the_day_itself - AssertionError: assert 'yellow' == 'red'
========================= 1 failed, 13 passed in 0.42s =========================
";

/// The example of the interface's description.
pub(crate) fn example(thread: &str) -> Value {
    json!({
        "thread_id": thread,
        "materials": {
            "chat": "User: How do I implement authentication?\nAssistant: Use OAuth2 with a password flow and short-lived tokens.",
            "diffs": "@@ -1,5 +1,7 @@\n+from fastapi import Depends",
            "logs": "2025-01-20 10:30:00 ERROR: Authentication failed for user@example.com",
            "items": [{"kind": "decision", "title": "Use JWT", "body": "Access tokens are JWT, signed with ES256.", "tags": ["auth"]}]
        },
        "purpose": "optional free text", "observed_at": "2025-01-20T10:30:00Z", "metadata": {"repo": "api"}
    })
}

#[test]
fn the_conversation_is_long_enough_to_get_lost_in() {
    let turns = pantry();

    assert!(turns.len() >= 120, "{} turns", turns.len());
    for (question, answers) in PANTRY_QUESTIONS {
        let has = |words: &&str| turns.iter().any(|turn| turn["content"].as_str().unwrap().contains(words));
        assert!(answers.iter().all(has), "nobody answers {question}: {answers:?}");
    }
}
