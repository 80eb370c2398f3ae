"""Reading and adding at addresses. Arrays inside a kernel's loop cost a count of references at every call; integers do not.

Nothing is checked here: what is read and written lies within arrays whose sizes `file` and `model` have made sure of.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_F32, _F64, _I32, _I64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
_LANES = ir.VectorType(_F32, 16)


def addressed(part: Any) -> Any:
    """A named tuple with each array replaced by where it is. The arrays must outlive it."""
    return type(part)(*(value.ctypes.data if isinstance(value, np.ndarray) else value for value in part))


def _pointer(builder: Any, base: Any, index: Any, kind: Any, size: int) -> Any:
    place = builder.add(base, builder.mul(index, ir.Constant(_I64, size)))
    return builder.inttoptr(place, kind.as_pointer())


def _loading(kind: Any, size: int, result: Any, widen: Any = None) -> Any:
    """An intrinsic: the value at an index behind an address."""

    def typed(typingctx: Any, base: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(_pointer(builder, args[0], args[1], kind, size), align=size)
            return getattr(builder, widen)(value, _I64) if widen else value

        return result(types.int64, types.int64), generate

    return intrinsic(typed)


def _storing(kind: Any, size: int, given: Any, narrow: bool = False) -> Any:
    """An intrinsic: puts a value at an index behind an address."""

    def typed(typingctx: Any, base: Any, index: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.trunc(args[2], kind) if narrow else args[2]
            builder.store(value, _pointer(builder, args[0], args[1], kind, size), align=size)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, given), generate

    return intrinsic(typed)


byte_at = _loading(ir.IntType(8), 1, types.int64, "zext")
int32_at = _loading(_I32, 4, types.int64, "sext")
int64_at = _loading(_I64, 8, types.int64)
float32_at = _loading(_F32, 4, types.float32)
float64_at = _loading(_F64, 8, types.float64)
put_int32 = _storing(_I32, 4, types.int64, narrow=True)
put_int64 = _storing(_I64, 8, types.int64)
put_float32 = _storing(_F32, 4, types.float32)
put_float64 = _storing(_F64, 8, types.float64)


@intrinsic
def count_ones(typingctx: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), generate


def magic_of(divisor: int) -> int:
    """What `remainder` wants to know of a divisor of 1 to 2**32 - 1: the bits of ceil(2**64 / divisor), as an int64."""
    return (-(-(2**64) // divisor) + 2**63) % 2**64 - 2**63


@intrinsic
def remainder(typingctx: Any, value: Any, divisor: Any, magic: Any) -> Any:
    """value % divisor for values of 0 to 2**32 - 1 in two multiplications (Lemire, Kaser, Kurz: Faster Remainder, 2019)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, divisor, magic = args
        wide = ir.IntType(128)
        fraction = builder.zext(builder.mul(value, magic), wide)
        product = builder.mul(fraction, builder.zext(divisor, wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), _I64)

    return types.int64(types.int64, types.int64, types.int64), generate


@intrinsic
def add_rows(typingctx: Any, target: Any, matrix: Any, width: Any, rows: Any, n: Any) -> Any:
    """Adds 16 columns of some rows of a float32 matrix to 16 float32, in the order of the rows.

    Addresses of the 16, of the first row's columns (a multiple of 64) and of n int32 row numbers; `width` in columns.
    Each lane adds as fastText's scalar loop does, so that every rounding is the same.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, matrix, width, rows, n = args
        result = builder.inttoptr(target, _LANES.as_pointer())
        total = cgutils.alloca_once_value(builder, builder.load(result, align=4))
        with cgutils.for_range(builder, n) as loop:
            row = builder.sext(builder.load(_pointer(builder, rows, loop.index, _I32, 4)), _I64)
            place = _pointer(builder, matrix, builder.mul(row, width), _LANES, 4)
            builder.store(builder.fadd(builder.load(total), builder.load(place, align=64)), total)
        builder.store(builder.load(total), result, align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic
def dot_columns(typingctx: Any, target: Any, matrix: Any, width: Any, vector: Any, n: Any) -> Any:
    """Writes to 64 float32 the products of n float32 with 64 columns of n rows of a matrix. Addresses and order as above.

    Products are rounded before they are added, as on any machine without fused operations, for which fastText is compiled.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, matrix, width, vector, n = args
        totals = [cgutils.alloca_once_value(builder, ir.Constant(_LANES, [0.0] * 16)) for _ in range(4)]
        with cgutils.for_range(builder, n) as loop:
            value = builder.load(_pointer(builder, vector, loop.index, _F32, 4))
            first = builder.insert_element(ir.Constant(_LANES, ir.Undefined), value, ir.Constant(_I32, 0))
            spread = builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_I32, 16), [0] * 16))
            place = _pointer(builder, matrix, builder.mul(loop.index, width), _LANES, 4)
            for part, total in enumerate(totals):
                values = builder.load(builder.gep(place, [ir.Constant(_I32, part)]), align=64)
                builder.store(builder.fadd(builder.load(total), builder.fmul(spread, values)), total)
        result = builder.inttoptr(target, _LANES.as_pointer())
        for part, total in enumerate(totals):
            builder.store(builder.load(total), builder.gep(result, [ir.Constant(_I32, part)]), align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate
