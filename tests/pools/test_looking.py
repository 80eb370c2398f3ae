"""Questions about bytes that are asked by blocks, against Python's own answers."""

import random

import pytest

from curate.pools import looking

PLAIN = [b"a", b"b" * 7, b"c" * 61, b"d" * 70, "\xe9".encode(), "\u6f22".encode(), "\U0001f600".encode()]
ODD = [b"\x1b", b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xe6\xbc", b"aption", b"APTION", b"apTion", b"aptio"]


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("pieces", [PLAIN, [*PLAIN, *ODD]])
def test_answers_do_not_depend_on_where_blocks_begin(pieces):
    draws = random.Random(1)
    seen = set()
    for _ in range(10_000):
        data = b"".join(draws.choices(pieces, k=draws.randrange(12)))
        utf8, escaped, captioned = is_utf8(data), b"\x1b" in data, b"aption" in data.lower()
        assert looking.well_formed(data) == looking.well_formed(memoryview(data)) == utf8, data
        assert looking.well_formed(data, escapes=False) == (utf8 and not escaped), data
        assert looking.captioned(data) == captioned, data
        seen.add((utf8, escaped, captioned))
    assert len(seen) == (8 if pieces is not PLAIN else 1)
