"""How a long-running process of ours collects garbage.

Payments are built of many small immutable objects without cycles, which reference counting frees by itself. With the default
thresholds the cycle collector walks them again and again: measured, a third of the time of a batch of 500 payments. So what
exists at start is set aside, and a collection is worth its while only after many more allocations.
"""

import gc

YOUNG, MIDDLE, OLD = 50_000, 20, 20


def calm_collector() -> None:
    """Call once, when everything is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
