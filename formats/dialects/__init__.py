"""What the dialects of Chinese banks (银企直联) have in common: the plugins themselves are in `formats.banks`."""
