"""Measurements of bankgate, against peers in the same run where there are peers. Run with `make bench`."""
