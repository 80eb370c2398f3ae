"""Chooses tokens: the likeliest, by beams, or drawn. What is chosen for a row hangs on that row alone, whoever else is in the batch, but
for the last bits of the model's answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Asked:
    """What is wanted of one row of a batch."""

    image: Any
    """What the decoder looks at: tensor, shape (tokens of the image, width)."""
    limit: int
    """Tokens at most, the end mark among them."""
    done: Callable[[list[int]], bool]
    """Whether tokens need not go on: they hold what a request stops at."""
    temperature: float = 0.0
    top_p: float = 1.0
    chance: np.ndarray | None = None
    """For each token a number in [0, 1); float64, shape (limit,). None where nothing is drawn."""


@dataclass(frozen=True)
class Said:
    """Tokens, without the end mark; why they end (`stop` or `length`); and how many were made, with the end mark."""

    tokens: list[int]
    finish: str
    made: int


class Steps:
    """A CoCa as a function of what has been said so far."""

    def __init__(self, model: Any, prefix: Sequence[int], end: int, known: int, least: int = 0):
        """`prefix`: what all begin with, the start mark first; `end`: the end mark; `known`: how many ids are words; `least`: tokens before
        which nothing ends."""
        self._model, self._prefix, self.end, self._known, self._least = model, list(prefix), end, known, least
        self.room = int(model.context_length) - len(prefix)

    def __call__(self, images: Any, said: Sequence[Sequence[int]]) -> Any:
        """Log-probabilities of what comes next: float64, shape (rows, vocabulary). All rows have said as much.

        Neither the start mark nor the padding ever comes: the padding's id is that of a real token ("!"), which no loss was computed for.
        """
        import torch

        ids = torch.tensor([self._prefix + list(one) for one in said], device=images.device)
        logits = self._model(None, ids, image_latent=images, image_embs=images, output_labels=False)["logits"]
        following = logits[:, -1].double()
        following[:, [self._prefix[0], self._model.pad_id]] = -torch.inf
        following[:, self._known :] = -torch.inf
        if len(said[0]) < self._least:
            following[:, self.end] = -torch.inf
        return following.log_softmax(dim=1)


def drawn(steps: Steps, rows: Sequence[Asked]) -> list[Said]:
    """Draws each row's tokens by its own chance."""
    import torch

    found: list[Said | None] = [None] * len(rows)
    said: list[list[int]] = [[] for _ in rows]
    live = list(range(len(rows)))
    while live:
        step = len(said[live[0]])
        following = steps(torch.stack([rows[row].image for row in live]), [said[row] for row in live])
        how = np.array([(rows[row].temperature, rows[row].top_p, rows[row].chance[step]) for row in live])  # type: ignore[index]
        for row, token in zip(
            live, chosen(following, *torch.from_numpy(how).to(following.device).T).tolist(), strict=True
        ):
            found[row] = _ended(steps, rows[row], said[row], token)
            if token != steps.end:
                said[row].append(token)
        live = [row for row in live if found[row] is None]
    return [one for one in found if one is not None]


def _ended(steps: Steps, row: Asked, said: list[int], token: int) -> Said | None:
    """What a row ends as with this token; None where it goes on."""
    made = len(said) + 1
    if token == steps.end:
        return Said(list(said), "stop", made)
    if row.done([*said, token]):
        return Said([*said, token], "stop", made)
    return Said([*said, token], "length", made) if made >= row.limit else None


def chosen(following: Any, temperature: Any, top_p: Any, chance: Any) -> Any:
    """Tokens drawn from the nucleus: the fewest that together have at least `top_p` (Holtzman et al., arXiv:1904.09751), after the
    temperature, as endpoints do it.

    `following`: float64, shape (rows, vocabulary); the others: float64, shape (rows,). The nucleus is walked in the order of the vocabulary,
    which does not turn round when two tokens are about as likely.
    """
    import torch

    likely = (following / temperature[:, None]).softmax(dim=1)
    ordered, places = likely.sort(dim=1, descending=True)
    before = ordered.cumsum(dim=1) - ordered
    nucleus = torch.zeros_like(likely).scatter(1, places, ordered * (before < top_p[:, None]))
    walked = nucleus.cumsum(dim=1)
    # Chance is below 1 by 2^-53 or more, so that this stays below the whole, and before what lies behind the nucleus.
    place = chance[:, None] * walked[:, -1:]
    return torch.searchsorted(walked, place, right=True)[:, 0]


@dataclass
class _Beam:
    tokens: list[int]
    score: float
    """Sum of log-probabilities."""


def searched(steps: Steps, rows: Sequence[Asked], beams: int) -> list[Said]:
    """The likeliest tokens of each row that a search with `beams` beams finds; one beam: the likeliest token each time.

    Ends when `beams` texts have ended; of those the one with the highest mean log-probability of a token (as transformers scores,
    length penalty 1).
    """
    import torch

    held = [[_Beam([], 0.0)] for _ in rows]
    ended: list[list[tuple[float, Said]]] = [[] for _ in rows]
    live = list(range(len(rows)))
    while live:
        owners = [row for row in live for _ in held[row]]
        open_beams = [beam for row in live for beam in held[row]]
        images = torch.stack([rows[row].image for row in owners])
        following = steps(images, [beam.tokens for beam in open_beams])
        scores = following + torch.tensor(
            [[beam.score] for beam in open_beams], dtype=torch.float64, device=following.device
        )
        begin = 0
        for row in live:
            mine = scores[begin : begin + len(held[row])]
            begin += len(held[row])
            held[row] = _spread(steps, rows[row], held[row], mine, ended[row], beams)
        live = [row for row in live if held[row] and len(ended[row]) < beams]
    return [max(ends, key=lambda end: end[0])[1] for ends in ended]


def _spread(
    steps: Steps, row: Asked, held: list[_Beam], scores: Any, ended: list[tuple[float, Said]], beams: int
) -> list[_Beam]:
    """The beams that follow upon those of a row; what ended is added to `ended`."""
    width = scores.shape[1]
    best, places = scores.flatten().topk(min(2 * beams, scores.numel()))
    following: list[_Beam] = []
    for rank, (score, place) in enumerate(zip(best.tolist(), places.tolist(), strict=True)):
        parent, token = held[place // width], place % width
        if score == -np.inf or len(following) == beams:
            break
        said = _ended(steps, row, parent.tokens, token)
        if said is None:
            following.append(_Beam([*parent.tokens, token], score))
        elif rank < beams or said.finish == "length":
            ended.append((score / said.made, said))
    return following
