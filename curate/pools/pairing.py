"""Candidates of a batch of images: each address with each text, cleaned, named by its hashes, and counted where there is none."""

import numpy as np
from numba import njit

from curate.kernels import compiled, copy, uncounted
from curate.pools.url_parts import ASK, BAD, NOT_HTTP, OK, TOO_LONG
from curate.pools.xxh3 import write_hex, xxh3_128

COUNTS = ("kept", "empty_text", "text_too_long", "no_url", "url_not_http", "url_too_long", "bad_url", "texts_repaired")
"""What is counted: rows, and the reasons why there are none."""
KEPT, EMPTY_TEXT, TEXT_TOO_LONG, NO_URL, URL_NOT_HTTP, URL_TOO_LONG, BAD_URL, REPAIRED = range(len(COUNTS))
_REASONS = np.zeros(ASK + 1, np.int64)
for _state, _reason in ((NOT_HTTP, URL_NOT_HTTP), (TOO_LONG, URL_TOO_LONG), (BAD, BAD_URL)):
    _REASONS[_state] = _reason
COUNTED = len(COUNTS)
MOST = 8
"""Addresses, and texts, of one image that are looked at."""


@compiled
def room(address_of, text_of, url_starts, url_ends, text_starts, text_ends):
    """(rows, bytes of URLs, bytes of texts, bytes of scratch) that the candidates of images need at most."""
    rows = urls = texts = longest = 0
    for image in range(len(address_of) - 1):
        addresses, words = address_of[image + 1] - address_of[image], text_of[image + 1] - text_of[image]
        url = text = 0
        for i in range(address_of[image], address_of[image + 1]):
            url += url_ends[i] - url_starts[i]
        for i in range(text_of[image], text_of[image + 1]):
            text += 3 * (text_ends[i] - text_starts[i])  # A control character becomes three bytes.
        rows += addresses * words
        urls += url * words
        texts += text * addresses
        longest = max(longest, url + 2 * text + 1)  # All its texts, and a pair as it is hashed.
    return rows, urls, texts, longest


@compiled
def pair(address_of, text_of, url_starts, url_ends, text_starts, text_ends, pages, urls, states, data, kinds, limit, scratch,
         places, row_pages, row_kinds, url_out, url_at, text_out, text_at, uids, image_uids, counts):  # fmt: skip
    """Writes the candidates of images, in order; returns their number and adds to `counts`.

    Image i has the addresses address_of[i] to address_of[i + 1] (URLs in `urls`, with their states) and texts likewise. `url_at` and
    `text_at` are offsets as Arrow has them; `uids` and `image_uids` get 32 hex digits a row. `places` is scratch of int64 (4, MOST); the rest has room for what `room` says.
    """
    url_starts, url_ends, urls, states = uncounted(url_starts), uncounted(url_ends), uncounted(urls), uncounted(states)
    text_starts, text_ends, data, kinds = (
        uncounted(text_starts),
        uncounted(text_ends),
        uncounted(data),
        uncounted(kinds),
    )
    scratch, places, url_out, text_out, uids, image_uids = (
        uncounted(scratch), uncounted(places), uncounted(url_out), uncounted(text_out), uncounted(uids), uncounted(image_uids),
    )  # fmt: skip
    row = 0
    url_at[0] = text_at[0] = 0
    found, from_, to, sort = places[0], places[1], places[2], places[3]
    high, low = np.empty(MOST, np.uint64), np.empty(MOST, np.uint64)
    for image in range(len(address_of) - 1):
        number, problem = _distinct(address_of[image], address_of[image + 1], urls, url_starts, url_ends, states, found)
        words = _texts(
            text_of[image], text_of[image + 1], data, text_starts, text_ends, kinds, scratch, from_, to, sort
        )
        if number == 0 or words == 0:
            counts[EMPTY_TEXT if number else problem] += max(number, words, 1)
            continue
        for i in range(number):
            start = url_starts[found[i]]
            high[i], low[i] = xxh3_128(urls.ctypes.data + start, url_ends[found[i]] - start)
        pad = to[words - 1]
        for word in range(words):
            length = to[word] - from_[word]
            if length > limit:
                counts[TEXT_TOO_LONG] += number
                continue
            counts[KEPT] += number
            counts[REPAIRED] += _repaired(scratch, from_[word], to[word])
            for i in range(number):
                start, end = url_starts[found[i]], url_ends[found[i]]
                _copy(urls, start, end, url_out, url_at[row])
                url_at[row + 1] = url_at[row] + end - start
                _copy(scratch, from_[word], to[word], text_out, text_at[row])
                text_at[row + 1] = text_at[row] + length
                _copy(urls, start, end, scratch, pad)
                middle = pad + end - start
                scratch[middle] = 0
                _copy(scratch, from_[word], to[word], scratch, middle + 1)
                upper, lower = xxh3_128(scratch.ctypes.data + pad, end - start + 1 + length)
                write_hex(upper, lower, uids.ctypes.data + 32 * row)
                write_hex(high[i], low[i], image_uids.ctypes.data + 32 * row)
                row_pages[row], row_kinds[row] = pages[image], sort[word]
                row += 1
    return row


@compiled
def gather(data, starts, ends, out, offsets):
    """Writes texts `data[starts[i]:ends[i]]` one behind the other, each to where its offset says."""
    data, out = uncounted(data), uncounted(out)
    for i in range(len(starts)):
        _copy(data, starts[i], ends[i], out, offsets[i])


@njit
def _copy(source, start, end, out, at):
    copy(np.uint64(out.ctypes.data) + np.uint64(at), np.uint64(source.ctypes.data) + np.uint64(start), end - start)


@njit
def _distinct(first, last, urls, starts, ends, states, found):
    """(number of distinct usable URLs, their indices in `found`; the reason why the last address has none)."""
    number, problem = 0, NO_URL
    for i in range(first, last):
        if states[i] != OK:
            problem = _REASONS[states[i]]
            continue
        new = number < MOST
        for j in range(number):
            new &= not _same(urls, starts[i], ends[i], urls, starts[found[j]], ends[found[j]])
        if new:
            found[number] = i
            number += 1
    return number, problem


@njit
def _texts(first, last, data, starts, ends, kinds, scratch, from_, to, sort):
    """Distinct texts of an image, cleaned and without the blanks at their ends, in the scratch; each with the first kind that gives it."""
    number, at = 0, 0
    for i in range(first, last):
        start, end = _stripped(data, starts[i], ends[i])
        stop = _cleaned(data, start, end, scratch, at)
        new = stop > at and number < MOST
        for j in range(number):
            new &= not _same(scratch, at, stop, scratch, from_[j], to[j])
        if new:
            from_[number], to[number], sort[number] = at, stop, kinds[i]
            number, at = number + 1, stop
    return number


@njit
def _same(one, start, end, other, begin, stop):
    if end - start != stop - begin:
        return False
    for i in range(end - start):
        if one[start + i] != other[begin + i]:
            return False
    return True


@njit
def _stripped(data, start, end):
    """The span without what Unicode calls white space at its ends; control characters are none here."""
    while start < end:
        step = _white(data, start, end)
        if step == 0:
            break
        start += step
    while start < end:
        step = 1 if data[end - 1] < 128 else 2 if end - start > 1 and data[end - 2] >= 0xC0 else 3
        if end - step < start or _white(data, end - step, end) != step:
            break
        end -= step
    return start, end


@njit
def _white(data, at, end):
    """Length of the white space character at `at`; 0 where there is none."""
    byte = data[at]
    if byte < 128:
        return byte == 32 or byte == 9 or byte == 10 or byte == 12 or byte == 13
    if byte == 0xC2 and at + 1 < end:
        return 2 * (data[at + 1] == 0x85 or data[at + 1] == 0xA0)
    if at + 2 >= end:
        return 0
    second, third = data[at + 1], data[at + 2]
    if byte == 0xE1:
        return 3 * (second == 0x9A and third == 0x80)
    if byte == 0xE2 and second == 0x80:
        return 3 * (third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF)
    if byte == 0xE2:
        return 3 * (second == 0x81 and third == 0x9F)
    return 3 * (byte == 0xE3 and second == 0x80 and third == 0x80)


@njit
def _cleaned(data, start, end, out, at):
    """The end of a copy in which U+FFFD stands for what cannot be stored: NUL and other controls, and halves of surrogate pairs."""
    odd = False
    for i in range(start, end):
        odd |= (data[i] < 32) | (data[i] == 0xED)
    if not odd:
        _copy(data, start, end, out, at)
        return at + end - start
    i = start
    while i < end:
        byte = data[i]
        control = byte < 32 and byte != 9 and byte != 10 and byte != 12 and byte != 13
        half = byte == 0xED and i + 1 < end and data[i + 1] >= 0xA0
        if control or half:
            out[at], out[at + 1], out[at + 2] = 0xEF, 0xBF, 0xBD
            at += 3
            i += 3 if half else 1
        else:
            out[at] = byte
            at += 1
            i += 1
    return at


@njit
def _repaired(data, start, end):
    """Whether U+FFFD is among the bytes."""
    some = False
    for i in range(start, end):
        some |= data[i] == 0xEF
    if not some:
        return False
    for i in range(start, end - 2):
        if data[i] == 0xEF and data[i + 1] == 0xBF and data[i + 2] == 0xBD:
            return True
    return False
