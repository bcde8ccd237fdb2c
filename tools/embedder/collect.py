#!/usr/bin/env python3
"""Gathers the short texts the built-in embedder is trained on.

Downloads the packages named in `PACKAGES` with their ordinary clients (`pip download`,
`apt-get download`), unpacks them, cuts them into short texts and writes a seeded sample as
JSON lines `{"source": ..., "text": ...}`, and beside it the piece counts of *all* the text read
(the sample is too small for good frequencies).

It is not a general crawler, and it holds no text the project is measured with: the sources are
a chat collection, a question-and-answer collection, a dictionary, manuals and documentation.

    python collect.py --cache DIR --out texts.jsonl
"""

import argparse
import ast
import gzip
import html
import json
import random
import re
import subprocess
import sys
import zipfile
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import teacher
import yaml

# Package -> (registry, licence of the text taken from it). Pinned where the registry keeps old versions.
PACKAGES = {
    "chitchat-dataset==0.9.0": ("pypi", "MIT"),
    "chatterbot-corpus==1.3.3": ("pypi", "BSD-3-Clause"),
    "wordnet-base": ("debian", "WordNet 3.0 licence (permissive)"),
    "manpages": ("debian", "Linux-man-pages-copyleft and other free licences, per page"),
    "manpages-dev": ("debian", "Linux-man-pages-copyleft and other free licences, per page"),
    "git-doc": ("debian", "GPL-2"),
    "postgresql-doc-15": ("debian", "PostgreSQL"),
    "python3.11-doc": ("debian", "PSF-2.0"),
    "libpython3.11-stdlib": ("debian", "PSF-2.0"),
    "debian-reference-en": ("debian", "GPL-2+"),
    "debian-handbook": ("debian", "CC-BY-SA-3.0 or GPL-2+"),
    "gnome-user-docs": ("debian", "CC-BY-SA-3.0"),
    "libreoffice-help-en-us": ("debian", "MPL-2.0"),
}

# Source -> how many texts of it go into the sample at most.
QUOTAS = {
    "chat-turn": 28_000,
    "chat-exchange": 9_000,
    "chat-prompt": 1_000,
    "question-answer": 1_500,
    "gloss": 6_000,
    "gloss-example": 6_000,
    "manual-page": 3_000,
    "documentation": 9_000,
    "docstring": 3_000,
    "code": 2_500,
}

MAX_WORDS = 110


def fetch(cache: Path) -> tuple[Path, Path]:
    """Downloads and unpacks every package once; returns the folders of wheels and of Debian trees."""
    wheels, trees = cache / "wheels", cache / "debian"
    wheels.mkdir(parents=True, exist_ok=True)
    trees.mkdir(parents=True, exist_ok=True)
    for package, (registry, _) in PACKAGES.items():
        done = cache / f"{package}.done"
        if done.exists():
            continue
        if registry == "pypi":
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(cache), package]
            subprocess.run(command, check=True)
            stem = package.split("==")[0].replace("-", "_")
            with zipfile.ZipFile(next(cache.glob(f"{stem}-*.whl"))) as wheel:
                wheel.extractall(wheels)
        else:
            subprocess.run(["apt-get", "download", "-q", package], check=True, cwd=cache, capture_output=True)
            subprocess.run(["dpkg-deb", "-x", str(next(cache.glob(f"{package}_*.deb"))), str(trees)], check=True)
        done.touch()
    return wheels, trees


def tidy(text: str) -> str:
    """One line, single spaces, at most MAX_WORDS words."""
    return " ".join(text.split()[:MAX_WORDS])


def chat(wheels: Path):
    """Turns of people chatting, each turn's messages joined, and pairs of turns that follow each other."""
    talks = json.loads((wheels / "chitchat_dataset" / "dataset.json").read_text("utf-8"))
    for talk in talks.values():
        if talk.get("prompt"):
            yield "chat-prompt", talk["prompt"]
        turns = [" ".join(message["text"].strip() for message in turn) for turn in talk["messages"]]
        for turn in turns:
            if len(turn.split()) >= 5:
                yield "chat-turn", turn
        for before, after in zip(turns, turns[1:]):
            if 10 <= len(before.split()) + len(after.split()) <= 80:
                yield "chat-exchange", f"{before}\n{after}"


def questions(wheels: Path):
    """Questions, answers, and both together."""
    for path in sorted((wheels / "chatterbot_corpus" / "data" / "english").glob("*.yml")):
        for pair in yaml.safe_load(path.read_text("utf-8"))["conversations"]:
            pair = [str(side) for side in pair]
            for text in [*pair, "\n".join(pair)]:
                if len(text.split()) >= 3:
                    yield "question-answer", text


def glosses(trees: Path):
    """WordNet's definitions ("word: gloss") and its example sentences."""
    for path in sorted((trees / "usr/share/wordnet").glob("data.*")):
        for line in path.read_text("utf-8", "replace").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue
            fields, gloss = line.split("|", 1)
            words = fields.split()
            count = int(words[3], 16)
            names = ", ".join(word.split("(")[0].replace("_", " ") for word in words[4 : 4 + 2 * count : 2])
            meaning = re.split(r';\s*"', gloss)[0].strip()
            yield "gloss", f"{names}: {meaning}"
            for example in re.findall(r'"([^"]{15,})"', gloss):
                yield "gloss-example", example


def manual_pages(trees: Path):
    """Paragraphs of manual pages, roff requests and font escapes taken out."""
    for path in sorted((trees / "usr/share/man").glob("man*/*.gz")):
        roff = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        for block in re.split(r"(?m)^\.(?:PP|P|LP|TP|IP|SH|SS)\b.*$", roff):
            lines = [re.sub(r"^\.(?:B|I|BR|IR|RB|RI|BI|IB)\s+", "", line) for line in block.splitlines()]
            text = " ".join(line for line in lines if not line.startswith((".", "'")))
            text = re.sub(r"\\f[A-Z(]|\\&|\\c", "", text)
            text = re.sub(r"\\\((?:aq|cq|oq|dq|lq|rq)", "'", text).replace("\\-", "-").replace("\\e", "\\")
            if len(text.split()) >= 8 and "\\\"" not in text:
                yield "manual-page", text


class Paragraphs(HTMLParser):
    """Collects the text of paragraph-like elements."""

    BLOCKS = frozenset({"p", "li", "dd", "dt", "h1", "h2", "h3", "td"})

    def __init__(self) -> None:
        super().__init__()
        self.out: list[str] = []
        self.now: list[str] = []
        self.skip = 0

    def flush(self) -> None:
        self.out.append("".join(self.now))
        self.now = []

    def handle_starttag(self, tag, attrs) -> None:
        if tag in ("pre", "script", "style"):
            self.skip += 1
        if tag in self.BLOCKS:
            self.flush()

    def handle_endtag(self, tag) -> None:
        if tag in ("pre", "script", "style"):
            self.skip = max(0, self.skip - 1)
        if tag in self.BLOCKS:
            self.flush()

    def handle_data(self, data) -> None:
        if not self.skip:
            self.now.append(data)


def documentation(trees: Path):
    """Paragraphs of the HTML (and Mallard) manuals, English only."""
    roots = [
        "usr/share/doc/git-doc",
        "usr/share/doc/postgresql-doc-15/html",
        "usr/share/doc/python3.11/html",
        "usr/share/debian-reference",
        "usr/share/doc/debian-handbook/html/en-US",
        "usr/share/libreoffice/help/en-US/text",
        "usr/share/help/C",
    ]
    for root in roots:
        paths = [p for p in (trees / root).rglob("*") if p.suffix in (".html", ".page") and p.is_file()]
        for path in sorted(paths):
            if "/RelNotes/" in str(path) or "whatsnew" in str(path):
                continue
            parser = Paragraphs()
            parser.feed(path.read_text("utf-8", "replace"))
            for text in parser.out:
                if 8 <= len(text.split()) <= 2 * MAX_WORDS:
                    yield "documentation", html.unescape(text)


def code(trees: Path):
    """Docstrings of Python's standard library, and the first lines of its functions."""
    for path in sorted(p for p in (trees / "usr/lib/python3.11").rglob("*.py") if p.is_file()):
        source = path.read_text("utf-8", "replace")
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
                continue
            doc = ast.get_docstring(node)
            if doc and len(doc.split()) >= 5:
                yield "docstring", doc
            start, end = node.lineno - 1, node.end_lineno or node.lineno
            if not isinstance(node, ast.ClassDef) and end - start >= 4:
                yield "code", "\n".join(lines[start : min(end, start + 14)])


def read_all(wheels: Path, trees: Path) -> dict[str, list[str]]:
    """Every distinct text by source, in a fixed order."""
    by_source: dict[str, dict[str, None]] = {source: {} for source in QUOTAS}
    for reader in (chat(wheels), questions(wheels), glosses(trees), manual_pages(trees), documentation(trees), code(trees)):
        for source, text in reader:
            by_source[source].setdefault(tidy(text))
    return {source: list(texts) for source, texts in by_source.items()}


def piece_counts(texts: dict[str, list[str]]) -> Counter:
    """How often each of the teacher's word pieces occurs in all the text read."""
    tokenizer = teacher.tokenizer()
    counts: Counter = Counter()
    for source, some in texts.items():
        if source == "chat-exchange":  # the same words as the turns
            continue
        for encoding in tokenizer.encode_batch(some, add_special_tokens=False):
            counts.update(encoding.ids)
    return counts


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cache", type=Path, required=True, help="folder for downloads")
    arguments.add_argument("--out", type=Path, required=True, help="the sample, as JSON lines")
    arguments.add_argument("--scale", type=float, default=1.0, help="multiplies every quota")
    options = arguments.parse_args()

    wheels, trees = fetch(options.cache)
    texts = read_all(wheels, trees)
    chosen = random.Random(7)
    with options.out.open("w", encoding="utf-8") as out:
        for source, quota in QUOTAS.items():
            some = texts[source]
            picked = chosen.sample(some, min(int(quota * options.scale), len(some)))
            print(f"{source:16} {len(picked):6} of {len(some):7}")
            for text in picked:
                out.write(json.dumps({"source": source, "text": text}, ensure_ascii=False) + "\n")
    counts = piece_counts(texts)
    options.out.with_suffix(".counts.json").write_text(json.dumps(counts))
    print(f"{sum(counts.values())} word pieces counted, {len(counts)} distinct")


if __name__ == "__main__":
    main()
