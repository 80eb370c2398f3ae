"""How images are fetched, and from whom not."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.settings import Count, Limit, Positive, Settings


class Download(Settings, frozen=True, kw_only=True):
    # How fast and by what way: none of it decides what an image is, only when it is asked for. Where the rule table is kept:
    # what is in it stands among the dataset's inputs.
    runtime: ClassVar[tuple[str, ...]] = (
        "threads", "connect_to", "workers", "launcher", "contact", "concurrency", "per_host_concurrency",
        "per_host_interval", "breaker_pause", "retry_wait", "dns_ttl", "consent_rules",
    )  # fmt: skip
    ours: ClassVar[tuple[str, ...]] = (
        "concurrency", "per_host_concurrency", "per_host_interval", "max_retry_after", "breaker_failures",
        "breaker_pause", "retry_wait", "dns_ttl",
    )  # fmt: skip
    """What the engine img2dataset cannot do: its threads block on one URL each, and it starts whichever comes next."""

    engine: Literal["curate", "img2dataset"] = "curate"
    """Who asks the web: an event loop that is polite to each host, or img2dataset's threads behind the same checks."""
    launcher: Literal["ray", "spark"] = "ray"
    """Where the workers run."""
    workers: Count = 2
    """Processes that fetch, each a part at a time; what hosts are spared counts over all of them."""
    user_agent: str | None = None
    """Token that names you to servers (`mybot`), in their robots rules too; by default `curatebot`."""
    contact: str | None = None
    """Page or mailbox of whoever runs this (`https://example.org/bot`, `mailto:bot@example.org`), for servers to see.

    Without one only addresses that `allow_addresses` names are fetched from: strangers are to know whom to ask."""
    timeout: Positive = 10.0
    """Seconds to wait for a server."""
    retries: Limit = 2
    """How often an image is asked for again after something that may pass: no connection, a timeout, 408, 429, 5xx."""
    retry_wait: Positive = 1.0
    """Seconds before an image is asked for again; doubled each time. Retry-After goes before it."""
    max_retry_after: Limit = 120
    """Seconds that an image waits in all where servers say how long (Retry-After); a host that wants more at once is not asked
    again, and its images are rate_limited."""
    max_seconds: Positive = 60.0
    """Seconds that one image may take in all, redirects and slow drips included; waiting for the host's turn is not counted."""
    max_bytes: Count = 20 * 2**20
    """Of a body, as sent and unpacked."""
    max_pixels: Count = 50_000_000
    """Checked in the header, before decoding."""
    concurrency: Count = 64
    """Requests in flight, in each worker."""
    per_host_concurrency: Count = 4
    """Requests in flight to one host, over all workers; each worker has one at least, so that more workers than this are more."""
    per_host_interval: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Seconds between two requests to a host, on average over all workers; above 0 a worker asks a host for one at a time."""
    breaker_failures: Count = 10
    """Requests in a row that got no answer from a host, after which it is left alone; it is tried once more. A worker remembers
    that, as it remembers Retry-After, for all its parts."""
    breaker_pause: Positive = 30.0
    """Seconds until that."""
    dns_ttl: Positive = 300.0
    """Seconds that the addresses of a host name are remembered."""
    sha256_mismatch: Literal["keep", "drop"] = "keep"
    """What becomes of an image whose bytes are not those that its source has seen (DataComp's pool: about 15 % after a year)."""
    consent: Literal["opt_out", "opt_in"] = "opt_out"
    """opt_out: what no rule forbids is fetched. opt_in: only what a rule of the table allows in so many words."""
    consent_rules: str | None = None
    """YAML file with a rule table of your own, in place of `curate/images/consent/rules.yaml`."""
    consent_off: tuple[str, ...] = ()
    """Rules of the table that are not heeded, by name (`[tdm_file]`); the report says so."""
    robots_agents: tuple[str, ...] = ()
    """Further tokens whose groups in a robots.txt are taken as meant for you, as sites name collectors of images (`[img2dataset]`)."""
    opt_out_directives: tuple[str, ...] | None = None
    """Directives of meta robots and X-Robots-Tag that forbid, in place of the table's (`[noai, noimageai]`)."""
    allow_addresses: tuple[str, ...] = ()
    """Private addresses or networks that may be fetched from, by name (`127.0.0.1`, `10.1.0.0/16`)."""
    connect_to: dict[str, str] = {}
    """Hosts to reach at another address (`{"*.example": "127.0.0.1:8765"}`), as curl's --connect-to. Checked like any."""
    threads: Count = 32
    """Of the engine img2dataset, in each worker."""

    def __post_init__(self) -> None:
        from curate.images.addresses import Addresses
        from curate.images.agent import check

        Addresses.parse(self.allow_addresses, self.connect_to)
        check(self.user_agent, self.contact)
        if self.consent_rules or self.consent_off:
            from curate.images.consent.rules import table

            table(self.consent_rules, self.consent_off)
        usual = {field.name: field.default for field in msgspec.structs.fields(type(self))}
        asked = [name for name in self.ours if getattr(self, name) != usual[name]]
        if self.engine == "img2dataset" and asked:
            raise ValueError(
                f"{asked[0]}: the engine img2dataset cannot keep to it, since each of its threads is bound to one URL. "
                "Take `engine: curate`, or leave it out"
            )
