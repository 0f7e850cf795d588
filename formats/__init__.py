"""What a payment is, how each bank wants it said, and what the bank's answers mean.

Pure: no I/O beyond the streams handed in, no clock, no randomness, nothing of keys, channels or the gateway.
Start with `model` (what we ask), `report` (what we are told) and `bank` (what a plugin is).
"""
