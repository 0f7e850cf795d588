"""What wakes us. The truth stays in the store: an engine only says "look after this lane now", at least once."""
