"""How the property tests of every room run.

`fixed` is what runs unless told otherwise. The examples are the same on every machine and every day, so that a failure is a
change of ours and can be had again; and no example is timed, because how long one takes says more of the machine than of us.
Other examples, new on each run: `make test ARGS=--hypothesis-profile=search`. What such a run finds becomes a named test.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("fixed", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", settings.get_profile("fixed"), derandomize=False, print_blob=True)
settings.load_profile("fixed")
