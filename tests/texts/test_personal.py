"""Personal data: what counts and what does not, at the borders; and that no text takes long."""

import random

import pyarrow as pa
import pytest

from curate.texts import personal, points


def counts(text: str) -> tuple[int, int, int]:
    """E-mail addresses, telephone numbers and cards of a text."""
    found = personal.count(points.of(pa.array(["before a@b.de", text, "+49 30 123456"])))
    assert [column[[0, 2]].tolist() for column in found] == [[1, 0], [0, 1], [0, 0]]
    return found.emails[1], found.phones[1], found.cards[1]


EMAILS = ["a@b.de", "write to first.last+tag@mail.example.org.", "<x_y@sub-domain.example>", "邮箱:foo@bar.com。", "A@B.CO", "a@1.example",
          "mailto:a@b.example?subject=x", "o'neill@example.com", f"{'x' * 64}@example.com"]  # fmt: skip
NO_EMAILS = ["@artist", "me @ home.de", "a@b", "a@b.c", "a@b.12", ".a@b.de", "a.@b.de", "a..b@c.de", "a@-b.de", "a@b-.de", "a@b..de", "logo@2x.png",
             "name at example dot org", f"{'x' * 65}@example.com", f"a@{'x' * 64}.com", "@", "a@@b.de"]  # fmt: skip


@pytest.mark.parametrize("text", EMAILS)
def test_addresses_are_found(text):
    assert counts(text) == (1, 0, 0)


@pytest.mark.parametrize("text", NO_EMAILS)
def test_what_only_has_an_at_sign_is_no_address(text):
    assert counts(text) == (0, 0, 0)


def test_several_addresses_count_and_one_inside_another_does_not():
    assert counts("a@b.de, c@d.org; e@f.co.uk")[0] == 3
    assert counts("a@b.com@c.com")[0] == 1


PHONES = ["+44 20 7946 0958", "+1 (555) 010-9999", "+4930123456", "+1234567", "(555) 123-4567", "call 555-234-5678 now", "1-800-555-1234", "020 7946 0958",
          "01 23 45 67 89", "0301/234567", "Tel:030 1234567", "0044 20 7946 0958", "800.555.0199"]  # fmt: skip
NO_PHONES = ["2019-2020", "Boston, MA 02110-1301 USA", "02110-1301", "Clause 252.227-7013 (c)", "2021-04-03", "03.04.2021", "03/04/2021 10:15", "1920x1080", "1920 1080", "ISBN 0-306-40615-2", "978-0-306-40615-7", "192.168.0.1", "5551234",
             "0.123456789", "B0123 4567", "12 34 56", "+123456", "1 000 000 000", "555 123 4567", "lot of 1000 200 300", "007", "24/7", "+12345678901234567", "1+1234567"]  # fmt: skip


@pytest.mark.parametrize("text", PHONES)
def test_telephone_numbers_are_found(text):
    assert counts(text) == (0, 1, 0)


@pytest.mark.parametrize("text", NO_PHONES)
def test_other_numbers_are_no_telephone_numbers(text):
    assert counts(text) == (0, 0, 0)


CARDS = ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "5555 5555 5555 4444", "3782 822463 10005", "378282246310005", "6011111111111117",
         "3530111333300000", "2221000000000009", "4222222222222", "card 4111 1111 1111 1111 123", "6200000000000005"]  # fmt: skip
NO_CARDS = ["4111111111111112", "4111 1111 1111 1121", "0000000000000000", "9780306406157", "41111111 11111111", "4111.1111.1111.1111", "4111", "1234567812345670",
            "4111 1111 1111", "5000000000000009", "41111111111111111111"]  # fmt: skip


@pytest.mark.parametrize("text", CARDS)
def test_cards_are_found(text):
    assert counts(text) == (0, 0, 1)


@pytest.mark.parametrize("text", NO_CARDS)
def test_other_digits_are_no_cards(text):
    assert counts(text)[2] == 0


def test_of_random_digits_of_an_issuer_a_tenth_passes_the_check():
    draw = random.Random(0)
    numbers = pa.array([f"4{draw.randrange(10**15):015d}" for _ in range(5000)])
    assert 400 < int(personal.count(points.of(numbers)).cards.sum()) < 600


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "unit", ["a@", "a.", "1 ", "4111 ", "+1", "(1)", "0", "a@a.", "1-", "x" * 64 + "@", "4" * 19 + " ", "(555) "]
)
def test_no_text_takes_long(unit):
    personal.count(points.of(pa.array([unit * (2_000_000 // len(unit))])))
