"""Network addresses as the configuration and the commands write them: "host:port", "[::1]:port"."""

import ipaddress


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
