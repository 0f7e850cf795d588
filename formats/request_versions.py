"""What differs between the versions of camt.055 and camt.060, as data: one table a message.

Read off the official schemas (see `formats.schemas`). Only differences that touch what a request can say here are listed;
the writers and their checks both read these tables, so that they cannot disagree.
"""

from dataclasses import dataclass

from formats.pain001_versions import VERSIONS as PAIN001
from formats.pain001_versions import Pain001Version


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestVersion:
    """One version. `parts`: the version of pain.001 that writes parties, agents and accounts the same way.

    `needs_times`: a reporting period must say times of day (camt.060.001.03). `sequences`: statement numbers can be asked for.
    """

    name: str
    parts: Pain001Version
    needs_times: bool = False
    sequences: bool = True

    @property
    def namespace(self) -> str:
        """The XML namespace of the version's documents."""
        return f"urn:iso:std:iso:20022:tech:xsd:{self.name}"


def _version(name: str, parts: int, *, needs_times: bool = False, sequences: bool = True) -> RequestVersion:
    return RequestVersion(name=name, parts=PAIN001[f"pain.001.001.{parts:02}"], needs_times=needs_times, sequences=sequences)


def _by_name(*versions: RequestVersion) -> dict[str, RequestVersion]:
    return {version.name: version for version in versions}


CAMT055 = _by_name(
    _version("camt.055.001.08", 9),
    _version("camt.055.001.09", 9),
    _version("camt.055.001.10", 9),
    _version("camt.055.001.11", 9),
    _version("camt.055.001.12", 12),
)
"""CustomerPaymentCancellationRequest. .12 takes the longer addresses of 2024; what else differs concerns the copy of the
original transaction [OrgnlTxRef], which is not written."""

CAMT060 = _by_name(
    _version("camt.060.001.03", 8, needs_times=True, sequences=False),
    _version("camt.060.001.04", 8),
    _version("camt.060.001.05", 9),
    _version("camt.060.001.06", 9),
    _version("camt.060.001.07", 12),
)
"""AccountReportingRequest."""
