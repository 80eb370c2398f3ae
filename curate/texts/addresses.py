"""E-mail addresses among code points: the part of RFC 5322 that people use."""

import numpy as np
from numba import njit

LOCAL, DOMAIN, LABEL = 64, 255, 63
"""Most characters of an address's local part, of its domain, and of a label of it (RFC 5321, 4.5.3.1; RFC 1035, 2.3.4)."""
ATOM = np.zeros(128, np.bool_)
"""ASCII that may stand in the local part of an address without quotes (RFC 5322, 3.2.3), and the dot."""
ATOM[[ord(c) for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~."]] = True


@njit
def letter(point):
    return ((point | 32) >= 97) & ((point | 32) <= 122)


@njit
def digit(point):
    return (point >= 48) & (point <= 57)


@njit
def is_email(points, begin, at, end, atom):
    """Whether the @ at a place parts an address."""
    local = at - 1
    while local >= begin and points[local] < 128 and atom[points[local]] and at - local <= LOCAL + 1:
        # A dot before a dot or the @: no address goes through it.
        if points[local] == 46 and (points[local + 1] == 46 or points[local + 1] == 64):
            return False
        local -= 1
    length = at - local - 1
    if length < 1 or length > LOCAL or points[local + 1] == 46 or (local >= begin and points[local] == 64):
        return False
    # `logo@2x.png` names an image for screens of twice as many pixels.
    if at + 3 < end and digit(points[at + 1]) and points[at + 2] | 32 == 120 and points[at + 3] == 46:
        return False
    labels, label, letters, hyphen = 0, 0, 0, False
    for place in range(at + 1, min(at + DOMAIN + 1, end)):
        point = points[place]
        if letter(point) or digit(point):
            label, letters, hyphen = label + 1, letters + letter(point), False
        elif point == 45 and label:
            label, hyphen = label + 1, True
        elif point == 46 and 0 < label <= LABEL and not hyphen:
            if place + 1 == end or not (letter(points[place + 1]) or digit(points[place + 1])):
                break  # the end of a sentence
            labels, label, letters = labels + 1, 0, 0
        else:
            break
    return labels > 0 and 2 <= label <= LABEL and letters == label
