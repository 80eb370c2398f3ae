"""Prints every lower bound of pyproject.toml as a pin, for an environment that tries them: `make lowest`."""

import re
import tomllib
from pathlib import Path

EXTRAS = (
    "spark",
    "ray",
    "download",
    "train",
    "faces",
    "faiss-cpu",
    "onnx",
    "transformers",
    "llama",
    "slides",
    "metadata",
    "tokenizers",
    "dev",
)


def pins(project: dict) -> list[str]:
    """`name==version.*` for each requirement of the core and of the extras that can live together."""
    wanted = [*project["dependencies"], *(r for extra in EXTRAS for r in project["optional-dependencies"][extra])]
    found = (re.match(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?(?:>=|==)([0-9][0-9a-z.]*)", r) for r in wanted)
    return sorted({f"{m.group(1)}=={m.group(2)}.*" for m in found if m})


if __name__ == "__main__":
    text = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text()
    print("\n".join(pins(tomllib.loads(text)["project"])))
