"""EBICS, the client's side, without I/O: messages written and read, transactions and onboarding as pure machines."""
