"""EBICS, the client's side: messages and machines without I/O, and the thin driver that makes a `Channel` of them (`channel`)."""
