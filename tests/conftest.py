"""How the property tests of every room run, and the PostgreSQL server of those that need one.

`fixed` is what runs unless told otherwise. The examples are the same on every machine and every day, so that a failure is a
change of ours and can be had again; and no example is timed, because how long one takes says more of the machine than of us.
Other examples, new on each run: `make test ARGS=--hypothesis-profile=search`. What such a run finds becomes a named test.
"""

import gc
from collections.abc import Iterator

import pytest
import structlog
from _pytest.nodeid import coerce_node_id
from hypothesis import HealthCheck, settings

from gateway.memory import calm_collector
from tests import early  # noqa: F401 - sets the environment
from tests.support.postgres import Cluster

settings.register_profile("fixed", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", settings.get_profile("fixed"), derandomize=False, print_blob=True)
settings.load_profile("fixed")


def pytest_collection_finish() -> None:
    """Ten thousand tests are as many objects that live to the end: the collector need not walk them again and again."""
    calm_collector()
    gc.set_threshold(200_000, 50, 20)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of one group go to one worker: what they share is made once.

    pytest-xdist 3.8 tells its groups by a suffix of the attribute `_nodeid`, which items of pytest 9.2 have no more: without this
    the groups have no effect. Where that was mended in pytest-xdist the suffix is there already.
    """
    if not config.getoption("loadgroup", default=False):
        return
    for item in items:
        groups = {str(mark.args[0]) for mark in item.iter_markers("xdist_group")}
        suffix = f"@{'_'.join(sorted(groups))}"
        if groups and not item.nodeid.endswith(suffix):
            item._id = coerce_node_id(f"{item.nodeid}{suffix}")  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """What a command sets up for its logs, when a test runs it in this process, is gone when the test ends."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A private server for this process of pytest, started when the first test asks for it. A test that stops or kills its server
    makes one of its own: others share this one."""
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()


@pytest.fixture
def postgres_url(postgres: Cluster) -> Iterator[str]:
    """The URL of an empty database."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)
