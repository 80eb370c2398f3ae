"""Sums over rows and labels, 16 float32 lanes at once. Each lane adds in the order of fastText's scalar loops, so that

every rounding is the same; multiplications and additions are never fused. A compiler left alone keeps the sums in memory.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_LANES = ir.VectorType(_F32, 16)


def _load(builder: Any, address: Any, kind: Any, align: int) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align)


def _times(builder: Any, value: Any, factor: int) -> Any:
    return builder.mul(value, ir.Constant(_I64, factor))


@intrinsic
def add_rows(typingctx: Any, target: Any, matrix: Any, row_bytes: Any, rows: Any, n: Any) -> Any:
    """Adds 16 columns of n rows of a matrix to 16 float32.

    All are addresses, and the target's and the matrix's first column's are at a multiple of 64: of the lanes, the matrix, its
    int32 row numbers; `row_bytes` is the width of the matrix.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, matrix, row_bytes, rows, n = args
        total = cgutils.alloca_once(builder, _LANES)
        builder.store(_load(builder, target, _LANES, 4), total)
        with cgutils.for_range(builder, n) as loop:
            row = builder.zext(_load(builder, builder.add(rows, _times(builder, loop.index, 4)), _I32, 4), _I64)
            values = _load(builder, builder.add(matrix, builder.mul(row, row_bytes)), _LANES, 64)
            builder.store(builder.fadd(builder.load(total), values), total)
        builder.store(builder.load(total), builder.inttoptr(target, _LANES.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.int64, types.uintp, types.int64), generate


@intrinsic
def dot_columns(typingctx: Any, target: Any, matrix: Any, row_bytes: Any, vector: Any, n: Any) -> Any:
    """Writes to 16 float32 the products of n float32 with 16 columns of a matrix of n rows. Addresses as above."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, matrix, row_bytes, vector, n = args
        total = cgutils.alloca_once(builder, _LANES)
        builder.store(ir.Constant(_LANES, [0.0] * 16), total)
        with cgutils.for_range(builder, n) as loop:
            value = _load(builder, builder.add(vector, _times(builder, loop.index, 4)), _F32, 4)
            first = builder.insert_element(ir.Constant(_LANES, ir.Undefined), value, ir.Constant(_I32, 0))
            spread = builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_I32, 16), [0] * 16))
            values = _load(builder, builder.add(matrix, builder.mul(loop.index, row_bytes)), _LANES, 64)
            builder.store(builder.fadd(builder.load(total), builder.fmul(spread, values)), total)
        builder.store(builder.load(total), builder.inttoptr(target, _LANES.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.int64, types.uintp, types.int64), generate
