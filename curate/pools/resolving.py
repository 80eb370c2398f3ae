"""Addresses of a whole batch resolved at once, as `addresses.absolute` resolves each; what is out of the ordinary is left to it.

Ordinary is an http(s) URL, an address of the same scheme, host or folder, with the characters that all versions of the URL standard
treat alike: they are nearly all of the web's. Everything else (ports, IP addresses, international or upper-case hosts, backslashes,
other schemes, lone brackets ...) is answered with ASK.
"""

import numpy as np
from numba import njit

from curate.kernels import compiled, copy, uncounted
from curate.pools.looking import begins

OK, NOT_HTTP, TOO_LONG, BAD, ASK = range(5)
"""What became of an address: a URL; one of another scheme; one over the limit; none; not to be decided here."""
_PATH, _PATH_CODED, _QUERY, _QUERY_CODED, _HOST = (np.uint8(1 << i) for i in range(5))
_UPPER_HEX = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_HTTP, _HTTPS, _DATA = (np.frombuffer(text, np.uint8) for text in (b"http://", b"https://", b"data:"))
_SLASH, _DOT, _HASH, _QUESTION, _COLON, _DASH, _PERCENT = (np.uint8(ord(sign)) for sign in "/.#?:-%")


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


@compiled
def resolve(
    data, starts, ends, page_of, bases, base_starts, origins, folders, limit, out, url_starts, url_ends, states
):
    """Resolves every address `data[starts[i]:ends[i]]` (UTF-8) against the base of its page; returns bytes written to `out`.

    The base of page p is `bases[base_starts[p]:folders[p]]`, up to the last slash of its path, and its origin ends at
    `origins[p]`, which is -1 where it has none that is of use here. `out` must hold three times the address and its base.
    """
    data, bases, out = uncounted(data), uncounted(bases), uncounted(out)
    at = 0
    for i in range(len(starts)):
        page = page_of[i]
        end, state = _one(data, starts[i], ends[i], bases, base_starts[page], origins[page], folders[page], out, at)
        if state == OK and end - at > limit:
            state = TOO_LONG
        url_starts[i], url_ends[i], states[i] = at, at, state
        if state == OK:
            url_ends[i] = end
            at = end
    return at


@compiled
def dissect(data, starts, ends, origins, folders):
    """Writes where the origin of each URL (in WHATWG form) ends, -1 where it is not http(s), and where its folder ends."""
    data = uncounted(data)
    for i in range(len(starts)):
        origins[i], folders[i] = _anatomy(data, starts[i], ends[i])


@njit
def _anatomy(data, start, end):
    at = _after(data, start, end, _HTTP)
    if at < 0:
        at = _after(data, start, end, _HTTPS)
    if at < 0:
        return -1, -1
    while at < end and data[at] != _SLASH:
        at += 1
    folder = at
    for i in range(at, end):
        if data[i] == _QUESTION:
            break
        if data[i] == _SLASH:
            folder = i + 1
    return at if at < end else -1, folder


@njit
def _after(data, start, end, word):
    """Where the bytes go on behind a word that they begin with; -1 if they do not."""
    return start + len(word) if begins(data, start, end, word) else -1


@njit
def _copy(source, start, end, out, at):
    copy(np.uint64(out.ctypes.data) + np.uint64(at), np.uint64(source.ctypes.data) + np.uint64(start), end - start)
    return at + end - start


@njit
def _one(data, start, end, bases, base, origin, folder, out, at):
    """(end of the URL in `out`, state)."""
    while start < end and data[start] <= 32:
        start += 1
    while start < end and data[end - 1] <= 32:
        end -= 1
    if start == end or data[start] == _QUESTION or data[start] == _HASH:
        return at, ASK
    host = _after(data, start, end, _HTTP)
    if host < 0:
        host = _after(data, start, end, _HTTPS)
    if host >= 0:
        at = _copy(data, start, host, out, at)
    else:
        if _has_scheme(data, start, end):
            opaque = _after(data, start, end, _DATA)
            return at, NOT_HTTP if 0 <= opaque < end and data[opaque] != _SLASH else ASK
        if origin < 0:
            return at, ASK
        if data[start] == _SLASH and start + 1 < end and data[start + 1] == _SLASH:
            host = start + 2
            scheme = base
            while bases[scheme] != _SLASH:
                scheme += 1
            at = _copy(bases, base, scheme + 2, out, at)
    if host >= 0:
        at, start = _host(data, host, end, out, at)
        if at < 0:
            return at, ASK
        root = at
        out[at] = _SLASH
        at += 1
        start += start < end and data[start] == _SLASH
    elif data[start] == _SLASH:
        at = _copy(bases, base, origin + 1, out, at)
        root = at - 1
        start += 1
    else:
        root = at + origin - base
        at = _copy(bases, base, folder, out, at)
    return _path(data, start, end, out, root, at)


@njit
def _has_scheme(data, start, end):
    """Whether a colon stands before the first slash, question mark or hash."""
    for i in range(start, end):
        if data[i] == _COLON:
            return True
        if data[i] == _SLASH or data[i] == _QUESTION or data[i] == _HASH:
            return False
    return False


@njit
def _host(data, start, end, out, at):
    """(end of the host in `out`, its end in `data`); the first is -1 for one that is not plain."""
    label = start
    i = start
    while i < end and data[i] != _SLASH and data[i] != _QUESTION and data[i] != _HASH:
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
def _path(data, start, end, out, root, at):
    """Path and query from `start` on, behind the slash that stands before `at`; dots walk up to `root` at most."""
    segment = at
    i = start
    while True:
        byte = data[i] if i < end else _HASH
        if byte == _SLASH or byte == _QUESTION or byte == _HASH:
            length = at - segment
            if length == 1 and out[segment] == _DOT:
                at = segment
            elif length == 2 and out[segment] == _DOT and out[segment + 1] == _DOT:
                at = segment
                if at - 1 > root:
                    at -= 1
                    while out[at - 1] != _SLASH:
                        at -= 1
            elif byte == _SLASH:
                out[at] = _SLASH
                at += 1
            segment = at
            if byte != _SLASH:
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
    if i == end or data[i] == _HASH:
        return at, OK
    return _query(data, i, end, out, at)


@njit
def _query(data, start, end, out, at):
    out[at] = _QUESTION
    at += 1
    for i in range(start + 1, end):
        byte = data[i]
        if byte == _HASH:
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
