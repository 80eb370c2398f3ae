"""robots.txt by RFC 9309, and the lines of later drafts that stand in its groups beside Allow and Disallow.

Written here because what a stranger's file may cost must be bounded, and because parsers at hand keep a list of rules for
each named crawler (17,000 names above 28,000 rules fit into 500 KiB, and into no memory), match a token by its beginning,
and do not say which line decided. Only groups that are meant for us are kept.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

MAX_BYTES = 500 * 1024
"""What is read of a file: the least that RFC 9309 (2.5) lets a crawler stop at."""
MAX_WILDCARDS = 4096
"""Rules with a wildcard in one group. They are tried one by one for each image; a file with more is taken as a refusal."""
MAX_STATEMENTS = 4096
"""Lines of one later field in one group that are kept; the rest says nothing."""

_AGENT = re.compile(rb"[A-Za-z0-9_.-]+")
_BOM = b"\xef\xbb\xbf"
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_URL = re.compile(rb"%([0-9A-Fa-f]{2})|[^A-Za-z0-9._~:/?#\[\]@!&'()+,;=-]")
_PATTERN = re.compile(rb"%([0-9A-Fa-f]{2})|[^A-Za-z0-9._~:/?#\[\]@!&'()+,;=*$-]")
"""What of a path is rewritten: escapes, and all that is neither unreserved nor reserved in RFC 3986. `*` and `$` are
reserved too, but a pattern gives them a meaning, so that a URL's own are encoded."""
_QUERY_ESCAPE = re.compile(r"%(?:3A|2F)")


def normal(path: str | bytes, pattern: bool = False) -> str:
    """A path with its query as RFC 9309 (2.2.2) compares them: unreserved characters plain, all else percent-encoded.

    Reserved characters stay as they are written, apart from `:` and `/` in a query, which the RFC's own table holds equal
    to %3A and %2F. `*` and `$` of a URL are encoded; those of a pattern stay.
    """
    raw = path if isinstance(path, bytes) else _bytes(path)

    def one(match: re.Match[bytes]) -> bytes:
        code = int(match[1], 16) if match[1] else match[0][0]
        return bytes([code]) if match[1] and code in _UNRESERVED else b"%%%02X" % code

    before, mark, query = (_PATTERN if pattern else _URL).sub(one, raw).decode("ascii").partition("?")
    return before + mark + _QUERY_ESCAPE.sub(lambda m: ":" if m[0] == "%3A" else "/", query)


class Patterns:
    """Patterns of paths, each with a value; finds the longest one that fits a path."""

    def __init__(self, rules: Iterable[tuple[str, str]]):
        """(pattern as written, value) in the order of the file."""
        self._plain: dict[str, list[tuple[str, str]]] = {}
        self._wild: list[tuple[str, tuple[str, str]]] = []
        for written, value in rules:
            pattern = normal(written, pattern=True)
            pattern = pattern[:-1].replace("$", "%24") + pattern[-1:]
            if "*" in pattern or pattern.endswith("$"):
                self._wild.append((re.sub(r"\*+", "*", pattern), (written, value)))
            else:
                self._plain.setdefault(pattern, []).append((written, value))
        self._wild.sort(key=lambda rule: -len(rule[0]))
        self._lengths = sorted({len(pattern) for pattern in self._plain})

    @property
    def wildcards(self) -> int:
        return len(self._wild)

    @property
    def weight(self) -> int:
        """About how many bytes these take."""
        plain = sum(200 + 3 * len(p) for p, found in self._plain.items() for _ in found)
        return plain + sum(200 + 3 * len(p) for p, _ in self._wild)

    def longest(self, path: str) -> list[tuple[str, str]]:
        """(pattern as written, value) of all rules whose pattern is the longest that fits a normal path; often one."""
        found: list[tuple[str, str]] = []
        most = 0
        for length in reversed(self._lengths[: bisect_right(self._lengths, len(path))]):
            at = self._plain.get(path[:length])
            if at is not None:
                found, most = list(at), length
                break
        for pattern, rule in self._wild:
            if len(pattern) < most:
                break
            if _fits(pattern, path):
                found, most = ([*found, rule] if len(pattern) == most else [rule]), len(pattern)
        return found


def _fits(pattern: str, path: str) -> bool:
    """Whether a pattern with wildcards fits. Each piece is looked for once, leftmost first: no backtracking."""
    end = pattern.endswith("$")
    first, *pieces = (pattern[:-1] if end else pattern).split("*")
    if not path.startswith(first):
        return False
    if not pieces:
        return not end or len(path) == len(first)
    at = len(first)
    for piece in pieces[:-1]:
        at = path.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    last = pieces[-1]
    return path.endswith(last) and len(path) - len(last) >= at if end else path.find(last, at) >= 0


@dataclass
class Group:
    """What one token, or everybody (`*`), is told: the groups of a file that name it, merged."""

    agent: str
    access: Patterns
    """Values are `allow` and `disallow`."""
    others: dict[str, Patterns] = field(default_factory=dict)
    """Lines of later fields, by field; values are what stands behind the path."""

    def forbids(self, path: str) -> str | None:
        """The line that forbids a normal path; of equally long rules Allow wins (2.2.2)."""
        if self.access.wildcards > MAX_WILDCARDS:
            return f"more than {MAX_WILDCARDS:,} rules with wildcards"
        found = self.access.longest(path)
        if not found or any(value == "allow" for _, value in found):
            return None
        return f"Disallow: {found[0][0]}"


@dataclass(frozen=True)
class Robots:
    """A parsed file: the groups that count for us. Ours or that of `*` first, then those of other tokens that it names."""

    groups: tuple[Group, ...] = ()

    @property
    def weight(self) -> int:
        """About how many bytes this takes."""
        patterns = [p for group in self.groups for p in (group.access, *group.others.values())]
        return 500 + sum(pattern.weight for pattern in patterns)

    def forbids(self, path: str) -> tuple[str, str] | None:
        """(line, token of its group) that forbids a path with its query; None where it may be asked for."""
        wanted = normal(path)
        for group in self.groups:
            line = group.forbids(wanted)
            if line is not None:
                return line, group.agent
        return None

    def statements(self, name: str, path: str) -> Iterator[tuple[str, str]]:
        """(statement, token of its group) of the field `name` with the longest pattern that fits, for each group."""
        wanted = normal(path)
        for group in self.groups:
            if name in group.others:
                yield from ((value, group.agent) for _, value in group.others[name].longest(wanted))


def parse(body: bytes, agent: str, also: Collection[str] = (), fields: Collection[str] = ()) -> Robots:
    """The groups of a robots.txt that are meant for `agent` (by default those of `*`), and for the tokens `also` if named.

    `fields` are the lower-case names of further fields whose lines are kept. Nothing in `body` is an error.
    """
    ours = agent.lower()
    wanted = {ours, "*", *(token.lower() for token in also)}
    rules: dict[str, list[tuple[str, str, str]]] = {}
    current: set[str] = set()
    naming = False
    for name, value in _lines(body):
        if name == "user-agent":
            current = current if naming else set()
            naming = True
            token = _token(value)
            if token in wanted:
                current.add(token)
                rules.setdefault(token, [])
        elif name in ("allow", "disallow") or name in fields:
            naming = False
            rule = _rule(name, value) if current else None
            for token in current if rule else ():
                rules[token].append(rule)  # type: ignore[arg-type]
    first = ours if ours in rules else "*"
    chosen = [token for token in dict.fromkeys((first, *sorted(wanted - {"*", ours}))) if token in rules]
    return Robots(tuple(_group(token, rules[token]) for token in chosen))


_SPELLINGS = {
    "useragent": "user-agent", "user agent": "user-agent", "dissallow": "disallow", "dissalow": "disallow",
    "disalow": "disallow", "diasllow": "disallow", "disallaw": "disallow",
}  # fmt: skip
"""What people write for it; a misspelt no is a no."""


def _lines(body: bytes) -> Iterator[tuple[str, bytes]]:
    """(field in lower case, value) of the lines that have both a field and a colon, or a blank for want of one."""
    text = body[:MAX_BYTES]
    if len(body) > MAX_BYTES:  # what is cut in two may say something else
        text = text[: max(text.rfind(b"\n"), text.rfind(b"\r")) + 1]
    for line in re.split(rb"[\r\n]+", text.removeprefix(_BOM)):
        line = line.partition(b"#")[0].strip(b" \t")
        name, colon, value = line.partition(b":")
        if not colon:
            name, _, value = line.partition(b" ")
        if len(name) <= 40:
            word = name.strip(b" \t").lower().decode("latin-1")
            yield _SPELLINGS.get(word, word), value.strip(b" \t")


def _token(value: bytes) -> str:
    """The product token of a user-agent line, without version or comment, in lower case."""
    if value.startswith(b"*"):
        return "*"
    match = _AGENT.match(value)
    return match[0].decode("ascii").lower() if match else ""


def _rule(name: str, value: bytes) -> tuple[str, str, str] | None:
    """(kind, pattern, value) of a rule; None for one without a pattern (`Disallow:` forbids nothing)."""
    if name in ("allow", "disallow"):
        return ("access", _text(value), name) if value else None
    # The path is optional since -01 of the draft, and stands for all of them where it is not there.
    path, _, statement = value.partition(b" ") if value.startswith(b"/") else (b"/", b"", value)
    if b"\t" in path:
        path, _, statement = value.partition(b"\t")
    return (name, _text(path), _text(statement.strip(b" \t"))) if statement else None


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte of a file
        return text.encode("utf-8", "replace")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _group(agent: str, rules: list[tuple[str, str, str]]) -> Group:
    kinds: dict[str, list[tuple[str, str]]] = {}
    for kind, pattern, value in dict.fromkeys(rules):
        kinds.setdefault(kind, []).append((pattern, value))
    others = {kind: Patterns(found[:MAX_STATEMENTS]) for kind, found in kinds.items() if kind != "access"}
    return Group(agent, Patterns(kinds.get("access", ())), others)
