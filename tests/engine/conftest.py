"""A database with the engine's queue in it."""

from collections.abc import Iterator
from importlib import import_module

import psycopg
import pytest

from tests.support.postgres import Cluster

queue_revision = import_module("gateway.store.postgres.migrations.versions.0002_procrastinate")


@pytest.fixture
def queue_url(postgres: Cluster) -> Iterator[str]:
    """The URL of a database that has the queue and nothing else."""

    def fill(url: str) -> None:
        with psycopg.connect(url) as connection:
            for statement in queue_revision.statements():
                connection.execute(statement)

    name = postgres.create_database(postgres.template_of("engine-queue", fill))
    yield postgres.url(name)
    postgres.drop_database(name)
