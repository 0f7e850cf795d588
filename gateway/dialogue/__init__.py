"""Talking to banks that answer at once (`formats.dialogue`): what is asked when, and what a reply makes of a message."""
