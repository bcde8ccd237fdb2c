#!/usr/bin/env python3
"""Measures a model file on LoCoMo: recall@10 of the model alone, of BM25 alone, and of the ranker.

This is also the readable reference of the ranker's features: one function per feature group, each
giving an array over a conversation's turns, and one table of weights. The conversations are not
part of the project (CC BY-NC): give their folder with `--locomo`.

    python evaluate.py --model static-minilm-256.bin --locomo DIR [--features out.json]

`--features` writes, per conversation and question, the ranker's ten best turns with their scores,
for checking another implementation against this one.
"""

import argparse
import json
import math
import re
import struct
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import snowballstemmer

import teacher

WEIGHTS = {
    "p": -0.05,
    "p2": 0.90,
    "b": 0.0105,
    "p_before": -0.40,
    "b_before": 0.01,
    "p_session": 0.25,
    "idf_near": 0.35,
    "idf_session": 0.15,
    "speaker": 0.22,
    "speaker_self": 0.08,
    "asks": -0.04,
    "answers": 0.045,
    "time": 0.13,
    "names": 0.035,
    "month": 0.28,
    "days_after": 0.26,
}
K1, LENGTH_SHARE = 0.9, 0.2

# The full English stop list of Snowball / NLTK, contractions in the forms the word pattern leaves.
STOP = frozenset("""
i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its
itself they them their theirs themselves what which who whom this that these those am is are was were be been being have
has had having do does did doing would should could ought can will just don now a an the and but if or because as until
while of at by for with about against between into through during before after above below to from up down in out on off
over under again further then once here there when where why how all any both each few more most other some such no nor
not only own same so than too very s t d ll m o re ve y ain aren couldn didn doesn hadn hasn haven isn ma mightn mustn
needn shan shouldn wasn weren won wouldn i'm you're he's she's it's we're they're i've you've we've they've i'd you'd
he'd she'd we'd they'd i'll you'll he'll she'll we'll they'll isn't aren't wasn't weren't hasn't haven't hadn't doesn't
don't didn't won't wouldn't shan't shouldn't can't cannot couldn't mustn't let's that's who's what's here's there's
when's where's why's how's
""".split())

MONTHS = "january february march april may june july august september october november december".split()
MONTH = "(?:" + "|".join(MONTHS) + ")"
TIME_WORD = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|last|next|week|weeks|weekend|month|months|year|years|day|days|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday|morning|evening|night|recently|since|soon|"
    r"january|february|march|april|june|july|august|september|october|november|december|\d{4})\b",
    re.IGNORECASE,
)
ASKS_TIME = re.compile(r"\b(?:when|how long|how many (?:days|weeks|months|years)|(?:what|which) (?:date|day|month|year|time))\b", re.IGNORECASE)
ABOUT_SELF = re.compile(r"\b(?:I|I'm|I've|I'd|I'll|my|My|we|We|we're|we've)\b")

STEM = snowballstemmer.stemmer("english")


@dataclass
class Turn:
    """One item: who said what, when, and in which session."""

    id: str
    speaker: str
    text: str
    session: int
    day: date


@dataclass
class Question:
    text: str
    evidence: list[str]
    category: int


class Model:
    """The model file, read as the server reads it."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        assert data[:8] == b"CMGEMB01", "not a model file"
        at = 8
        (length,) = struct.unpack_from("<I", data, at)
        self.header = json.loads(data[at + 4 : at + 4 + length])
        at += 4 + length
        (length,) = struct.unpack_from("<I", data, at)
        at += 4 + length
        count, dims = self.header["vocab"], self.header["dims"]
        scales = np.frombuffer(data, "<f4", count, at)
        rows = np.frombuffer(data, np.int8, count * dims, at + 4 * count).reshape(count, dims)
        self.rows = rows.astype(np.float32) * scales[:, None]
        self.tokenizer = teacher.tokenizer()

    def embed(self, texts: list[str]) -> np.ndarray:
        """Un-normalised sums of rows."""
        out = np.zeros((len(texts), self.header["dims"]), np.float32)
        for row, encoding in enumerate(self.tokenizer.encode_batch(texts, add_special_tokens=False)):
            if encoding.ids:
                out[row] = self.rows[encoding.ids].sum(0)
        return out


def load(path: Path) -> tuple[list[Turn], list[Question]]:
    """A conversation's turns in order, and its questions of categories 1-4 that have evidence."""
    data = json.loads(path.read_text("utf-8"))
    turns: list[Turn] = []
    numbers = sorted(int(key.split("_")[1]) for key in data if re.fullmatch(r"session_\d+", key))
    for number in numbers:
        day = datetime.strptime(data[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y").date()
        for turn in data[f"session_{number}"]:
            caption = f" [shared {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            turns.append(Turn(turn["dia_id"], turn["speaker"], turn["text"] + caption, number, day))
    known = {turn.id for turn in turns}
    questions = [
        Question(q["question"], cited(q["evidence"], known), q["category"])
        for q in data["qa"]
        if q["category"] in (1, 2, 3, 4)
    ]
    return turns, [q for q in questions if q.evidence]


def cited(evidence: list[str], known: set[str]) -> list[str]:
    """The turns cited; some entries hold several ids in one string."""
    return [e for e in re.findall(r"D\d+:\d+", " ".join(evidence)) if e in known]


def terms(text: str) -> list[str]:
    """Stems of a text's words: lower case, `'s` stripped, stop words left out."""
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'"))
    words = [re.sub(r"'s$", "", word) for word in words if word not in STOP]
    return STEM.stemWords([word for word in words if word and word not in STOP])


def without_names(question: str, names: set[str]) -> str:
    """The question without the speakers' names (and their possessive 's)."""
    for name in names:
        question = re.sub(rf"\b{re.escape(name)}\b(?:['’]s)?", "", question, flags=re.IGNORECASE)
    return " ".join(question.split())


class Thread:
    """Everything about one conversation's turns that does not depend on the question."""

    def __init__(self, turns: list[Turn], model: Model) -> None:
        self.turns, self.model = turns, model
        self.names = {turn.speaker for turn in turns}
        count = len(turns)
        session = np.array([turn.session for turn in turns])
        self.sessions = [np.flatnonzero(session == number) for number in np.unique(session)]
        # Index of the item before inside the session, or -1.
        self.before = np.array([i - 1 if i and session[i] == session[i - 1] else -1 for i in range(count)])

        u = model.embed([f"{turn.speaker}: {turn.text}" for turn in turns])
        self.u = u
        self.norm = np.linalg.norm(u, axis=1)
        self.norm2 = np.linalg.norm(u + self.of_before(u), axis=1)

        self.words = [Counter(terms(f"{t.text} {t.day.day} {MONTHS[t.day.month - 1]} {t.day.year}")) for t in turns]
        self.length = np.array([sum(words.values()) for words in self.words], float)
        self.seen = Counter(word for words in self.words for word in words)

        texts = [turn.text for turn in turns]
        self.self_told = np.array([bool(ABOUT_SELF.search(text)) for text in texts], float)
        # The words said, not the caption behind them, decide whether an item asks.
        said = [re.sub(r" \[shared [^\]]*\]$", "", text).rstrip() for text in texts]
        self.asks = np.array([text.endswith("?") for text in said], float)
        self.answers = self.of_before(np.array(["?" in text for text in texts], float))
        self.time_word = np.array([bool(TIME_WORD.search(text)) for text in texts], float)
        self.capitals = np.array([min(capitalised(text), 3) / 3 for text in texts])

    def of_before(self, values: np.ndarray) -> np.ndarray:
        """Each item's value of the item before it in its session; 0 at a session's start."""
        out = np.zeros_like(values)
        has = self.before >= 0
        out[has] = values[self.before[has]]
        return out

    def idf(self, word: str) -> float:
        """Lucene's."""
        return math.log(1 + (len(self.turns) - self.seen[word] + 0.5) / (self.seen[word] + 0.5))

    def bm25(self, query: list[str]) -> np.ndarray:
        """Raw BM25 of every item, with the factor (k1 + 1)."""
        out = np.zeros(len(self.turns))
        shrink = K1 * (1 - LENGTH_SHARE + LENGTH_SHARE * self.length / self.length.mean())
        for word in query:
            count = np.array([words[word] for words in self.words], float)
            out += self.idf(word) * count * (K1 + 1) / (count + shrink)
        return out

    def idf_found(self, query: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Share of the question's idf found in the items -2..+1, and in the whole session."""
        near, wide = np.zeros(len(self.turns)), np.zeros(len(self.turns))
        whole = sum(self.idf(word) for word in query)
        if not whole:
            return near, wide
        for word in query:
            has = np.array([word in words for words in self.words], float)
            for items in self.sessions:
                wide[items] += self.idf(word) / whole * has[items].max()
                for i in items:
                    window = has[max(i - 2, items[0]) : min(i + 1, items[-1]) + 1]
                    near[i] += self.idf(word) / whole * window.max()
        return near, wide

    def best_other(self, p: np.ndarray) -> np.ndarray:
        """The best value among the session's other items; 0 when there are none."""
        out = np.zeros_like(p)
        for items in self.sessions:
            for i in items:
                others = items[items != i]
                out[i] = p[others].max() if len(others) else 0.0
        return out

    def speaker(self, question: str) -> np.ndarray:
        """1 for the items of the only speaker the question names."""
        named = [name for name in self.names if re.search(rf"\b{re.escape(name)}\b", question, re.IGNORECASE)]
        if len(named) != 1:
            return np.zeros(len(self.turns))
        return np.array([turn.speaker == named[0] for turn in self.turns], float)

    def month(self, question: str) -> np.ndarray:
        """1 for the items inside the month (and year, if told) the question names."""
        found = re.search(rf"\b({MONTH})\b(?:\s+\d{{1,2}}(?:st|nd|rd|th)?\b)?,?\s*(?:of\s+)?(\d{{4}})?", question, re.IGNORECASE)
        # "may" is mostly the verb; as a month it is capitalised.
        if not found or found.group(1) == "may":
            return np.zeros(len(self.turns))
        month, year = MONTHS.index(found.group(1).lower()) + 1, found.group(2)
        return np.array([t.day.month == month and (year is None or t.day.year == int(year)) for t in self.turns], float)

    def days_after(self, question: str) -> np.ndarray:
        """1 for the items 0-7 days after the date the question names."""
        day = named_date(question)
        if day is None:
            return np.zeros(len(self.turns))
        return np.array([day <= turn.day <= day + timedelta(days=7) for turn in self.turns], float)

    def cosines(self, question: str) -> tuple[np.ndarray, np.ndarray]:
        """P and P2 from one scan: a pair's vector is the sum of its items' vectors."""
        q = self.model.embed([without_names(question, self.names)])[0]
        q = q / max(float(np.linalg.norm(q)), 1e-12)
        d = self.u @ q
        return d / np.maximum(self.norm, 1e-12), (d + self.of_before(d)) / np.maximum(self.norm2, 1e-12)

    def features(self, question: str) -> dict[str, np.ndarray]:
        """All sixteen features of every item."""
        p, p2 = self.cosines(question)
        query = sorted(set(terms(question)))
        b = self.bm25(query)
        near, wide = self.idf_found(query)
        speaker = self.speaker(question)
        return {
            "p": p,
            "p2": p2,
            "b": b,
            "p_before": self.of_before(p),
            "b_before": self.of_before(b),
            "p_session": self.best_other(p),
            "idf_near": near,
            "idf_session": wide,
            "speaker": speaker,
            "speaker_self": speaker * self.self_told,
            "asks": self.asks,
            "answers": self.answers,
            "time": self.time_word * bool(ASKS_TIME.search(question)),
            "names": self.capitals,
            "month": self.month(question),
            "days_after": self.days_after(question),
        }


def capitalised(text: str) -> int:
    """Capitalised words inside sentences (not at a sentence's start), "I" left out."""
    return len(re.findall(r"(?<=[\w,;:'’\")] )(?!I\b)[A-Z]\w+", text))


def named_date(question: str) -> date | None:
    """The full date a question names ("12 May, 2023", "May 12, 2023"), if any."""
    found = re.search(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+({MONTH}),?\s+(\d{{4}})", question, re.IGNORECASE)
    if found:
        day, month, year = found.groups()
    else:
        found = re.search(rf"\b({MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})", question, re.IGNORECASE)
        if not found:
            return None
        month, day, year = found.groups()
    try:
        return date(int(year), MONTHS.index(month.lower()) + 1, int(day))
    except ValueError:
        return None


def top(scores: np.ndarray, count: int = 10) -> np.ndarray:
    """The best items; ties go to the earlier one."""
    return np.lexsort((np.arange(len(scores)), -scores))[:count]


def recall(thread: Thread, question: Question, scores: np.ndarray) -> float:
    """Share of the question's evidence among the ten best."""
    best = {thread.turns[i].id for i in top(scores)}
    return sum(e in best for e in question.evidence) / len(question.evidence)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--locomo", type=Path, required=True, help="folder of conversations")
    arguments.add_argument("--features", type=Path, help="write the ranker's best ten per question here")
    options = arguments.parse_args()

    model = Model(options.model)
    rankers = ("model alone", "BM25 alone", "ranker")
    everything = {name: [] for name in rankers}
    written = {}
    print("R@10            " + "".join(f"{name:>14}" for name in rankers))
    for path in sorted(options.locomo.glob("*.json")):
        turns, questions = load(path)
        thread = Thread(turns, model)
        here = {name: [] for name in rankers}
        for question in questions:
            features = thread.features(question.text)
            score = sum(WEIGHTS[name] * values for name, values in features.items())
            for name, values in zip(rankers, (features["p"], features["b"], score)):
                here[name].append(recall(thread, question, values))
            best = top(score)
            written.setdefault(path.stem, []).append(
                {"question": question.text, "top": [[turns[i].id, round(float(score[i]), 5)] for i in best]}
            )
        print(f"{path.stem:6} {len(questions):4} q   " + "".join(f"{100 * np.mean(here[name]):14.1f}" for name in rankers))
        for name in rankers:
            everything[name] += here[name]
    print(f"all    {len(everything['ranker']):4} q   " + "".join(f"{100 * np.mean(everything[name]):14.1f}" for name in rankers))
    if options.features:
        options.features.write_text(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
