"""xxh3-128 of many texts in one call: the numbers of the package xxhash, without a Python object for each of them.

The algorithm is that of the xxHash specification (XXH3, 128 bits, seed 0, default secret): an input of 9 to 16 bytes, up to 128, up
to 240 and beyond has each its own. Shorter ones than 9 bytes do not occur: `http://a/` has nine.
"""

import numpy as np
from numba import njit

from curate.kernels import compiled, load64, product, store_hex, swapped

SHORTEST = 9
SECRET = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
        "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
        "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
    ),
    np.uint8,
)
"""The default secret of the specification, 192 bytes."""
P32_1, P32_2, P32_3 = np.uint64(0x9E3779B1), np.uint64(0x85EBCA77), np.uint64(0xC2B2AE3D)
P64_1, P64_2, P64_3 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)
P64_4, P64_5 = np.uint64(0x85EBCA77C2B2AE63), np.uint64(0x27D4EB2F165667C5)
AVALANCHE = np.uint64(0x165667919E3779F9)
LOW = np.uint64(0xFFFFFFFF)
_1, _32, _37, _47, _54 = (np.uint64(n) for n in (1, 32, 37, 47, 54))


@compiled
def xxh3_128(start, length):
    """(upper, lower) 64 bits of the hash of the bytes at an address, `length` of them, SHORTEST or more."""
    if length <= 16:
        return _up_to_16(start, length)
    if length <= 240:
        return _up_to_240(start, length)
    return _long(start, length)


@njit(forceinline=True)
def write_hex(high, low, address):
    """Writes a hash as 32 lower-case hex digits at an address."""
    store_hex(high, np.uint64(address))
    store_hex(low, np.uint64(address) + np.uint64(16))


@njit(forceinline=True)
def _word(at):
    """The 8 bytes of the secret at an offset."""
    return load64(np.uint64(SECRET.ctypes.data) + np.uint64(at))


@njit(forceinline=True)
def _at(address, offset):
    return load64(np.uint64(address) + np.uint64(offset))


@njit(forceinline=True)
def _folded(one, other):
    high, low = product(one, other)
    return high ^ low


@njit(forceinline=True)
def _avalanche(word):
    word = (word ^ (word >> _37)) * AVALANCHE
    return word ^ (word >> _32)


@njit(forceinline=True)
def _up_to_16(start, length):
    first, last = _at(start, 0), _at(start, length - 8)
    high, low = product(first ^ last ^ _word(32) ^ _word(40), P64_1)
    low += np.uint64(length - 1) << _54
    last ^= _word(48) ^ _word(56)
    high += last + (last & LOW) * (P32_2 - _1)
    upper, lower = product(low ^ swapped(high), P64_2)
    return _avalanche(upper + high * P64_2), _avalanche(lower)


@njit(forceinline=True)
def _mixed(low, high, one, other, secret):
    """Two times 16 bytes mixed into the state (low, high)."""
    a, b, c, d = load64(one), load64(one + np.uint64(8)), load64(other), load64(other + np.uint64(8))
    low = (low + _folded(a ^ _word(secret), b ^ _word(secret + 8))) ^ (c + d)
    high = (high + _folded(c ^ _word(secret + 16), d ^ _word(secret + 24))) ^ (a + b)
    return low, high


@njit(forceinline=True)
def _finished(low, high, length):
    upper = _avalanche(low * P64_1 + high * P64_4 + np.uint64(length) * P64_2)
    return np.uint64(0) - upper, _avalanche(low + high)


@compiled
def _up_to_240(start, length):
    begin, n = np.uint64(start), np.uint64(length)
    low, high = n * P64_1, np.uint64(0)
    if length <= 128:
        for i in range((length - 1) // 32, -1, -1):
            side = np.uint64(16 * i)
            low, high = _mixed(low, high, begin + side, begin + n - side - np.uint64(16), 32 * i)
        return _finished(low, high, length)
    for i in range(length // 32):
        if i == 4:
            low, high = _avalanche(low), _avalanche(high)
        one = begin + np.uint64(32 * i)
        low, high = _mixed(low, high, one, one + np.uint64(16), 32 * i if i < 4 else 3 + 32 * (i - 4))
    if length < 160:
        low, high = _avalanche(low), _avalanche(high)
    end = begin + n
    low, high = _mixed(low, high, end - np.uint64(16), end - np.uint64(32), 103)
    return _finished(low, high, length)


@njit(forceinline=True)
def _stripe(lanes, start, secret):
    """64 bytes into the eight lanes."""
    for i in range(8):
        word = load64(start + np.uint64(8 * i))
        key = word ^ _word(secret + 8 * i)
        lanes[i ^ 1] += word
        lanes[i] += (key & LOW) * (key >> _32)


@njit(forceinline=True)
def _merged(lanes, secret, state):
    for i in range(4):
        state += _folded(lanes[2 * i] ^ _word(secret + 16 * i), lanes[2 * i + 1] ^ _word(secret + 16 * i + 8))
    return _avalanche(state)


@compiled
def _long(start, length):
    begin, n = np.uint64(start), np.uint64(length)
    lanes = np.array([P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1], np.uint64)
    stripes = (length - 1) // 64
    for i in range(stripes):
        _stripe(lanes, begin + np.uint64(64 * i), 8 * (i % 16))
        # A block is 16 stripes; the one that ends with the input is not scrambled.
        if i % 16 == 15:
            for lane in range(8):
                word = lanes[lane]
                lanes[lane] = (word ^ (word >> _47) ^ _word(128 + 8 * lane)) * P32_1
    _stripe(lanes, begin + n - np.uint64(64), 121)
    return _merged(lanes, 117, ~(n * P64_2)), _merged(lanes, 11, n * P64_1)
