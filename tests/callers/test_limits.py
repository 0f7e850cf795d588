"""How much is taken of a caller: rates, and what is under way at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import LimitSettings
from gateway.errors import LimitReached
from gateway.limits import BURST_SECONDS, Allowance, Bucket, Limits


def allowance(**settings: float) -> Allowance:
    return Limits({"erp": LimitSettings.model_validate(settings)}).of("erp")


@given(
    rate=st.floats(0.1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 500)), max_size=40),
)
def test_in_no_stretch_of_time_more_is_taken_than_the_rate_and_one_bucket(rate: float, steps: list[tuple[float, int]]) -> None:
    """And one batch, which may be larger than the bucket and is paid back before the next."""
    bucket = Bucket(rate)
    ticks, taken, largest = 0.0, 0, 0
    for pause, count in steps:
        ticks += pause
        if bucket.wait(count, ticks) == 0:
            bucket.take(count)
            taken += count
            largest = max(largest, count)
    assert taken <= rate * ticks + bucket.size + largest + 1e-6


@given(rate=st.floats(0.1, 1000), count=st.integers(1, 5000), before=st.integers(0, 5000))
def test_after_the_time_that_is_told_the_same_call_is_taken(rate: float, count: int, before: int) -> None:
    bucket = Bucket(rate)
    bucket.wait(before, 0.0)
    bucket.take(before)
    wait = bucket.wait(count, 0.0)
    assert bucket.wait(count, wait * (1 + 1e-9) + 1e-9) <= 1e-6


def test_calls_beyond_the_rate_are_refused_with_the_time_to_come_again() -> None:
    erp = allowance(calls_per_second=5)
    for _ in range(int(5 * BURST_SECONDS)):
        erp.begin(0.0, stream=False)
    with pytest.raises(LimitReached) as refused:
        erp.begin(0.0, stream=False)
    assert (refused.value.limit, refused.value.caller) == ("calls_per_second", "erp")
    assert refused.value.seconds == pytest.approx(0.2)
    erp.begin(0.21, stream=False)


def test_calls_and_streams_under_way_are_counted_apart_and_given_back() -> None:
    erp = allowance(calls_at_once=2, streams_at_once=1)
    for stream in (False, False, True):
        erp.begin(0.0, stream=stream)
    for stream, limit in ((False, "calls_at_once"), (True, "streams_at_once")):
        with pytest.raises(LimitReached) as refused:
            erp.begin(0.0, stream=stream)
        assert refused.value.limit == limit
        erp.end(stream=stream)
        erp.begin(0.0, stream=stream)


def test_a_stream_waits_where_a_call_is_refused_and_not_without_end() -> None:
    erp = allowance(payments_per_second=10)
    assert erp.check(20, 0.0) == 0
    assert erp.check(10, 0.0, patience=20) == pytest.approx(1.0)
    assert erp.check(10, 0.0, patience=20) == pytest.approx(2.0)
    with pytest.raises(LimitReached):
        erp.check(1, 0.0)
    with pytest.raises(LimitReached):
        erp.check(1, 0.0, patience=1)


def test_a_refused_call_takes_nothing_of_the_second() -> None:
    erp = allowance(payments_per_second=10)
    erp.check(20, 0.0)
    for _ in range(100):
        with pytest.raises(LimitReached):
            erp.check(20, 0.0)
    assert erp.check(20, 2.0) == 0


def test_other_settings_count_at_once_and_what_was_used_stays_used() -> None:
    limits = Limits({"erp": LimitSettings(payments_per_second=10)})
    limits.of("erp").check(20, 0.0)
    limits.change({"erp": LimitSettings(payments_per_second=5, calls_per_second=1)})
    with pytest.raises(LimitReached):
        limits.of("erp").check(1, 0.0)
    assert limits.of("erp").calls.size == BURST_SECONDS
