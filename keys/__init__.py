"""Turning bytes into sealed bytes and back, and knowing which key is valid when.

Knows nothing of payments or of banks' formats. Only `store` reaches key material.
"""
