"""Imported before gRPC, which reads its environment once.

gRPC would have handlers of its own run around each fork of this process; they crash it when its threads are at work just then. We
fork only to run another program, where there is nothing for them to do. (`subprocess` forks where it has to change the user, as
for PostgreSQL's server; else it uses vfork, which runs no handlers.)
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
