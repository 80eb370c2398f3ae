"""Compiled functions: how they are kept for the next process, and what they need of the machine that Numba does not offer."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import xxhash
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


@cache
def _sources(folder: Path) -> str:
    return xxhash.xxh3_64_hexdigest(b"".join(file.read_bytes() for file in sorted(folder.glob("*.py"))))


_HERE = Path(__file__).read_bytes()


def compiled(function: Callable) -> Any:
    """Compiles a function without the interpreter lock, and keeps the outcome on disk for the next process.

    Numba looks a kept function up by its own file; what it took over from functions of other files would stay as it was when those
    change, so all files of its folder count here. Where nothing can be kept, each process compiles anew.
    """
    kernel = njit(nogil=True)(function)
    try:
        kernel.enable_caching()
    except RuntimeError:  # Neither the package's folder nor the user's cache can be written.
        return kernel
    by_file = kernel._cache._index_key
    mark = _sources(Path(function.__code__.co_filename).parent) + xxhash.xxh3_64_hexdigest(_HERE)
    kernel._cache._index_key = lambda signature, codegen: (*by_file(signature, codegen), mark)
    return kernel


@intrinsic
def load64(typingctx: Any, address: Any) -> Any:
    """The 8 bytes at an address, as a little-endian uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        return builder.load(builder.inttoptr(args[0], word.as_pointer()), align=1)

    return types.uint64(types.uintp), generate
