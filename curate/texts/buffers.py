"""A column of texts as bytes and the offsets that cut them, where they lie."""

import numpy as np
import pyarrow as pa

NARROW, WIDE = (pa.string(), pa.binary()), (pa.large_string(), pa.large_binary())


def laid_out(texts: pa.Array) -> pa.Array:
    """The same texts as bytes behind offsets: views, dictionaries and nulls without a type are unfolded, others stay as they are."""
    return texts if texts.type in NARROW + WIDE else texts.cast(pa.large_string())


def buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (int32 or int64, one more than texts) and bytes (uint8) of texts that are `laid_out`, without copying.

    What stands in the place of a null is not defined. Raises TypeError for texts that are laid out otherwise.
    """
    if texts.type not in NARROW + WIDE:
        raise TypeError(f"texts of type {texts.type}: unfold them first")
    kind = np.dtype(np.int64 if texts.type in WIDE else np.int32)
    _, offsets, data = texts.buffers()
    if not len(texts) or not data:
        ends, data = np.zeros(len(texts) + 1, kind), b"\0"
    else:
        ends = np.frombuffer(offsets, kind, count=len(texts) + 1, offset=texts.offset * kind.itemsize)
    found = np.frombuffer(data, np.uint8)
    # Some of Arrow's buffers may be written: to the compiler those would be a type of their own.
    ends.flags.writeable = found.flags.writeable = False
    return ends, found
