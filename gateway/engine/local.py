"""The engine of one machine, `local`: the lanes are rows of the SQLite file that holds everything else."""

from gateway.engine.lanes import LaneEngine


class LocalEngine(LaneEngine):
    """The contract's `Engine` over the lanes of a `SqliteStore`, which writes its wakes in its own transactions.

    The lease of a claim is a moment in its row; all processes are on one machine and so have one clock.
    """
