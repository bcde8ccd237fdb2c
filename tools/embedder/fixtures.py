#!/usr/bin/env python3
"""Writes what the Rust tokenizer is held to, both read off the `tokenizers` library itself:

- `unicode.rs`: the ranges of code points it drops, strips as accents, or treats as punctuation;
- `wordpiece.json`: strings of our own with the pieces it cuts them into.

Nothing here is needed at run time.

    python fixtures.py --embed ../../memory/src/embed
"""

import argparse
import json
import random
import unicodedata
from pathlib import Path

from tokenizers import normalizers, pre_tokenizers

import teacher

STRINGS = [
    "", " ", "\n\t", "a", "A", "?", "Hello, world!", "hello world", "HELLO WORLD", "don't", "Don’t you think so?",
    "I've been to the pottery class on 3 July, 2023.", "What did she paint last week?", "unaffable", "embeddings",
    "antidisestablishmentarianism", "supercalifragilisticexpialidocious", "pneumonoultramicroscopicsilicovolcanoconiosis",
    "x" * 99, "x" * 100, "x" * 101, "y" * 500, "é" * 100, "é" * 101, "字" * 120, "a" * 100 + "." + "b" * 101,
    "café", "cafe\u0301", "naïve façade", "Ångström", "Crème Brûlée", "résumé", "Übergröße", "straße", "Łódź", "Ærøskøbing",
    "İstanbul", "ıstanbul", "Σίσυφος", "ΟΔΥΣΣΕΥΣ", "Ελλάδα", "Привет, мир", "ёлка", "Й й", "Україна", "Ñandú", "ñ", "n\u0303",
    "Tiếng Việt", "Đà Nẵng", "Zażółć gęślą jaźń", "příliš žluťoučký kůň", "Türkçe öğreniyorum", "čšž", "õäöü", "ﬁne ﬂow", "①②③", "½ cup",
    "中文", "我爱北京天安门", "日本語のテキスト", "カタカナ", "ひらがな", "ガギグゲゴ", "한국어 문장", "각", "mixed 中文 and English", "東京tower",
    "a中b", "〇一二", "𠀀𠀁", "豈更", "﨑", "㐀", "、。「」", "Ｆｕｌｌ　ｗｉｄｔｈ", "ﾊﾝｶｸ", "臺灣", "鬱",
    "العربية", "مُحَمَّد", "שָׁלוֹם", "עברית", "हिन्दी में", "नमस्ते", "தமிழ்", "ไทยแลนด์", "ກ", "ქართული", "Հայերեն", "አማርኛ", "বাংলা",
    "😀", "👍🏽", "👨‍👩‍👧‍👦", "🇩🇪🇫🇷", "I ❤️ you", "❤", "nice 🎉🎉 party", "☕️ coffee", "🤷‍♀️ no idea", "🥲🫠", "🪿", "☺︎", "💯%", "→ ← ↑", "✅ done", "★★★☆☆",
    "\u0000abc", "a\u0000b", "tab\tand\nnewline\rcr", "a\u000bb", "a\u000cb", "a\u001fb", "a\u007fb", "a\u0085b", "a\u00a0b", "a\u00adb", "zero\u200bwidth",
    "zwj\u200dhere", "\ufeffbom", "a\u2028b", "a\u2029b", "a\u3000b", "\ufffd", "bad \ufffd char", "a\ue000b", "\U000e0001tag", "a\u202eb", "thin\u2009space", "a\u180eb",
    "\u0301", "\u0301abc", "a\u0301\u0327", "a\u0327\u0301", "o\u0338", "≠", "q\u0307\u0323", "\u0345", "ͅ", "a\u20dd",
    "fn main() { println!(\"hi\"); }", "let x: Vec<u32> = vec![1, 2, 3];", "def f(x): return x**2", "if (a != b && c <= d) { e++; }",
    "snake_case_name", "camelCaseName", "HTTPServerError", "SCREAMING_CASE", "kebab-case", "foo.bar.baz()", "std::collections::HashMap<String, u64>",
    "src/embed/wordpiece.rs:42:7: error[E0308]", "#include <stdio.h>", "SELECT * FROM users WHERE id = 7;", "git commit -m 'fix: typo'", "$HOME/.config",
    "C:\\Windows\\System32", "https://example.org/path?q=1&r=2#frag", "user@example.org", "192.168.0.1:8080", "0xDEADBEEF", "1e-9", "3.14159", "1,234,567.89",
    "2024-02-29T12:34:56Z", "v1.2.3-rc.1+build", "+++ b/file.txt", "@@ -1,4 +1,5 @@", "- removed line", "<div class=\"a\">&amp;</div>", "{\"key\": [null, true, 1.5]}",
    "a/b\\c|d", "~`!@#$%^&*()_+-={}[]|\\:;\"'<>?,./", "…", "—dash–en", "“quoted” ‘single’", "«guillemets»", "¿Qué? ¡Sí!", "§ 5", "¶", "·", "‽", "′″", "‐‑‒", "x×y÷z", "±5°C",
    "€100 £20 ¥30 ₿1", "©®™", "∑∫√∞", "α+β=γ", "x² + y³", "H₂O", "10⁻³", "№5", "a\u0308\u0304", "㎏ ㎡", "ⅷ Ⅷ", "Ⓐ", "⁂", "※",
    "##ing", "#hashtag", "@mention", "[MASKED]", "[ CLS ]", "(parens) [brackets] {braces}", "a.b.c", "...", "!!!???", "''", "``", "don''t", "rock'n'roll", "O'Neill's",
    "it's John's", "e-mail", "well-known state-of-the-art", "U.S.A.", "Ph.D.", "3rd 21st", "$5", "50%", "a&b", "x=y", "and/or", "24/7", "9-to-5", "C++", "C#", ".NET", "node.js",
    "aaaaaaaaaaaaaaaaaaaaaaaa", "qwrtpsdfghjkl", "zzzzzz", "xyzzy plugh", "lorem ipsum dolor sit amet", "Llanfairpwllgwyngyll", "kubernetes", "PostgreSQL", "tokenization",
    "unbelievably", "reinitialisation", "hyperparameters", "misunderstandings", "counterintuitive", "photosynthesis", "LGBTQ", "COVID-19", "iPhone15", "GPT4o", "covid19vaccine",
    "The quick brown fox jumps over the lazy dog.", "Caroline: Hey Mel! Good to see you! [shared a photo of a dog walking past a wall]",
    "Speaker 1: Yeah, totally!! We're going hiking on Saturday :) wanna come??", "lol idk tbh, brb", "Sooooo goooood", "hahahaha", "nooooo wayyyyy",
    "ERROR 2024-01-01 00:00:00,123 org.apache.Foo: java.lang.NullPointerException at Foo.bar(Foo.java:12)", "blk_-1608999687919862906", "0000:00:1f.2 SATA",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "550e8400-e29b-41d4-a716-446655440000", "YWJjZGVmZ2hpamtsbW5vcA==",
    "ÀÁÂÃÄÅ àáâãäå", "ǅ ǆ Ǆ", "ẞ", "K (Kelvin)", "Å (Angstrom)", "ſ long s", "ŉ", "ΐ", "Ω", "ͺ", "ῼ", "ꙮ", "Ꭰ", "ᲀ", "𝐁𝐨𝐥𝐝 𝓼𝓬𝓻𝓲𝓹𝓽", "𐐀", "🄰", "ℵ", "ﷺ", "࠰", "᠎x", "𑁇", "⸺", "⹀", "𞤀",
]


def mixed(count: int) -> list[str]:
    """Seeded joins of the strings above, without a space as often as with one."""
    random.seed(11)
    return [random.choice(["", " "]).join(random.sample(STRINGS, 3)) for _ in range(count)]


def scalars():
    """Every code point that can stand in a Rust string."""
    return (c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF)


def ranges(holds) -> list[tuple[int, int]]:
    """The code points where `holds`, as inclusive ranges."""
    out: list[list[int]] = []
    for code in scalars():
        if holds(chr(code)):
            if out and (out[-1][1] == code - 1 or (out[-1][1] == 0xD7FF and code == 0xE000)):
                out[-1][1] = code
            else:
                out.append([code, code])
    return [(first, last) for first, last in out]


def probes():
    """The three questions asked of the library for each code point."""
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    apart = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
    cut = pre_tokenizers.BertPreTokenizer()
    return {
        "DROPPED": ("dropped from the text: control, format and private-use code points", lambda c: clean.normalize_str(f"a{c}b") == "ab"),
        "ACCENTS": ("stripped after canonical decomposition: non-spacing marks", lambda c: unicodedata.normalize("NFD", c) == c and strip.normalize_str(f"a{c}b") == "ab"),
        "PUNCTUATION": ("words of their own: punctuation", lambda c: len(cut.pre_tokenize_str(f"a{c}b")) == 3),
        "IDEOGRAPHS": ("set apart by spaces: Chinese characters", lambda c: apart.normalize_str(f"a{c}b") == f"a {c} b"),
    }


def write_tables(path: Path) -> None:
    """The ranges as a Rust module."""
    out = [
        "//! Code point ranges of the BERT text cleaning, read off the `tokenizers` library by",
        "//! `tools/embedder/fixtures.py`. Generated: change the script, not this file.",
        "//! It holds data only; `wordpiece` says what is done with it.",
        "",
    ]
    for name, (meaning, holds) in probes().items():
        found = ranges(holds)
        print(f"{name}: {len(found)} ranges")
        out.append(f"/// Inclusive ranges of code points {meaning}.")
        out.append("#[rustfmt::skip]")
        out.append(f"pub(super) const {name}: &[(u32, u32)] = &[")
        cells = [f"({first:#x}, {last:#x})," for first, last in found]
        out += ["    " + " ".join(cells[i : i + 6]) for i in range(0, len(cells), 6)]
        out += ["];", ""]
    path.write_text("\n".join(out[:-1]) + "\n")


def write_fixture(path: Path) -> None:
    """The strings and their pieces, one case a line."""
    tokenizer = teacher.tokenizer()
    strings = list(dict.fromkeys(STRINGS + mixed(40)))
    cases = [json.dumps({"text": s, "pieces": tokenizer.encode(s, add_special_tokens=False).tokens}) for s in strings]
    path.write_text("[\n" + ",\n".join(cases) + "\n]\n")
    print(f"{len(cases)} strings")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--embed", type=Path, required=True, help="the Rust module's folder")
    options = arguments.parse_args()
    (options.embed / "fixtures").mkdir(exist_ok=True)
    write_tables(options.embed / "unicode.rs")
    write_fixture(options.embed / "fixtures" / "wordpiece.json")


if __name__ == "__main__":
    main()
