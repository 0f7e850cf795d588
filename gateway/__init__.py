"""Deciding and remembering: lifecycle, batching, matching, store, engine, the gRPC service and the commands."""
