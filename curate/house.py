"""Where the project's top-level folders (`schemas/`, `recipes/`, `metadata/`) are: in a checkout or in a wheel."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def folder(name: str) -> Traversable:
    """The folder `name` of the house; a wheel carries it as `curate/_house/<name>`.

    Raises FileNotFoundError when neither place has it (a broken install).
    """
    packaged = files("curate") / "_house" / name
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parent.parent / name
    if checkout.is_dir():
        return checkout
    raise FileNotFoundError(
        f"{name}/ is neither in {checkout.parent} nor in the installed package; install curate again"
    )
