"""Trains the head of the scorer `grammar`, and measures it on texts that it did not learn from."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
import xxhash

from curate import CurateError
from curate.draw import draw
from curate.facts.grammar import grammaticality
from curate.facts.heads import TOWER, Head
from curate.recipe import GrammarHead
from curate.texts.corrupting import CORRUPTIONS, corrupted, folded, one_of_five

LEAST = 20
"""Texts of each part, without which nothing is learned or measured."""
Texts = Mapping[str, str]
"""The text, by itself folded."""


class GrammarError(CurateError, ValueError):
    """Texts from which no head can be learned; the message says how many are wanted."""


class Embeds(Protocol):
    """What is asked of a `curate.models.Clip`."""

    def text_embeddings(self, texts: list[str]) -> np.ndarray: ...


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """How well a head tells texts from corruptions of them that it has not learned from, nor from the texts themselves."""

    auroc: float
    """Chance that a text has a greater answer than a corruption, ties counting half."""
    auroc_of: dict[str, float]
    """The same for each corruption."""
    texts: int
    corruptions: int


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What is written beside a head's weights."""

    head_sha256: str
    tower: str
    """Revision of the model whose text embeddings it takes; others are refused."""
    model: dict[str, Any]
    """What that model is, as the manifests of its scores say."""
    settings: dict[str, Any]
    seed: int
    source: str
    account: dict[str, int]
    training_texts: int
    training_corruptions: int
    training_fingerprint: str
    """xxh3-128 of the training texts, folded, in order, a line each."""
    held_out_fingerprint: str
    held_out: Measured
    training_auroc: float
    """On what it learned from: far above that of the held-out part, it has learned by heart."""
    code: str


def parted(texts: Texts, share: float, seed: int) -> tuple[dict[str, str], dict[str, str]]:
    """(to learn from, held out), by hash of the folded text. GrammarError where either is too small."""
    names = sorted(texts)
    out = draw(seed, "grammar held out", names) < share
    parts: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for name, held in zip(names, out.tolist(), strict=True):
        parts[held][name] = texts[name]
    for part, what in zip(parts, ("to learn from", "held out"), strict=True):
        if len(part) < LEAST:
            raise GrammarError(
                f"{len(part)} texts {what} of {len(names)}, and at least {LEAST} are wanted: give more texts, or another "
                "grammar_head.held_out (share) or grammar_head.min_words"
            )
    return parts


def corruptions(
    texts: Texts, seed: int, purpose: str, good: Collection[str], kinds: Collection[str] | None = None
) -> dict[str, list[str]]:
    """Corruptions by kind: of each text one, drawn; or one of each of `kinds`. What is inserted is from `texts` too.

    None is, folded, one of `good`.
    """
    donors = list(texts.values())
    made: dict[str, list[str]] = {kind: [] for kind in CORRUPTIONS}
    for name, text in texts.items():
        for kind in kinds or (one_of_five(seed, name, purpose),):
            bad = corrupted(text, kind, seed=seed, uid=name, purpose=purpose, donors=donors, good=good)
            if bad is not None:
                made[kind].append(bad)
    return made


def embedded(clip: Embeds, texts: list[str]) -> np.ndarray:
    """Embeddings as scores keep them and the scorer reads them: float16."""
    return clip.text_embeddings(texts).astype(np.float16)


def fit(good: np.ndarray, bad: np.ndarray, settings: GrammarHead, seed: int, tower: str) -> Head:
    """A head that tells embeddings of texts from those of corruptions (float16, shape (n, d)): linear, ReLU, linear.

    Cross-entropy with both sides of one weight, AdamW on a CPU. The inputs, which have length 1, are standardised; that is folded into the
    first layer afterwards.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    inputs = torch.from_numpy(np.concatenate([good, bad]))
    labels = torch.cat([torch.ones(len(good)), torch.zeros(len(bad))])
    mean, spread = _moments(inputs)
    first, last = torch.nn.Linear(inputs.shape[1], settings.hidden), torch.nn.Linear(settings.hidden, 1)
    with torch.no_grad():
        for layer in (first, last):
            bound = layer.in_features**-0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)
    network = torch.nn.Sequential(first, torch.nn.ReLU(), last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    weight = torch.tensor([len(bad) / len(good)])
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(inputs), generator=generator).split(settings.batch_size):
            answers = network((unit(inputs[rows]) - mean) / spread)[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(answers, labels[rows], pos_weight=weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        scaled = first.weight / spread
        pairs = [(scaled, first.bias - scaled @ mean), (last.weight, last.bias)]
        return Head([(one.numpy().copy(), other.numpy().copy()) for one, other in pairs], "relu", tower)


def unit(vectors: Any) -> Any:
    """Tensor of float16 vectors as float32 of length 1, as `curate.facts.heads.Head` sees them."""
    import torch

    return torch.nn.functional.normalize(vectors.float(), dim=-1)


def _moments(inputs: Any, block: int = 65_536) -> tuple[Any, Any]:
    """Mean and standard deviation of each dimension at length 1, a block at a time."""
    import torch

    total, squares = (torch.zeros(inputs.shape[1], dtype=torch.float64) for _ in range(2))
    for rows in inputs.split(block):
        values = unit(rows).double()
        total += values.sum(dim=0)
        squares += values.square().sum(dim=0)
    mean = total / len(inputs)
    spread = (squares / len(inputs) - mean.square()).clamp(min=0).sqrt()
    return mean.float(), (spread + 1e-6).float()


def auroc(good: np.ndarray, bad: np.ndarray) -> float:
    """Area under the ROC curve of answers, shapes (n,) and (m,): Mann and Whitney's U over n m."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(good, bad, method="asymptotic").statistic / (len(good) * len(bad)))


def measure(head: Head, good: np.ndarray, bad: Mapping[str, np.ndarray]) -> Measured:
    """From embeddings of texts, and of corruptions by kind."""
    answers = grammaticality(good, head)
    of = {kind: grammaticality(vectors, head) for kind, vectors in bad.items() if len(vectors)}
    every = np.concatenate(list(of.values()))
    return Measured(
        auroc=auroc(answers, every),
        auroc_of={kind: auroc(answers, found) for kind, found in of.items()},
        texts=len(answers),
        corruptions=len(every),
    )


def learn(texts: Texts, clip: Embeds, tower: str, settings: GrammarHead, seed: int) -> tuple[Head, dict[str, Any]]:
    """The head, and what its card says of the training. Raises GrammarError.

    Held out are texts: neither they nor anything made of them is learned from, their insertions are from held-out texts, and a corruption
    that is one of those learned from, or a text, is left out.
    """
    learned, held = parted(texts, settings.held_out, seed)
    rounds = [corruptions(learned, seed, f"grammar {turn}", texts) for turn in range(settings.draws)]
    wrong = [bad for made in rounds for some in made.values() for bad in some]
    known = {*texts, *(folded(bad) for bad in wrong)}
    tests = corruptions(held, seed, "grammar test", known, CORRUPTIONS)
    good, bad = embedded(clip, list(learned.values())), embedded(clip, wrong)
    head = fit(good, bad, settings, seed, tower)
    answers = {kind: embedded(clip, some) for kind, some in tests.items()}
    return head, {
        "held_out": measure(head, embedded(clip, list(held.values())), answers),
        "training_auroc": auroc(grammaticality(good, head), grammaticality(bad, head)),
        "training_texts": len(learned),
        "training_corruptions": len(wrong),
        "training_fingerprint": fingerprint(learned),
        "held_out_fingerprint": fingerprint(held),
    }


def fingerprint(texts: Texts) -> str:
    """xxh3-128 of the texts, folded, in order, a line each."""
    return xxhash.xxh3_128_hexdigest("\n".join(sorted(texts)).encode("utf-8", "surrogatepass"))


def encoded(head: Head) -> bytes:
    """The head as a file of safetensors that `curate.facts.heads.load` reads."""
    from safetensors.numpy import save

    arrays = {f"layers.{2 * i}.{name}": np.ascontiguousarray(values) for i, pair in enumerate(head.layers)
              for name, values in zip(("weight", "bias"), pair, strict=True)}  # fmt: skip
    return save(arrays, {TOWER: head.tower or ""})
