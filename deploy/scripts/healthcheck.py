"""Asks one process of bankgate whether it is well; exit status 0 or 1. The image's HEALTHCHECK.

The environment variable BANKGATE_HEALTH says whom to ask and how:

    http://127.0.0.1:9464/metrics    any process that serves metrics (the default)
    grpc://127.0.0.1:50051           `serve` in the clear on loopback: grpc.health.v1
    grpcs://gateway.example:50051    `serve` with TLS; BANKGATE_HEALTH_CA, _CERTIFICATE and _KEY name PEM files
    tcp://127.0.0.1:2222             only that somebody listens (the simulator's SFTP door)
"""

import os
import socket
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

DEFAULT = "http://127.0.0.1:9464/metrics"
SECONDS = 4.0


def ask_http(target: SplitResult) -> str:
    """Empty if the answer is 200, else what is wrong. Asked directly: a proxy of the machine's knows nothing of loopback."""
    connection = HTTPConnection(target.netloc, timeout=SECONDS)
    try:
        connection.request("GET", target.path or "/")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"no answer ({type(error).__name__})"
    finally:
        connection.close()
    return "" if status == 200 else f"answered {status}"


def ask_tcp(target: SplitResult) -> str:
    """Empty if a connection opens, else what is wrong."""
    try:
        with socket.create_connection((target.hostname or "127.0.0.1", target.port or 0), SECONDS):
            return ""
    except OSError as error:
        return f"no connection ({type(error).__name__})"


def ask_grpc(target: SplitResult) -> str:
    """Empty if the server says SERVING of itself, else what is wrong."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    if target.scheme == "grpcs":
        ca, key, certificate = (Path(os.environ[f"BANKGATE_HEALTH_{name}"]).read_bytes() for name in ("CA", "KEY", "CERTIFICATE"))
        channel = grpc.secure_channel(target.netloc, grpc.ssl_channel_credentials(ca, key, certificate))
    else:
        channel = grpc.insecure_channel(target.netloc)
    with channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        except grpc.RpcError as error:
            return f"no answer ({error.code().name})"
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return "" if name == "SERVING" else f"says {name}"


def complaint(address: str) -> str:
    """What is wrong with the process at that address; empty if nothing."""
    target = urlsplit(address)
    match target.scheme:
        case "http":
            return ask_http(target)
        case "grpc" | "grpcs":
            return ask_grpc(target)
        case "tcp":
            return ask_tcp(target)
        case other:
            return f"BANKGATE_HEALTH starts with {other!r}; http, grpc, grpcs and tcp are known"


def main() -> int:
    address = os.environ.get("BANKGATE_HEALTH", DEFAULT)
    problem = complaint(address)
    print(f"{address}: {problem or 'well'}")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
