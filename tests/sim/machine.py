"""What of the production code is set for simulated time: five constants, and two things that cost and decide nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from unittest.mock import patch

import structlog

from channels.ebics import uploading
from formats.bank import bank_named
from gateway import banks, review
from gateway.engine import lanes
from gateway.store.sqlite import writer
from tests.sim.ebics_channel import packed_in_one_thread

_cached_bank = cache(bank_named)


@contextmanager
def simulated_machine() -> Iterator[None]:
    """Patches of the machine, not of a rule.

    * Group commit is bounded by operations, not by real time.
    * An engine with nothing to do looks again after hours, not seconds: a wake that is lost shows as a payment that stands still.
      While the database is gone it tries again after seconds, not twice in each. Files of rules are looked at every two minutes,
      and whenever there is something to judge.
    * An EBICS order is encrypted without a thread (`tests.sim.ebics_channel`).
    * Plugins are looked up once; logs are not written.
    """
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        with (
            patch.object(writer, "SECONDS_MAX", float("inf")),
            patch.object(lanes, "LOOK_AGAIN", timedelta(hours=2)),
            patch.object(lanes, "STORE_RETRY_SECONDS", 4.0),
            patch.object(review, "LOOK_AGAIN", timedelta(minutes=2)),
            patch.object(banks, "bank_named", _cached_bank),
            patch.object(uploading, "pack", packed_in_one_thread),
        ):
            yield
    finally:
        structlog.configure(**before)
