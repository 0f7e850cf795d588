"""`python -m simulator`: as `bankgate-simulator`."""

import sys

from simulator.main import main

sys.exit(main())
