"""Which addresses a fetch may reach, and who is spoken to by robots directives."""

from ipaddress import ip_address

import pytest

from curate.images.addresses import Addresses

PRIVATE = (
    "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%lo", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "2001:0:7f00:1::80ff:fffe",
    "192.0.0.8", "192.0.0.170", "192.88.99.1", "198.18.0.1", "203.0.113.9", "168.63.129.16", "::ffff:168.63.129.16", "100.100.100.200",
    "64:ff9b:1::a00:1", "64:ff9b::a83f:8110", "3fff::1", "5f00::1", "fec0::1", "2001:db8::1", "100::1", "fd00:ec2::254", "::127.0.0.1",
    "::ffff:0:127.0.0.1",
)  # fmt: skip
PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_refused(address):
    assert not Addresses().permits(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address):
    assert Addresses().permits(ip_address(address))


def test_a_network_allowed_by_name_is_permitted_and_its_neighbour_is_not():
    rule = Addresses.parse(["10.1.0.0/16"], {})
    assert rule.permits(ip_address("10.1.2.3")) and rule.permits(ip_address("::ffff:10.1.2.3"))
    assert not rule.permits(ip_address("10.2.0.1"))


def test_hosts_are_routed_by_pattern_and_port():
    rule = Addresses.parse(["127.0.0.1", "::1"], {"*.example:443": "[::1]:2", "*.Example": "127.0.0.1:1"})
    assert [place[:2] for _, place in rule.resolve("A.example", 80)] == [("127.0.0.1", 1)]
    assert [place[:2] for _, place in rule.resolve("a.example", 443)] == [("::1", 2)]
