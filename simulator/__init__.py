"""The other side of the wire: a bank to test against. A program of its own; it never sees the gateway's database."""
