"""The files of a CLIP-like model on this machine: configuration, weights, vocabulary, preprocessing, revision.

Nothing is fetched in passing: a model that is not here is an error that says where it was looked for and how to get
it.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

from curate import CurateError
from curate.hints import nearest
from curate.settings import Count, Name, Settings
from curate.store import Dataset

FOLDER, HUB, CONFIG = "local-dir:", "hf-hub:", "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
"""Name of the weights in a folder that we write; open_clip looks for it first."""


class ModelError(CurateError, RuntimeError):
    """A model that is not here, or cannot be used as asked; the message says what to do."""


class Model(Settings, frozen=True, kw_only=True):
    """A CLIP-like model: a name that open_clip knows with a tag or checkpoint, or a folder with model and tokenizer."""

    runtime: ClassVar[tuple[str, ...]] = ("batch_size",)

    name: Name
    model: str
    """open_clip's name (`ViT-B-32`), or `local-dir:PATH` of a folder with `open_clip_config.json` and weights, or of a CLIP or SigLIP as
    transformers saves it (`config.json`, `model.safetensors`)."""
    pretrained: str | None = None
    """open_clip's tag (`openai`), or the path of a checkpoint."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    batch_size: Count = 256


@dataclass(frozen=True)
class Located:
    """Where a model's files are, before anything heavy is loaded."""

    name: str
    """What open_clip is asked for: a registered name, or `local-dir:` and a path."""
    config: dict[str, Any]
    weights: Path
    merges: Path | None
    """BPE merges of the model's own vocabulary; None where open_clip's usual tokenizer serves."""
    preprocessing: dict[str, Any]
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def revision(self) -> str:
        """sha256 over configuration, weights and vocabulary: what the model is, wherever it lies."""
        files = [sha256(path) for path in (self.weights, self.merges) if path is not None]
        described = json.dumps([self.config, self.overrides, files], sort_keys=True)
        return f"sha256:{hashlib.sha256(described.encode()).hexdigest()}"


def locate(settings: Model) -> Located:
    """Finds a model's files on this machine. ModelError naming where they were looked for and how to get them."""
    if settings.model.startswith(FOLDER):
        return _in_folder(Path(settings.model.removeprefix(FOLDER)), settings.model)
    if settings.model.startswith(HUB):
        return _in_folder(_hub_snapshot(settings.model.removeprefix(HUB)), settings.model)
    import open_clip

    name = register(settings.model)
    config = open_clip.get_model_config(name)
    tag = open_clip.get_pretrained_cfg(name, settings.pretrained or "")
    if settings.pretrained is None:
        raise ModelError(
            f"model {settings.name!r}: {name} needs `pretrained`: the path of a checkpoint, or a tag of open_clip"
        )
    if Path(settings.pretrained).is_file():
        return Located(name, config, Path(settings.pretrained), merges_of(settings.model), _preprocessing(config, {}))
    if not tag:
        known = open_clip.list_pretrained_tags_by_model(name)
        hint = f"; {nearest(settings.pretrained, known)}" if known else ""
        raise ModelError(f"{settings.pretrained!r} is neither a file nor a tag of {name}{hint}")
    # OpenAI's weights need QuickGELU whatever the model's name says; open_clip only warns and scores wrongly.
    overrides = {"quick_gelu": bool(tag.get("quick_gelu", False))}
    return Located(name, config, _cached(name, settings.pretrained, tag), None, _preprocessing(config, tag), overrides)


def register(model: str) -> str:
    """open_clip's name for a model: registers a config file (JSON) under its stem; ModelError for an unknown one."""
    import open_clip

    if model.endswith(".json"):
        if not Path(model).is_file():
            raise ModelError(f"no model config at {model}")
        open_clip.add_model_config(model)
        model = Path(model).stem
    if open_clip.get_model_config(model) is None:
        raise ModelError(f"no model {model!r}: {nearest(model, open_clip.list_models())}")
    return model


def merges_of(model: str) -> Path | None:
    """The BPE merges that a config file (JSON) or a folder (`local-dir:`) names; None where it names none.

    open_clip takes `text_cfg.tokenizer_kwargs.bpe_path` from the working directory; here it counts from the file
    that names it, and must lie beside or below it, because the file may come from anywhere.
    """
    path = Path(model.removeprefix(FOLDER)) / CONFIG if model.startswith(FOLDER) else Path(model)
    if path.suffix != ".json":
        return None
    config = read_json(path)
    text = config.get("model_cfg", config).get("text_cfg", {})
    named = (text.get("tokenizer_kwargs") or {}).get("bpe_path")
    if named is None:
        return None
    merges, folder = (path.parent / named).resolve(), path.parent.resolve()
    if not merges.is_relative_to(folder) or not merges.is_file():
        raise ModelError(f"{path}: bpe_path {named!r} is not a file beside or below it")
    return merges


def _in_folder(folder: Path, name: str) -> Located:
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{name}: no {CONFIG} in {folder}; a model's folder has it beside the weights")
    described = read_json(folder / CONFIG)
    if "model_cfg" not in described:
        raise ModelError(f"{folder / CONFIG} has no model_cfg")
    found = [path for suffix in ("safetensors", "bin", "pth", "pt") for path in sorted(folder.glob(f"*.{suffix}"))]
    weights = next((path for path in found if path.name == WEIGHTS), found[0] if found else None)
    if weights is None:
        raise ModelError(f"{name}: no weights (*.safetensors, *.bin, *.pth, *.pt) in {folder}")
    config = described["model_cfg"]
    preprocessing = _preprocessing(config, described.get("preprocess_cfg", {}))
    local = f"{FOLDER}{folder}"
    return Located(local, config, weights, merges_of(local), preprocessing)


def _preprocessing(config: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    merged = merge_preprocess_dict(asdict(PreprocessCfg()), described)
    return json.loads(json.dumps(merged | {"size": config["vision_cfg"].get("image_size", merged["size"])}))


def _hub_snapshot(repository: str) -> Path:
    from huggingface_hub import constants, try_to_load_from_cache

    found = try_to_load_from_cache(repository, CONFIG)
    if not isinstance(found, str):
        raise ModelError(
            f"{repository} is not on this machine: looked in {constants.HF_HUB_CACHE}. Get it where there is a "
            f"network: huggingface-cli download {repository}"
        )
    return Path(found).parent


def _cached(name: str, tag: str, described: dict[str, Any]) -> Path:
    """The weights of a tag where open_clip's own download would have put them."""
    from huggingface_hub import constants, try_to_load_from_cache

    looked = []
    repository, _, file = described.get("hf_hub", "").rpartition("/")
    if repository:
        stem = file.rsplit(".", 1)[0] or "open_clip_model"
        for candidate in (f"{stem}.safetensors", file or "open_clip_pytorch_model.bin"):
            found = try_to_load_from_cache(repository, candidate)
            if isinstance(found, str):
                return Path(found)
            looked.append(f"{constants.HF_HUB_CACHE} ({repository}, {candidate})")
    if described.get("url"):
        path = Path(os.path.expanduser("~/.cache/clip")) / os.path.basename(described["url"])
        if path.is_file():
            return path
        looked.append(str(path))
    raise ModelError(
        f"the weights {tag!r} of {name} are not on this machine: looked for {'; '.join(looked)}. Get them where there "
        f"is a network: python -c \"import open_clip; open_clip.create_model('{name}', pretrained='{tag}')\""
    )


def read_json(path: Path) -> dict[str, Any]:
    """A mapping of a model's folder. ModelError when the file does not hold one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as a model config: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is not a mapping")
    return value


def sha256(path: Path) -> str:
    """sha256 of a file, hex."""
    with open(path, "rb") as file:
        return digest(file)


def digest(file: BinaryIO) -> str:
    """sha256 of what an open file holds, hex."""
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


@contextmanager
def at_hand(folder: Dataset) -> Iterator[str]:
    """A dataset that is a model's folder, as a path of this machine: itself, or a copy of it while the block lasts."""
    if os.path.isdir(folder.root):
        yield folder.root
        return
    with tempfile.TemporaryDirectory(prefix="model-") as copy:
        for path in folder.fs.ls(folder.root, detail=False):
            name = os.path.basename(path.rstrip("/"))
            if name == CONFIG or name.endswith((".safetensors", ".gz")):
                folder.fs.get_file(path, f"{copy}/{name}")
        yield copy
