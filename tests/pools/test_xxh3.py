"""The hash of a text: the number that the package gives."""

import numpy as np
import pytest
import xxhash

from curate.pools import xxh3

# The ends of each range of lengths that has an algorithm of its own, and of the blocks of the last one.
LENGTHS = [
    *range(xxh3.SHORTEST, 300),
    511,
    512,
    513,
    1023,
    1024,
    1025,
    1088,
    1089,
    2047,
    2048,
    2049,
    4097,
    16_384,
    100_003,
]


@pytest.mark.parametrize("seed", range(3))
def test_every_length_has_the_hash_of_the_package(seed):
    chance = np.random.default_rng(seed)
    for length in LENGTHS:
        data = chance.integers(0, 256, length, np.uint8)
        high, low = xxh3.xxh3_128(data.ctypes.data, length)
        assert int(high) << 64 | int(low) == xxhash.xxh3_128_intdigest(data.tobytes()), length


def test_a_hash_is_written_as_the_package_writes_it():
    data = np.frombuffer(b"http://a.example/b.jpg", np.uint8)
    out = np.zeros(40, np.uint8)
    xxh3.write_hex(*xxh3.xxh3_128(data.ctypes.data, len(data)), out.ctypes.data + 4)
    assert out.tobytes() == b"\0" * 4 + xxhash.xxh3_128_hexdigest(data.tobytes()).encode() + b"\0" * 4
