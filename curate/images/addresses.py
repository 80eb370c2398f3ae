"""Where a fetch may go: host names are resolved once, each address is checked, and only a checked one is connected to.

A pool's URLs are strangers' words. `http://169.254.169.254/` or a name that resolves to 10.0.0.7 would make the fetcher
read what only this network may see, so nothing but public addresses is reached unless the recipe names it.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from curate.images.status import FetchError

Address = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")
_SPECIAL = tuple(ip_network(text) for text in (
    "192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10", "168.63.129.16/32",
))  # fmt: skip
"""Of IANA's registries of special-purpose addresses those that `ipaddress` calls global, in this or that version of Python; and the
one at which Azure's machines are told about themselves."""
BAD_PORTS = frozenset((
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
    540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
    6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
))  # fmt: skip
"""Ports of other protocols, whose servers a request might make do something (the Fetch standard, "port blocking")."""
Place = tuple[socket.AddressFamily, Any]
"""An address family and the socket address to connect to."""


@dataclass(frozen=True)
class Addresses:
    """The rule: networks allowed although they are not public, and hosts that are reached at another place."""

    allowed: tuple[IPv4Network | IPv6Network, ...] = ()
    routes: tuple[tuple[str, str, int], ...] = ()
    """(pattern of host or host:port, host or address, port); the first that fits counts."""
    public: bool = True
    """Whether public addresses are reached too, and not only allowed ones."""

    @classmethod
    def parse(cls, allow_addresses: Iterable[str], connect_to: Mapping[str, str], public: bool = True) -> "Addresses":
        """From the recipe's `download`. ValueError naming the setting, the value and a valid form."""
        allowed = []
        for text in allow_addresses:
            try:
                allowed.append(ip_network(text, strict=False))
            except ValueError as error:
                raise ValueError(
                    f"allow_addresses: {text!r} is no address or network; write 127.0.0.1 or 10.1.0.0/16"
                ) from error
        return cls(tuple(allowed), tuple((pattern.lower(), *_target(to)) for pattern, to in connect_to.items()), public)

    def resolve(self, host: str, port: int) -> list[Place]:
        """Socket addresses of a host that may be connected to, in the resolver's order.

        Raises FetchError: refused_address when there are only others or the port is another protocol's, dns_error when
        there are none.
        """
        where, at = self.route(host, port)
        try:
            found = socket.getaddrinfo(where, at, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # a label of more than 63 characters is a UnicodeError
            raise FetchError("dns_error", f"the host name {host} does not resolve") from error
        return self.checked(host, [(family, place) for family, _, _, _, place in found])

    def route(self, host: str, port: int) -> tuple[str, int]:
        """The host and port that are connected to for a host and port. FetchError for a port of another protocol."""
        for pattern, where, at in self.routes:
            if fnmatchcase(host.lower(), pattern) or fnmatchcase(f"{host.lower()}:{port}", pattern):
                return where, at
        if port in BAD_PORTS:
            raise FetchError("refused_address", f"port {port} belongs to another protocol than HTTP")
        return host, port

    def checked(self, host: str, found: Iterable[Place]) -> list[Place]:
        """Those of a host's addresses that may be connected to; FetchError when none may."""
        open_ones = [(family, place) for family, place in found if self.permits(ip_address(place[0]))]
        if not open_ones:
            why = "is not a public address" if self.public else "is asked by nobody without download.contact"
            raise FetchError("refused_address", f"{host} {why}, and download.allow_addresses does not name it")
        return open_ones

    def permits(self, address: Address) -> bool:
        """Whether an address is public or allowed by name; so must be the IPv4 address that an IPv6 one wraps."""
        inner = _wrapped(address)
        if inner is not None:
            return self.permits(inner)
        if any(address in network for network in self.allowed):
            return True
        return (
            self.public
            and address.is_global
            and not any(address in network for network in _SPECIAL)
            and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        )


def _wrapped(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _target(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"connect_to: {text!r} is not address:port; write 127.0.0.1:8765 or [::1]:8765")
    return host.strip("[]"), int(port)
