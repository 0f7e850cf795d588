"""Measurements of bankgate, against peers in the same run where there are peers. Run with `make bench`."""

import os

# Benches start processes while gRPC runs; its handlers for forks are of no use then, and say so in a line each.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
