"""Addresses of a whole batch resolved at once, as `addresses.absolute` resolves each; what is out of the ordinary is left to it.

Ordinary is an http(s) URL, an address of the same scheme, host or folder, with the characters that all versions of the URL standard
treat alike: they are nearly all of the web's. Everything else (ports, IP addresses, international or upper-case hosts, backslashes,
other schemes, lone brackets ...) is answered with ASK.
"""

import numpy as np
from numba import njit

from curate.kernels import compiled, copy, uncounted
from curate.pools.looking import begins
from curate.pools.url_parts import ASK, COLON, HASH, NOT_HTTP, OK, QUESTION, SLASH, TOO_LONG, host_of, path_of

_HTTP, _HTTPS, _DATA = (np.frombuffer(text, np.uint8) for text in (b"http://", b"https://", b"data:"))


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
    while at < end and data[at] != SLASH:
        at += 1
    folder = at
    for i in range(at, end):
        if data[i] == QUESTION:
            break
        if data[i] == SLASH:
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
    if start == end or data[start] == QUESTION or data[start] == HASH:
        return at, ASK
    host = _after(data, start, end, _HTTP)
    if host < 0:
        host = _after(data, start, end, _HTTPS)
    if host >= 0:
        at = _copy(data, start, host, out, at)
    else:
        if _has_scheme(data, start, end):
            opaque = _after(data, start, end, _DATA)
            return at, NOT_HTTP if 0 <= opaque < end and data[opaque] != SLASH else ASK
        if origin < 0:
            return at, ASK
        if data[start] == SLASH and start + 1 < end and data[start + 1] == SLASH:
            host = start + 2
            scheme = base
            while bases[scheme] != SLASH:
                scheme += 1
            at = _copy(bases, base, scheme + 2, out, at)
    if host >= 0:
        at, start = host_of(data, host, end, out, at)
        if at < 0:
            return at, ASK
        root = at
        out[at] = SLASH
        at += 1
        start += start < end and data[start] == SLASH
    elif data[start] == SLASH:
        at = _copy(bases, base, origin + 1, out, at)
        root = at - 1
        start += 1
    else:
        root = at + origin - base
        at = _copy(bases, base, folder, out, at)
    return path_of(data, start, end, out, root, at)


@njit
def _has_scheme(data, start, end):
    """Whether a colon stands before the first slash, question mark or hash."""
    for i in range(start, end):
        if data[i] == COLON:
            return True
        if data[i] == SLASH or data[i] == QUESTION or data[i] == HASH:
            return False
    return False
