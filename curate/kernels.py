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
BLOCK = 64
"""Bytes that a mask is of."""
_BLOCK = ir.VectorType(_I8, BLOCK)
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
def uncounted(typingctx: Any, array: Any) -> Any:
    """The same array, passed on from here without its references being counted: for arguments of a function that Python calls.

    Numba counts them at each call, inlined or not, by atomic instructions that may cost more than what is called. Python holds
    arguments until the function returns; what is made inside is freed behind its last use that counts, so never take that.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(array)(context, builder, args[0])
        view.meminfo, view.parent = (ir.Constant(field.type, None) for field in (view.meminfo, view.parent))
        return view._getvalue()

    return array(array), generate


@intrinsic
def load64(typingctx: Any, address: Any) -> Any:
    """The 8 bytes at an address, as a little-endian uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_at(builder, args[0], _I64), align=1)

    return types.uint64(types.uintp), generate


@intrinsic
def pointer(typingctx: Any, address: Any) -> Any:
    """An address as a pointer, for `numba.carray`: an array that owns nothing is passed on without counting who holds it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _at(builder, args[0], _I8)

    return types.voidptr(types.uintp), generate


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


@intrinsic
def product(typingctx: Any, one: Any, other: Any) -> Any:
    """(upper, lower) 64 bits of the product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        whole = builder.mul(*(builder.zext(arg, wide) for arg in args))
        parts = [builder.trunc(part, _I64) for part in (builder.lshr(whole, wide(64)), whole)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), generate


@intrinsic
def swapped(typingctx: Any, word: Any) -> Any:
    """The word with its bytes the other way round."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bswap(args[0])

    return types.uint64(types.uint64), generate


@intrinsic
def store_hex(typingctx: Any, word: Any, address: Any) -> Any:
    """Writes a word as 16 lower-case hex digits at an address, its upper digits first."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        half = ir.VectorType(_I8, 8)
        whole = ir.VectorType(_I8, 16)

        def all_of(kind: Any, value: int) -> Any:
            return ir.Constant(kind, [value] * kind.count)

        pairs = builder.bitcast(builder.bswap(args[0]), half)
        upper, lower = builder.lshr(pairs, all_of(half, 4)), builder.and_(pairs, all_of(half, 15))
        order = ir.Constant(ir.VectorType(ir.IntType(32), 16), [i // 2 + 8 * (i % 2) for i in range(16)])
        digits = builder.shuffle_vector(upper, lower, order)
        letters = builder.icmp_unsigned(">", digits, all_of(whole, 9))
        shift = builder.select(letters, all_of(whole, ord("a") - 10), all_of(whole, ord("0")))
        builder.store(builder.add(digits, shift), _at(builder, args[1], whole), align=1)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uintp), generate


@intrinsic
def bits_set(typingctx: Any, word: Any) -> Any:
    """How many bits of a word are set."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate


def mask(bytes_of: Callable[[Any, Any], Any]) -> Any:
    """An intrinsic: which of the 64 bytes at an address are among some; bit i of the answer is byte i."""

    def typed(typingctx: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            block = builder.load(_at(builder, args[0], _BLOCK), align=1)
            return builder.bitcast(bytes_of(builder, block), _I64)

        return types.uint64(types.uintp), generate

    return intrinsic(typed)


def _splat(value: int) -> Any:
    return ir.Constant(_BLOCK, [value] * BLOCK)


def equal(builder: Any, block: Any, ignored: int, value: int) -> Any:
    """Bytes that equal a value where the `ignored` bits are left out."""
    return builder.icmp_unsigned("==", builder.and_(block, _splat(255 ^ ignored)) if ignored else block, _splat(value))
