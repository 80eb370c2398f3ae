"""Personal data in texts: e-mail addresses, telephone numbers and payment cards, counted in one pass over each text.

What is looked for is strict, so that years, sizes and article numbers do not count; a number without the marks of a telephone
number (`5551234`) or an address that hides (`name at example dot org`) is not found. No step goes back further than a fixed number
of characters, so that the time is linear in the text whatever stands in it.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from curate.kernels import compiled
from curate.texts.addresses import ATOM, digit, is_email, letter
from curate.texts.points import Points

GROUPS = 32
"""Groups of digits that are looked at together; longer rows of them are tables, and go on in a next look."""


class Personal(NamedTuple):
    """How many of each a text has: int32 arrays with a value a text."""

    emails: np.ndarray
    phones: np.ndarray
    cards: np.ndarray


def count(texts: Points) -> Personal:
    """Counts personal data in texts.

    E-mail: `local@domain`, unquoted atoms, a domain of two labels or more of which the last is of letters. Telephone: 7 to 15 digits
    behind a +; or 9 and more in groups that blanks, dots, hyphens or slashes part, behind an area code in parentheses or a leading
    0; or groups of 3, 3 and 4 as in North America (E.164 and E.123 for the marks). A date is none. Card: 13 to 19 digits in one
    piece or in groups behind one of 4, with a known issuer's first digits and Luhn's check digit (ISO/IEC 7812).
    """
    return Personal(*_count(texts.points, texts.ends, texts.kinds, ATOM))


@compiled
def _count(points, ends, kinds, atom):
    rows = len(ends) - 1
    emails, phones, cards = np.zeros(rows, np.int32), np.zeros(rows, np.int32), np.zeros(rows, np.int32)
    starts, stops = np.empty(GROUPS, np.int64), np.empty(GROUPS, np.int64)
    for row in range(rows):
        at, end = ends[row], ends[row + 1]
        while at < end:
            point = points[at]
            if point == 64:
                emails[row] += is_email(points, ends[row], at, end, atom)
            elif 48 <= point <= 57:
                n = _groups(points, at, end, kinds, starts, stops)
                found_cards, found_phones = _numbers(points, ends[row], starts, stops, n)
                cards[row] += found_cards
                phones[row] += found_phones
                at = stops[n - 1]
                continue
            at += 1
    return emails, phones, cards


@njit
def _groups(points, at, end, kinds, starts, stops):
    """The groups of ASCII digits from a place on that marks of a number part, into `starts` and `stops`. Returns how many."""
    n = 0
    while n < GROUPS:
        starts[n] = at
        while at < end and digit(points[at]):
            at += 1
        stops[n] = at
        n += 1
        gap = at
        while gap < end and gap - at < 3 and _parts(points[gap], kinds):
            gap += 1
        if gap == at or gap == end or not digit(points[gap]):
            break
        if gap - at > 1 and not _parenthesis(points, at, gap) and points[at] != 32:
            break
        at = gap
    return n


@njit
def _parts(point, kinds):
    """Whether a mark may stand between the groups of a number: a blank, parentheses, a hyphen or dash, a dot, a slash."""
    return (kinds[point] & 1 != 0 and point not in (10, 13)) or point in (
        40,
        41,
        45,
        46,
        47,
        0x2010,
        0x2011,
        0x2012,
        0x2013,
    )


@njit
def _parenthesis(points, at, gap):
    for place in range(at, gap):
        if points[place] in (40, 41):
            return True
    return False


@njit
def _numbers(points, begin, starts, stops, n):
    """Cards and telephone numbers among groups of digits, each group in one of them at most."""
    cards, phones, i, fresh = 0, 0, 0, True
    while i < n:
        used = _card(points, starts, stops, n, i)
        if used:
            cards += 1
        else:
            used = _phone(points, begin, starts, stops, n, i, fresh)
            phones += used > 0
        i, fresh = i + max(used, 1), used > 0
    return cards, phones


@njit
def _card(points, starts, stops, n, i):
    """How many groups from the i-th on are a card's number; 0 where they are none."""
    digits = 0
    for j in range(i, n):
        digits += stops[j] - starts[j]
        if digits > 19 or (
            j > i and (stops[i] - starts[i] != 4 or starts[j] - stops[j - 1] != 1 or points[stops[j - 1]] in (46, 47))
        ):
            return 0
        if digits >= 13 and _issued(points, starts[i], digits, i, j, starts, stops):
            total = 0
            place = 0
            for k in range(j, i - 1, -1):
                for at in range(stops[k] - 1, starts[k] - 1, -1):
                    digit = int(points[at]) - 48
                    if place & 1:
                        digit = 2 * digit - 9 * (digit > 4)
                    total += digit
                    place += 1
            if total % 10 == 0:
                return j - i + 1
    return 0


@njit
def _issued(points, first, digits, i, j, starts, stops):
    """Whether a number's first four digits and its length are those of an issuer that is known."""
    head, taken = 0, 0
    for k in range(i, j + 1):
        for at in range(starts[k], stops[k]):
            if taken < 4:
                head = 10 * head + int(points[at]) - 48
                taken += 1
    if head // 1000 == 4:  # Visa
        return digits in (13, 16, 19)
    if 5100 <= head <= 5599 or 2221 <= head <= 2720:  # Mastercard
        return digits == 16
    if head // 100 in (34, 37):  # American Express
        return digits == 15
    if 3000 <= head <= 3059 or head // 100 in (36, 38, 39):  # Diners Club
        return 14 <= digits <= 19
    if 3528 <= head <= 3589:  # JCB
        return digits >= 16
    # Discover, UnionPay
    return digits >= 16 and (head == 6011 or 6440 <= head <= 6599 or head // 100 == 62)


@njit
def _phone(points, begin, starts, stops, n, i, fresh):
    """How many groups from the i-th on are a telephone number; 0 where they are none. `fresh`: no other number's groups stand
    right before, as they do within 1 000 000 000."""
    before = np.int64(points[starts[i] - 1]) if starts[i] > begin else 32
    first = stops[i] - starts[i]
    if before == 43:
        outer = points[starts[i] - 2] if starts[i] - 2 >= begin else np.uint32(32)
        return 0 if letter(outer) or digit(outer) or outer == 43 else _extent(points, starts, stops, n, i, 7, 15)
    if before == 40 and 2 <= first <= 5 and i + 1 < n and points[stops[i]] == 41:
        return _extent(points, starts, stops, n, i, 9, 15)
    if before not in (32, 40, 58, 47, 44, 59, 9, 0xA0, 10) or _is_date(points, starts, stops, n, i):
        return 0
    if fresh and points[starts[i]] == 48 and first <= 5 and i + 1 < n and not (first == 1 and points[stops[i]] == 46):
        used = _extent(points, starts, stops, n, i, 9, 14)
        last = stops[i + used - 1] - starts[i + used - 1]
        # Two groups of 5 and 4 are a postal code of the United States.
        return used if used > 1 and last > 1 and not (used == 2 and first == 5 and last == 4) else 0
    lead = i + (first == 1 and points[starts[i]] == 49)
    if lead + 2 < n and stops[lead] - starts[lead] == 3 and stops[lead + 1] - starts[lead + 1] == 3:
        one, two = points[stops[lead]], points[stops[lead + 1]]
        if stops[lead + 2] - starts[lead + 2] == 4 and points[starts[lead]] > 49 and points[starts[lead + 1]] > 49:
            return lead + 3 - i if (one == two or one == 32) else 0  # 252.227-7013 is a paragraph
    return 0


@njit
def _extent(points, starts, stops, n, i, least, most):
    """How many groups from the i-th on have up to `most` digits together; 0 where these are fewer than `least`."""
    digits, j = 0, i
    while j < n and digits + stops[j] - starts[j] <= most and (j == i or points[starts[j] - 1] != 43):
        digits += stops[j] - starts[j]
        j += 1
    return j - i if digits >= least else 0


@njit
def _is_date(points, starts, stops, n, i):
    """Whether three groups are a date: 2021-04-03 or 3.4.2021, with one mark twice."""
    if i + 2 >= n or points[stops[i]] != points[stops[i + 1]]:
        return False
    a, b, c = stops[i] - starts[i], stops[i + 1] - starts[i + 1], stops[i + 2] - starts[i + 2]
    return (a == 4 and b <= 2 and c <= 2) or (a <= 2 and b <= 2 and c == 4)
