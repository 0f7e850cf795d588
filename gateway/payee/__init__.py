"""Verification of payee: whether the name and the account of a payee belong together, asked before money goes, and kept.

Where it comes from, what each answer means and does, and what of it banks do in bulk stands in `docs/payee.md`.
"""
