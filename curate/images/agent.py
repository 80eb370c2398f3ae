"""Who we are to servers: a product token, a version, and whom to ask."""

import re

from curate import CurateError, __version__

TOKEN = "curatebot"
"""The product token of a recipe that names none."""
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_CONTACT = re.compile(r"(?:https?://[^\s()<>\"\\]+|mailto:[^\s()<>\"\\@]+@[^\s()<>\"\\]+)")


class ContactError(CurateError, ValueError):
    """Strangers' servers would be asked by nobody in particular."""


def check(token: str | None, contact: str | None) -> None:
    """ValueError for a token or contact that a header cannot carry, with a form that it can."""
    if token is not None and not _TOKEN.fullmatch(token):
        raise ValueError(f"user_agent: {token!r} is no product token; write letters, digits, `-`, `_`, `.`: mybot")
    if contact is not None and not (contact.isascii() and _CONTACT.fullmatch(contact)):
        raise ValueError(f"contact: {contact!r} is no address; write https://example.org/bot or mailto:bot@example.org")


def agent(token: str | None, contact: str | None) -> str:
    """The User-Agent header: `mybot/0.1.0 (+https://example.org/bot)`."""
    return f"{token or TOKEN}/{__version__}" + (f" (+{contact})" if contact else "")


def require_contact(contact: str | None, allow_addresses: tuple[str, ...]) -> None:
    """ContactError when the web at large would be asked without a word on whom to turn to."""
    if contact is None and not allow_addresses:
        raise ContactError(
            "download.contact is not set, and servers must be able to see whom to ask about these requests. Set it to a page or "
            "a mailbox: download.contact=https://example.org/bot or download.contact=mailto:bot@example.org"
        )
