"""CLIP-like models, loaded and ready to embed: images and texts in, unit vectors out.

Checkpoints are treated as hostile: only tensors are read from them.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate import hugging, lorentz
from curate.text_tower import TextTower
from curate.weights import FOLDER, Located, Model, ModelError, locate

CHARACTERS_PER_TOKEN = 16
"""Texts are cut to this many characters for each token of the context. No text of words reaches it, and a word of
half a million letters would keep the tokenizer, which is quadratic in a word's length, busy for hours."""
SORTED = 32
"""Batches of texts that are sorted by length together."""
ELONGATION = 8
"""Longer images are cut to their middle before the shorter side is resized: the centre crop keeps no more of them,
and a line of 1 x 50,000 pixels would otherwise grow to gigabytes."""


Vectors = tuple[np.ndarray, np.ndarray]
"""Embeddings of length 1, float32, shape (n, width), and the lengths that they had before, float32, shape (n,)."""


class Clip:
    """A loaded model. Embeddings come out as float32 of length 1, whatever the precision inside."""

    def __init__(self, model: Any, preprocess: Any, tokenizer: Any, settings: Model, device: str):
        import open_clip

        self.model, self.preprocess, self.tokenizer = model, preprocess, tokenizer
        self.device, self.batch_size = device, settings.batch_size
        self.input_dtype = open_clip.get_input_dtype(settings.precision)
        self.texts = TextTower(model, device)
        self.logit_scale = float(model.logit_scale.detach().exp())
        self.geometry = lorentz.of_model(model)
        """Of a hyperbolic model; None for all others."""

    @property
    def width(self) -> int:
        """Number of dimensions of an embedding."""
        return int(self.text_embeddings([""]).shape[1])

    def pixels(self, image: Image.Image) -> Any:
        """The model's input for one RGB image: float32 tensor of shape (3, height, width)."""
        return self.preprocess(_without_ends(image))

    def image_embeddings(self, pixels: Iterable[Any]) -> np.ndarray:
        """Embeddings of inputs made by `pixels`, float32, shape (n, width). Holds one batch at a time."""
        return self.image_vectors(pixels)[0]

    def image_vectors(self, pixels: Iterable[Any]) -> Vectors:
        """As `image_embeddings`, with the lengths that the model's own vectors have."""
        import torch

        with torch.inference_mode():
            found = [
                _measured(self.model.encode_image(self._stacked(batch).to(self.device, self.input_dtype)))
                for batch in _batches(pixels, self.batch_size)
            ]
        return self._joined(found)

    def text_embeddings(self, texts: Iterable[str]) -> np.ndarray:
        """Embeddings of texts, float32, shape (n, width). Holds SORTED batches of token ids at a time."""
        return self.text_vectors(texts)[0]

    def text_vectors(self, texts: Iterable[str]) -> Vectors:
        """As `text_embeddings`, with the lengths that the model's own vectors have."""
        return self._joined([self._of_texts(some) for some in _batches(texts, SORTED * self.batch_size)])

    def _of_texts(self, texts: list[str]) -> Vectors:
        """Texts of about one length go together: a batch costs what its longest text costs."""
        import torch

        ids = tokens(self.tokenizer, texts)
        order = self.texts.lengths(ids).argsort(stable=True)
        with torch.inference_mode():
            found = [_measured(self.texts.encode(ids[rows].to(self.device))) for rows in order.split(self.batch_size)]
        back = np.empty_like(order.numpy())
        back[order.numpy()] = np.arange(len(order))
        units, lengths = self._joined(found)
        return units[back], lengths[back]

    def _stacked(self, batch: list[Any]) -> Any:
        """On a CPU with channels last: patches are cut out twice as fast so."""
        import torch

        layout = torch.channels_last if self.device == "cpu" else torch.contiguous_format
        return torch.stack(batch).contiguous(memory_format=layout)

    def _joined(self, found: Sequence[Vectors]) -> Vectors:
        if not found:
            return np.zeros((0, self.width), np.float32), np.zeros(0, np.float32)
        return np.concatenate([units for units, _ in found]), np.concatenate([lengths for _, lengths in found])


def _measured(raw: Any) -> Vectors:
    import torch

    whole = raw.float()
    return torch.nn.functional.normalize(whole, dim=-1).cpu().numpy(), whole.norm(dim=-1).cpu().numpy()


def tokens(tokenizer: Any, texts: Sequence[str]) -> Any:
    """Token ids of texts, int64, shape (n, context length)."""
    longest = CHARACTERS_PER_TOKEN * (tokenizer.context_length or 77)
    return tokenizer([text[:longest] for text in texts])


def device_of(wanted: str) -> str:
    """The device that a setting stands for. ModelError when it is not on this machine."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {wanted!r}: torch sees no CUDA here; take `auto` or `cpu`")
    return wanted


@lru_cache(maxsize=2)
def load(settings: Model, device: str = "auto", revision: str | None = None) -> Clip:
    """The model, ready to embed; kept warm for the next call. ModelError when it is not here or not what it was.

    `revision` is what the caller planned with: a worker that finds another file under the same name must not score.
    """
    target, folder = device_of(device), hugging.folder_of(settings)
    if target == "cpu" and settings.precision != "fp32":
        raise ModelError(
            f"model {settings.name!r}: precision {settings.precision} is emulated on a CPU, a hundred times slower "
            "than fp32; set precision: fp32, or give it a GPU"
        )
    if folder is not None:
        if revision not in (None, hugging.described(folder)["revision"]):
            raise ModelError(f"model {settings.name!r}: {folder} is not the model that this run was planned with")
        return Clip(*hugging.load(settings, folder, target), settings, target)
    place = locate(settings)
    if revision is not None and place.revision != revision:
        raise ModelError(f"model {settings.name!r}: {place.weights} is not the file that this run was planned with")
    return _of_open_clip(settings, place, target)


def _of_open_clip(settings: Model, place: Located, target: str) -> Clip:
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from curate import packing

    model = quietly(
        open_clip.create_model, place.name, load_weights=False, precision=settings.precision, device=target,
        pretrained_text=False, force_preprocess_cfg=place.preprocessing, **place.overrides,
    )  # fmt: skip
    if lorentz.in_checkpoint(place.weights):
        lorentz.add_parameters(model, place.config["embed_dim"])
    try:
        open_clip.load_checkpoint(model, str(place.weights), weights_only=True)
    except Exception as error:  # hostile bytes may raise anything
        raise ModelError(f"{place.weights} is not a checkpoint of {place.name} that loads safely: {error}") from error
    packing.pack(model.eval(), target)
    preprocess = image_transform_v2(PreprocessCfg(**place.preprocessing), is_train=False)
    return Clip(model, preprocess, tokenizer(place.name, place.merges), settings, target)


def identity(settings: Model) -> dict[str, Any]:
    """What a score's manifest says of its model: settings, revision and preprocessing; not where its files lie."""
    plain, folder = settings.identity(), hugging.folder_of(settings)
    for key in ("model", "pretrained"):
        if plain[key] and Path(plain[key].removeprefix(FOLDER)).exists():
            plain[key] = Path(plain[key].removeprefix(FOLDER)).name
    if folder is not None:
        return plain | hugging.described(folder)
    place = locate(settings)
    return plain | {"revision": place.revision, "preprocessing": place.preprocessing}


def tokenizer(name: str, merges: Path | None) -> Any:
    """open_clip's tokenizer for a model, with the model's own vocabulary where it has one."""
    import open_clip

    return open_clip.get_tokenizer(name, **({"bpe_path": str(merges)} if merges else {}))


def _without_ends(image: Image.Image) -> Image.Image:
    short, long = sorted(image.size)
    if long <= ELONGATION * short:
        return image
    width, height = (min(side, ELONGATION * short) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def quietly(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls open_clip without its warnings about random weights: the checkpoint is loaded right after."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        return function(*args, **kwargs)
    finally:
        logging.disable(before)
