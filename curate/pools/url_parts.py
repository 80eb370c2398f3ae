"""Host, path and query of a URL, compiled: written as the URL standard has them, where they are ordinary."""

import numpy as np
from numba import njit

OK, NOT_HTTP, TOO_LONG, BAD, ASK = range(5)
"""What became of an address: a URL; one of another scheme; one over the limit; none; not to be decided here."""
SLASH, _DOT, HASH, QUESTION, COLON, _DASH, _PERCENT = (np.uint8(ord(sign)) for sign in "/.#?:-%")
_PATH, _PATH_CODED, _QUERY, _QUERY_CODED, _HOST = (np.uint8(1 << i) for i in range(5))
_UPPER_HEX = np.frombuffer(b"0123456789ABCDEF", np.uint8)


def _classes() -> np.ndarray:
    kinds = np.zeros(256, np.uint8)
    letters = b"abcdefghijklmnopqrstuvwxyz0123456789"
    for byte in letters + letters.upper() + b"-._~!$&()*+,;=:@%":
        kinds[byte] |= _PATH | _QUERY
    kinds[ord("'")] |= _PATH | _QUERY_CODED
    kinds[ord("?")] |= _QUERY
    kinds[ord("/")] |= _QUERY
    for byte in b' "<>\x7f':
        kinds[byte] |= _PATH_CODED | _QUERY_CODED
    for byte in b"`{}":
        kinds[byte] |= _PATH_CODED
    kinds[128:] |= _PATH_CODED | _QUERY_CODED
    for byte in letters + b"-.":
        kinds[byte] |= _HOST
    return kinds


_CLASS = _classes()


@njit
def host_of(data, start, end, out, at):
    """(end of the host in `out`, its end in `data`); the first is -1 for one that is not plain."""
    label = start
    i = start
    while i < end and data[i] != SLASH and data[i] != QUESTION and data[i] != HASH:
        byte = data[i]
        if not _CLASS[byte] & _HOST:
            return -1, i
        if byte == _DOT:
            if i == label:
                return -1, i
            label = i + 1
        elif byte == _DASH and i > start and data[i - 1] == _DASH:
            return -1, i  # It may be Punycode.
        out[at + i - start] = byte
        i += 1
    # A host whose last part begins with a digit may be an IPv4 address in one of its many spellings.
    if i == label or data[label] < ord("a"):
        return -1, i
    return at + i - start, i


@njit
def path_of(data, start, end, out, root, at):
    """Path and query from `start` on, behind the slash that stands before `at`; dots walk up to `root` at most."""
    segment = at
    i = start
    while True:
        byte = data[i] if i < end else HASH
        if byte == SLASH or byte == QUESTION or byte == HASH:
            length = at - segment
            if length == 1 and out[segment] == _DOT:
                at = segment
            elif length == 2 and out[segment] == _DOT and out[segment + 1] == _DOT:
                at = segment
                if at - 1 > root:
                    at -= 1
                    while out[at - 1] != SLASH:
                        at -= 1
            elif byte == SLASH:
                out[at] = SLASH
                at += 1
            segment = at
            if byte != SLASH:
                break
            i += 1
            continue
        kind = _CLASS[byte]
        if kind & _PATH:
            # A coded dot is a dot.
            if byte == _PERCENT and i + 2 < end and data[i + 1] == ord("2") and (data[i + 2] | 32) == ord("e"):
                return at, ASK
            out[at] = byte
            at += 1
        elif kind & _PATH_CODED and not _surrogate(data, i, end):
            at = _coded(byte, out, at)
        else:
            return at, ASK
        i += 1
    if i == end or data[i] == HASH:
        return at, OK
    return _query(data, i, end, out, at)


@njit
def _query(data, start, end, out, at):
    out[at] = QUESTION
    at += 1
    for i in range(start + 1, end):
        byte = data[i]
        if byte == HASH:
            break
        kind = _CLASS[byte]
        if kind & _QUERY:
            out[at] = byte
            at += 1
        elif kind & _QUERY_CODED and not _surrogate(data, i, end):
            at = _coded(byte, out, at)
        else:
            return at, ASK
    return at, OK


@njit
def _surrogate(data, i, end):
    """Whether half of a surrogate pair begins here, which is no character."""
    return data[i] == 0xED and i + 1 < end and data[i + 1] >= 0xA0


@njit
def _coded(byte, out, at):
    out[at] = _PERCENT
    out[at + 1] = _UPPER_HEX[byte >> 4]
    out[at + 2] = _UPPER_HEX[byte & 15]
    return at + 3
