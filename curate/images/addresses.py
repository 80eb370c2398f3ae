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


@dataclass(frozen=True)
class Addresses:
    """The rule: networks allowed although they are not public, and hosts that are reached at another place."""

    allowed: tuple[IPv4Network | IPv6Network, ...] = ()
    routes: tuple[tuple[str, str, int], ...] = ()
    """(pattern of host or host:port, host or address, port); the first that fits counts."""

    @classmethod
    def parse(cls, allow_addresses: Iterable[str], connect_to: Mapping[str, str]) -> "Addresses":
        """From the recipe's `download`. ValueError naming the setting, the value and a valid form."""
        allowed = []
        for text in allow_addresses:
            try:
                allowed.append(ip_network(text, strict=False))
            except ValueError as error:
                raise ValueError(
                    f"allow_addresses: {text!r} is no address or network; write 127.0.0.1 or 10.1.0.0/16"
                ) from error
        return cls(tuple(allowed), tuple((pattern.lower(), *_target(to)) for pattern, to in connect_to.items()))

    def resolve(self, host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
        """Socket addresses of a host that may be connected to, as (family, sockaddr), in the resolver's order.

        Raises FetchError: refused_address when there are only others, dns_error when there are none.
        """
        where, at = self._route(host.lower(), port)
        try:
            found = socket.getaddrinfo(where, at, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # a label of more than 63 characters is a UnicodeError
            raise FetchError("dns_error", f"the host name {host} does not resolve") from error
        open_ones: list[tuple[socket.AddressFamily, Any]] = [
            (family, place) for family, _, _, _, place in found if self.permits(ip_address(place[0]))
        ]
        if not open_ones:
            raise FetchError(
                "refused_address", f"{host} is not a public address, and download.allow_addresses does not name it"
            )
        return open_ones

    def permits(self, address: Address) -> bool:
        """Whether an address is public or allowed by name; so must be the IPv4 address that an IPv6 one wraps."""
        inner = _wrapped(address)
        if inner is not None:
            return self.permits(inner)
        if any(address in network for network in self.allowed):
            return True
        return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)

    def _route(self, host: str, port: int) -> tuple[str, int]:
        for pattern, where, at in self.routes:
            if fnmatchcase(host, pattern) or fnmatchcase(f"{host}:{port}", pattern):
                return where, at
        return host, port


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
