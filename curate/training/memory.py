"""How much memory a training wants on a CPU, before the kernel says so by killing it.

Activations of a transformer's layer, float32: 2 x (34 s h + 5 a s^2) bytes a sample, for s tokens, width h and a heads (Korthikanti et al.,
"Reducing Activation Recomputation in Large Transformer Models", arXiv:2205.05198, who count 16-bit numbers). Weights, gradients and Adam's
two moments are 16 bytes a parameter.
"""

from collections.abc import Mapping
from typing import Any

from curate.models import device_of
from curate.recipe import Train
from curate.weights import register

PER_PARAMETER = 16
GIB = 1 << 30


def activations(config: Mapping[str, Any]) -> int | None:
    """Bytes that a sample's activations take in a model of open_clip; None where a tower is no transformer that is known here."""
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    if not isinstance(vision.get("layers"), int) or not vision.get("patch_size") or "layers" not in text:
        return None
    size = vision.get("image_size", 224)
    sides = size if isinstance(size, list | tuple) else (size, size)
    tokens = 1
    for side in sides:
        tokens *= side // vision["patch_size"]
    width = vision.get("width", 768)
    image = _layers(vision["layers"], tokens + 1, width, width // vision.get("head_width", 64))
    words = _layers(text["layers"], text.get("context_length", 77), text.get("width", 512), text.get("heads", 8))
    return image + words


def _layers(layers: int, tokens: int, width: int, heads: int) -> int:
    return layers * 2 * (34 * tokens * width + 5 * heads * tokens**2)


def warning(config: Mapping[str, Any], parameters: int, batch: int, copies: int, free: int) -> str | None:
    """A sentence for who trains on a CPU with too little memory; None where it fits, or nobody can tell.

    `batch`: samples of a step, over all processes; `copies`: of the model, in all processes of all trainings at a time, each of which has a
    batch of its own or its share of one; `free`: bytes.
    """
    each = activations(config)
    if each is None:
        return None
    fixed = PER_PARAMETER * parameters * copies
    wanted = fixed + batch * each
    if wanted <= free:
        return None
    fits = max(0, free - fixed) // each
    advice = (
        f"about {2 ** (int(fits).bit_length() - 1)} would fit"
        if fits
        else "not even one sample fits: take a smaller train.model"
    )
    return (
        f"train.batch_size {batch:,} wants about {wanted / GIB:,.0f} GiB on this CPU and {free / GIB:,.0f} GiB are free; the system kills what takes more: "
        f"{advice}"
    )


def said(settings: Train, missing: int) -> str | None:
    """The warning for the trainings of a recipe of which so many are still to be run on this machine."""
    import open_clip

    free = free_bytes()
    if not missing or free is None or device_of(settings.device) != "cpu":
        return None
    config = open_clip.get_model_config(register(settings.model))
    together = min(settings.together, missing)
    return warning(
        config, parameters(config), settings.batch_size * together, together * (settings.processes or 1), free
    )


def parameters(config: Mapping[str, Any]) -> int:
    """Of a model's two transformers: 12 h^2 a layer, and its words."""
    towers = [config.get(name, {}) for name in ("vision_cfg", "text_cfg")]
    layers = sum(
        12 * one["layers"] * one.get("width", 768) ** 2 for one in towers if isinstance(one.get("layers"), int)
    )
    return layers + towers[1].get("vocab_size", 0) * towers[1].get("width", 512)


def free_bytes() -> int | None:
    """Memory that programs may still take, as Linux says; None elsewhere."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None
