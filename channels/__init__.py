"""Carrying named bytes along a route, and telling the truth about whether they arrived.

Start with `channel`: what every channel promises.
"""
