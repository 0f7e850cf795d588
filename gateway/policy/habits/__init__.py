"""Is this payment like those before it? Duplicates, changed bank details, unusual amounts, times and places; pure.

Everything is learned from the payments of the house itself; below a stated number of payments a rule says nothing. The rules,
what they weigh and what was measured stand in `docs/habits.md`.
"""
