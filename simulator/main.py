"""The command `bankgate-simulator`: runs a bank until it is told to stop."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from keys.seal import SealError
from simulator.ledger import LedgerDown
from simulator.running import run
from simulator.settings import BadSettings, BankSettings, load_settings

log = logging.getLogger("simulator")

FINE, USAGE, CANNOT_START = 0, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 after SIGTERM or SIGINT, 2 for a configuration that cannot be used, 3 if the bank does not start."""
    parser = argparse.ArgumentParser(prog="bankgate-simulator", description="A bank to test against, with SFTP and HTTPS doors.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="simulator.toml, or the directory it is in")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    given = parser.parse_args(arguments)
    logging.basicConfig(level=given.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    file: Path = given.config / "simulator.toml" if given.config.is_dir() else given.config
    try:
        settings = load_settings(file)
    except BadSettings as error:
        log.error("%s", error)  # noqa: TRY400 - the operator's mistake has no use for a traceback
        return USAGE
    try:
        asyncio.run(_serve(settings))
    except (LedgerDown, OSError, SealError, ValueError) as error:
        log.error("the bank does not start: %s", error)  # noqa: TRY400 - as above
        return CANNOT_START
    return FINE


async def _serve(settings: BankSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ready_file = settings.data_directory / settings.ready_file
    ready_file.unlink(missing_ok=True)
    async with run(settings) as bank:
        unfinished = ready_file.with_suffix(".tmp")
        unfinished.write_text(json.dumps(bank.addresses(), indent=2) + "\n", encoding="utf-8")
        unfinished.rename(ready_file)
        log.info("the bank is open: %s", ready_file)
        await stop.wait()
        log.info("closing")
        ready_file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
