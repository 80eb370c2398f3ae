"""Who opted out: pairs by the rule that forbids them, and the domains that said so."""

from collections import Counter
from functools import cache
from ipaddress import ip_address
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.images import generations
from curate.images.agent import agent
from curate.images.consent.rules import Rule, load, table
from curate.images.status import OPTED_OUT
from curate.recipe import Recipe
from curate.report.pool import counted, host_of
from curate.report.sampling import Top
from curate.report.untrusted import clip

TOP = 15
_TAB = "\t"
"""Stands in no host, since URLs hold none, and in no name of a rule."""


def consent(workdir: str, recipe: Recipe) -> dict[str, Any] | None:
    """Counts of pairs as plain values; None before the download. Their sum over rules is the funnel's `opted_out`."""
    images, settings = generations.newest(workdir), recipe.download
    manifest = images.manifest()
    if manifest is None:
        return None
    rules = load(settings.consent_rules)
    heeded = {rule.name for rule in table(settings.consent_rules, settings.consent_off).rules}
    on_page = pa.array([rule.name for rule in rules if rule.read == "page_meta"], pa.string())
    by_rule: Counter[str] = Counter()
    domains = Top()
    for rows in images.batches(["url", "page_url", "reason", "opt_out"]):
        rows = rows.filter(pc.equal(rows["reason"], OPTED_OUT))
        names = pc.fill_null(rows["opt_out"], "unknown")
        by_rule.update(counted(names))
        # What a page says, its own domain says, wherever its images are kept.
        speakers = pc.if_else(pc.is_in(names, on_page), pc.fill_null(rows["page_url"], ""), rows["url"])
        domains.add(_by_domain(counted(pc.binary_join_element_wise(host_of(speakers), names, _TAB))))
    return {
        "mode": settings.consent,
        "user_agent": agent(settings.user_agent, settings.contact),
        "robots_agents": list(settings.robots_agents),
        "table": settings.consent_rules,
        "opted_out": by_rule.total(),
        "not_opted_in": manifest.ledger.dropped.get("not_opted_in", 0),
        "robots_unreachable": manifest.ledger.failed.get("robots_unreachable", 0),
        "rules": [_rule(rule, rule.name in heeded, by_rule[rule.name]) for rule in rules],
    } | _speakers(domains)


def _rule(rule: Rule, heeded: bool, pairs: int) -> dict[str, Any]:
    return {
        "name": rule.name, "read": rule.read, "field": rule.field, "when": rule.when, "forbids": list(rule.forbids),
        "source": rule.source, "heeded": heeded, "pairs": pairs,
    }  # fmt: skip


def _by_domain(by_host: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for key, pairs in by_host.items():
        host, _, rule = key.partition(_TAB)
        found[f"{domain(host)}{_TAB}{rule}"] += pairs
    return found


def _speakers(said: Top) -> dict[str, Any]:
    """The domains with the most pairs, with the rules by which they spoke; and how many domains spoke."""
    totals: Counter[str] = Counter()
    rules: dict[str, list[str]] = {}
    for key, pairs in said.most(len(said.counts)):
        name, _, rule = key.partition(_TAB)
        totals[name] += pairs
        rules.setdefault(name, []).append(rule)
    most = sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:TOP]
    return {
        "domains": [{"name": name, "pairs": pairs, "rules": rules[name]} for name, pairs in most],
        "domains_met": len(totals),
        "domains_error": said.error,
    }


def domain(host: str) -> str:
    """The registrable domain of a host as URLs write it, by the Public Suffix List; the host without its port where it has none.

    `a.b.co.uk:8080` -> `b.co.uk`, `127.0.0.1` and `localhost` stay. At most 253 characters, none unsafe.
    """
    name = host.rpartition("@")[2]
    bare = name if name.endswith("]") or not name.rpartition(":")[2].isdigit() else name.rpartition(":")[0]
    try:
        ip_address(bare.strip("[]"))
        return clip(bare, 253)
    except ValueError:
        return clip(_suffixes().privatesuffix(bare) or bare, 253)


@cache
def _suffixes() -> Any:
    """The list as of the package's release; nothing is fetched."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
