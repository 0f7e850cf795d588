"""Network addresses as the configuration and the commands write them: "host:port", "[::1]:port"."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import unquote


def split_address(address: str, *, default_host: str | None = None) -> tuple[str, int]:
    """Host and port. A bare port takes `default_host`, where there is one. Raises ValueError saying what is wrong."""
    host, separator, port_text = address.rpartition(":")
    if not separator and default_host is not None:
        host, port_text = default_host, address
    elif not separator or not host:
        raise ValueError("must be host:port, for example 127.0.0.1:50051")
    if not (port_text.isascii() and port_text.isdigit() and int(port_text) <= 65_535):
        raise ValueError("the port must be a number from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets, for example [::1]:50051")
    return host, int(port_text)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on that host. Any name but localhost is taken for reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_within(address: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Whether an IP address lies in one of the networks; what is no IP address lies in none. IPv4 written as IPv6 is IPv4."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def peer_address(peer: str) -> str:
    """The IP address of a peer as gRPC writes it ("ipv4:127.0.0.1:5", "ipv6:%5B::1%5D:5"); "" for any other kind."""
    kind, _, rest = peer.partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return ""
    return unquote(rest).rpartition(":")[0].strip("[]")
