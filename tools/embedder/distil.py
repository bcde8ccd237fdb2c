#!/usr/bin/env python3
"""Distils the teacher into one vector per word piece, and writes the model file.

A text's vector is the sum of its word pieces' vectors. The start is each piece alone through the
teacher, projected on the main directions of the teacher's sentence vectors and weighted by
frequency (SIF); then the bag is trained towards the teacher's sentence vectors.

It neither gathers text (`collect.py`) nor judges the result (`evaluate.py`).

    python distil.py --texts texts.jsonl --work DIR --out static-minilm-256.bin

`--work` keeps the teacher's vectors, the slow part, between runs.
"""

import argparse
import json
import struct
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import teacher

MAGIC = b"CMGEMB01"
DIMS = 256
SIF = 3e-5
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
EPOCHS, BATCH, RATE, WARM_UP, TEMPERATURE = 10, 1024, 1e-3, 100, 0.05
LONGEST = teacher.MAX_TOKENS - 2


def vocabulary() -> list[str]:
    """The word pieces in the order of their ids."""
    pieces = teacher.tokenizer().get_vocab()
    return sorted(pieces, key=pieces.__getitem__)


def spoken(vocab: list[str]) -> np.ndarray:
    """True for the pieces a text can hold: neither a special nor an unused one."""
    return np.array([piece not in SPECIAL and not piece.startswith("[unused") for piece in vocab])


def remembered(path: Path, make) -> np.ndarray:
    """The array kept at `path`, or `make()` kept there."""
    if not path.exists():
        np.save(path, make())
    return np.load(path)


def teach(work: Path, texts: Path) -> tuple[list[list[int]], np.ndarray, np.ndarray]:
    """The texts' word pieces, the teacher's vectors of the texts, and of every piece alone."""
    work.mkdir(parents=True, exist_ok=True)
    with texts.open(encoding="utf-8") as stream:
        lines = [json.loads(line)["text"] for line in stream]
    ids = [e.ids for e in teacher.tokenizer().encode_batch(lines, add_special_tokens=False)]
    start = time.time()

    def report(done: int) -> None:
        print(f"\r{done} texts in {time.time() - start:.0f} s", end="", flush=True)

    size = len(vocabulary())
    pieces = remembered(work / "pieces.npy", lambda: teacher.embed([[i] for i in range(size)], report=report))
    sentences = remembered(work / f"{texts.stem}.npy", lambda: teacher.embed(ids, report=report))
    print()
    assert len(sentences) == len(ids), "texts changed: remove the kept vectors"
    return ids, sentences, pieces


def frequency(counts_file: Path, size: int) -> np.ndarray:
    """Each piece's share of all pieces read."""
    counts = np.zeros(size)
    for piece, count in json.loads(counts_file.read_text()).items():
        counts[int(piece)] = count
    return counts / counts.sum()


def start_rows(sentences: np.ndarray, pieces: np.ndarray, share: np.ndarray, usable: np.ndarray):
    """The bare start: rows before training, and the basis they live in ([384, DIMS])."""
    _, strength, directions = np.linalg.svd(sentences - sentences.mean(0), full_matrices=False)
    energy = np.square(strength)
    print(f"{DIMS} directions keep {energy[:DIMS].sum() / energy.sum():.3f} of the sentences' energy")
    basis = directions[:DIMS].T
    rows = (pieces - pieces[usable].mean(0)) @ basis
    rows *= (SIF / (SIF + share))[:, None]
    rows[~usable] = 0.0
    return rows.astype(np.float32), basis.astype(np.float32)


def _unit(x):
    return x / jnp.sqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)


def loss_of(rows, ids, target, kl_weight):
    """Cosine loss, plus the symmetric KL between the batch's likeness rows, diagonals left out."""
    bag = _unit(rows[ids].sum(1))
    target = _unit(target)
    cosine = 1.0 - (bag * target).sum(-1).mean()
    itself = jnp.eye(len(ids)) * 1e9
    ours = jax.nn.log_softmax(bag @ bag.T / TEMPERATURE - itself, -1)
    theirs = jax.nn.log_softmax(target @ target.T / TEMPERATURE - itself, -1)
    apart = (jnp.exp(theirs) - jnp.exp(ours)) * (theirs - ours)
    return cosine + kl_weight * apart.sum(-1).mean()


@partial(jax.jit, donate_argnums=(0, 1, 2))
def step(rows, mean, square, ids, target, number, rate, kl_weight):
    """One step of Adam over the whole table; the last row is padding and stays zero."""
    value, slope = jax.value_and_grad(loss_of)(rows, ids, target, kl_weight)
    slope = slope.at[-1].set(0.0)
    mean = 0.9 * mean + 0.1 * slope
    square = 0.999 * square + 0.001 * jnp.square(slope)
    move = (mean / (1 - 0.9**number)) / (jnp.sqrt(square / (1 - 0.999**number)) + 1e-8)
    return rows - rate * move, mean, square, value


def train(rows: np.ndarray, ids: list[list[int]], target: np.ndarray, epochs: int, kl_weight: float) -> np.ndarray:
    """Trains the rows as a bag, on batches in a seeded random order; what is left over an epoch waits for the next."""
    padding = len(rows)
    table = jnp.asarray(np.vstack([rows, np.zeros((1, DIMS), np.float32)]))
    mean, square = jnp.zeros_like(table), jnp.zeros_like(table)
    usable = [i for i, pieces in enumerate(ids) if pieces]
    random = np.random.default_rng(7)
    steps, number = epochs * (len(usable) // BATCH), 0
    for epoch in range(epochs):
        start, total = time.time(), 0.0
        order = random.permutation(usable)
        for at in range(0, len(order) - BATCH + 1, BATCH):
            number += 1
            rate = RATE * min(number / WARM_UP, 1.0) * (1.0 - max(number - WARM_UP, 0) / max(steps - WARM_UP, 1))
            some = order[at : at + BATCH]
            block = np.full((BATCH, LONGEST), padding, np.int32)
            for row, i in enumerate(some):
                pieces = ids[i][:LONGEST]
                block[row, : len(pieces)] = pieces
            table, mean, square, value = step(table, mean, square, block, target[some], number, rate, kl_weight)
            total += float(value)
        print(f"epoch {epoch + 1}: loss {total / (len(order) // BATCH):.4f}, {time.time() - start:.0f} s", flush=True)
    return np.array(table[:-1])


def write(path: Path, vocab: list[str], rows: np.ndarray) -> None:
    """The model file: magic, JSON header, vocabulary, a scale per row, rows of i8. Little endian."""
    scales = np.abs(rows).max(1) / 127.0
    whole = np.rint(rows / np.where(scales > 0, scales, 1.0)[:, None]).astype(np.int8)
    header = json.dumps({
        "id": f"static-minilm-{DIMS}",
        "dims": DIMS,
        "vocab": len(vocab),
        "lowercase": True,
        "teacher": "sentence-transformers/all-MiniLM-L6-v2",
        "license": "Apache-2.0",
    }).encode()
    words = "".join(f"{piece}\n" for piece in vocab).encode()
    with path.open("wb") as out:
        out.write(MAGIC)
        out.write(struct.pack("<I", len(header)) + header)
        out.write(struct.pack("<I", len(words)) + words)
        out.write(scales.astype("<f4").tobytes())
        out.write(whole.tobytes())
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--texts", type=Path, required=True, help="from collect.py")
    arguments.add_argument("--work", type=Path, required=True, help="keeps the teacher's vectors")
    arguments.add_argument("--out", type=Path, required=True, help="the model file")
    arguments.add_argument("--epochs", type=int, default=EPOCHS, help="0 writes the bare start")
    arguments.add_argument("--kl", type=float, default=1.0, help="weight of the KL beside the cosine loss")
    options = arguments.parse_args()

    vocab = vocabulary()
    ids, sentences, pieces = teach(options.work, options.texts)
    share = frequency(options.texts.with_suffix(".counts.json"), len(vocab))
    rows, basis = start_rows(sentences, pieces, share, spoken(vocab))
    if options.epochs:
        rows = train(rows, ids, sentences @ basis, options.epochs, options.kl)
        rows[~spoken(vocab)] = 0.0
    write(options.out, vocab, rows)


if __name__ == "__main__":
    main()
