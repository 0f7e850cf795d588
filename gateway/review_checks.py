"""The checks of a configuration: which there are, in which order, and reading their rules again when files change.

Another check is one line in `checks_of`.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from gateway.banks import bank_of
from gateway.config import Configuration
from gateway.config_load import ConfigurationProblems
from gateway.policies import load_policies
from gateway.policy.document import Policies
from gateway.policy.judge import judge, judge_in_order, questions
from gateway.policy.known import Known, Needs
from gateway.policy.verdict import Finding
from gateway.review import Check, Judging
from gateway.store.store import Store

log = structlog.get_logger("review")

POLICIES: Final = "policies"  # the directory beside bankgate.toml
