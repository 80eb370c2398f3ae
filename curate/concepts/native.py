"""What the matching kernels need of the machine and Numba does not offer: byte masks, prefetching.

All take addresses as integers and check nothing: their callers keep every read inside a buffer with PADDING spare bytes.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from curate.kernels import equal, mask

PADDING = 64
"""Bytes that may be read behind the last one that means anything."""

_I8, _I64 = ir.IntType(8), ir.IntType(64)


def _at(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic
def prefetch(typingctx: Any, address: Any) -> Any:
    """Asks for the cache line of an address, which need not be a valid one."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [_I8.as_pointer()], kind)
        reading, keep, data = ir.Constant(number, 0), ir.Constant(number, 3), ir.Constant(number, 1)
        builder.call(function, [_at(builder, args[0], _I8), reading, keep, data])
        return context.get_dummy_value()

    return types.void(types.uintp), generate


def _marks(builder: Any, block: Any) -> Any:
    """, and . differ in one bit, as do : and ; the others stand alone."""
    found = equal(builder, block, ord(",") ^ ord("."), ord(","))
    for ignored, value in ((ord(":") ^ ord(";"), ord(":")), (0, ord("?")), (0, ord("!")), (0, ord("`"))):
        found = builder.or_(found, equal(builder, block, ignored, value))
    return found


def _blanks(builder: Any, block: Any) -> Any:
    found = equal(builder, block, 0, ord(" "))
    for value in b"\t\n\r":
        found = builder.or_(found, equal(builder, block, 0, value))
    return found


mark_mask = mask(_marks)
"""The seven marks that a rule splits off."""
blank_mask = mask(_blanks)
"""Blank, tab, newline and carriage return."""


def _bitonic(builder: Any, values: Any, width: int) -> Any:
    """A vector of int32 in order, by Batcher's network: the same few instructions whatever the values are."""
    number = ir.IntType(32)

    def chosen(lanes: list[int]) -> Any:
        return ir.Constant(ir.VectorType(number, width), lanes)

    size = 2
    while size <= width:
        apart = size // 2
        while apart:
            partner = builder.shuffle_vector(values, values, chosen([lane ^ apart for lane in range(width)]))
            below = builder.icmp_signed("<", values, partner)
            low, high = builder.select(below, values, partner), builder.select(below, partner, values)
            takes_low = [((lane & apart) == 0) == ((lane & size) == 0) for lane in range(width)]
            blend = chosen([lane if low_here else width + lane for lane, low_here in enumerate(takes_low)])
            values = builder.shuffle_vector(low, high, blend)
            apart //= 2
        size *= 2
    return values


def _sorting(width: int) -> Any:
    """An intrinsic: writes up to `width` int32 from an address to another, in order and each once; all below 2**31 - 1.

    Returns how many are left. Reads `width` values whatever the number.
    """

    def typed(typingctx: Any, source: Any, target: Any, n: Any) -> Any:
        number = ir.IntType(32)
        lanes, bits = ir.VectorType(number, width), ir.IntType(width)

        def splat(builder: Any, value: Any) -> Any:
            first = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, ir.Constant(number, 0))
            return builder.shuffle_vector(first, first, ir.Constant(lanes, [0] * width))

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _at(builder, args[0], lanes)
            beyond = ir.Constant(lanes, [2**31 - 1] * width)
            inside = builder.icmp_signed(
                "<", ir.Constant(lanes, list(range(width))), splat(builder, builder.trunc(args[2], number))
            )
            values = _bitonic(builder, builder.select(inside, builder.load(place, align=1), beyond), width)
            before = ir.Constant(lanes, [0, *range(width - 1)])
            new = builder.icmp_signed("!=", values, builder.shuffle_vector(values, values, before))
            real = builder.icmp_signed("!=", values, beyond)
            first = ir.Constant(ir.VectorType(ir.IntType(1), width), [1] + [0] * (width - 1))
            mask = builder.and_(builder.or_(new, first), real)
            kind = ir.FunctionType(ir.VoidType(), [lanes, number.as_pointer(), mask.type])
            store = get_or_insert_function(builder.module, kind, f"llvm.masked.compressstore.v{width}i32")
            builder.call(store, [values, _at(builder, args[1], number), mask])
            count = builder.ctpop(builder.bitcast(mask, bits))
            return count if width == 64 else builder.zext(count, _I64)

        return types.int64(types.uintp, types.uintp, types.int64), generate

    return intrinsic(typed)


sort8, sort16, sort32, sort64 = _sorting(8), _sorting(16), _sorting(32), _sorting(64)


@intrinsic
def find4(typingctx: Any, address: Any, key: Any) -> Any:
    """The uint32 that stands with a key in a line of 64 bytes: four uint64 keys, then their four uint32; 0 where it is not."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = ir.IntType(32)
        wide, narrow = ir.VectorType(_I64, 4), ir.VectorType(number, 4)
        first = builder.insert_element(ir.Constant(wide, ir.Undefined), args[1], ir.Constant(number, 0))
        wanted = builder.shuffle_vector(first, first, ir.Constant(narrow, [0] * 4))
        same = builder.icmp_unsigned("==", builder.load(_at(builder, args[0], wide), align=32), wanted)
        values = _at(builder, builder.add(args[0], ir.Constant(_I64, 32)), narrow)
        found = builder.and_(builder.load(values, align=16), builder.sext(same, narrow))
        for lanes in ([2, 3, 0, 1], [1, 0, 3, 2]):
            found = builder.or_(found, builder.shuffle_vector(found, found, ir.Constant(narrow, lanes)))
        return builder.extract_element(found, ir.Constant(number, 0))

    return types.uint32(types.uintp, types.uint64), generate


@intrinsic
def same4(typingctx: Any, address: Any, one: Any, two: Any) -> Any:
    """Where in a line of 64 bytes, four uint64 and then four more, both of a pair stand: a bit for each of the four."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number, wide = ir.IntType(32), ir.VectorType(_I64, 4)
        found = None
        for value, offset in ((args[1], 0), (args[2], 32)):
            first = builder.insert_element(ir.Constant(wide, ir.Undefined), value, ir.Constant(number, 0))
            wanted = builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(number, 4), [0] * 4))
            place = _at(builder, builder.add(args[0], ir.Constant(_I64, offset)), wide)
            same = builder.icmp_unsigned("==", builder.load(place, align=32), wanted)
            found = same if found is None else builder.and_(found, same)
        return builder.zext(builder.bitcast(found, ir.IntType(4)), _I64)

    return types.uint64(types.uintp, types.uint64, types.uint64), generate
