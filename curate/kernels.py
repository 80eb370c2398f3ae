"""Compiled functions: how they are kept for the next process, and what they need of the machine that Numba does not offer.

What takes addresses takes them as integers and checks nothing: its callers keep every read inside a buffer.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import xxhash
from llvmlite import ir
from numba import njit, types
from numba.core.cgutils import raw_memcpy
from numba.extending import intrinsic


@cache
def _sources(folder: Path) -> str:
    return xxhash.xxh3_64_hexdigest(b"".join(file.read_bytes() for file in sorted(folder.glob("*.py"))))


_I8, _I64 = ir.IntType(8), ir.IntType(64)
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


def kept(kernel: Any) -> bool:
    """Whether an outcome of a compiled function is on disk, if an old one; also where none can be kept there."""
    file = getattr(kernel._cache, "_cache_file", None)
    return file is None or Path(file._index_path).exists()


def _at(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic
def load64(typingctx: Any, address: Any) -> Any:
    """The 8 bytes at an address, as a little-endian uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_at(builder, args[0], _I64), align=1)

    return types.uint64(types.uintp), generate


@intrinsic
def copy(typingctx: Any, target: Any, source: Any, length: Any) -> Any:
    """memcpy."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, source, length = args
        raw_memcpy(builder, _at(builder, target, _I8), _at(builder, source, _I8), length, ir.Constant(_I64, 1))
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.int64), generate


@intrinsic
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """Index of the lowest set bit of a word that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate
