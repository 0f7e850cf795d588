"""`make model`: every world in its larger bounds, and the controls with the way to what each breaks.

python -m tests.model [--quick] [NAME …]      --quick: what `make test` looks at; NAME: worlds whose name begins so
"""

import logging
import sys

import structlog

from tests.model.explore import Exploration
from tests.model.promises import PROMISES, ended_or_visible
from tests.model.worlds import CONTROLS, LARGER, WORLDS, caught


def main(arguments: list[str]) -> int:
    """The number of worlds in which a promise does not hold, and of controls that were not caught."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    names = tuple(word for word in arguments if not word.startswith("--"))
    wrong = 0
    for rules in WORLDS if "--quick" in arguments else (*WORLDS, *LARGER):
        if names and not rules.name.startswith(names):
            continue
        world = Exploration(rules, PROMISES)
        found = world.run()
        print(found.line(), flush=True)
        if not found.wrong:
            world.require_a_way("no way from here to an end or to a wait that a person sees", ended_or_visible, person=True)
        if found.wrong:
            wrong += 1
            print(found.story())
    for rules in CONTROLS:
        if names and not rules.name.startswith(names):
            continue
        found = caught(rules)
        wrong += not found.wrong
        print(
            f"\ncontrol: {found.story() if found.wrong else f'{rules.name}: NOT CAUGHT in {found.states:,} states'}", flush=True
        )
    return wrong


if __name__ == "__main__":
    raise SystemExit(min(1, main(sys.argv[1:])))
