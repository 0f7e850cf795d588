"""Words of the protocol: versions, return codes, order types and BTF, as the bank's side knows them.

Written apart from `channels.ebics`, so that one mistake is not made on both sides. Sources: schemas H004, H005, S001, S002, H000;
EBICS 2.5 and 3.0, annex on return codes, as several implementations list them.
"""

from dataclasses import dataclass
from typing import Final

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
HEV: Final = "http://www.ebics.org/H000"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"


@dataclass(frozen=True, slots=True)
class Version:
    """A protocol version and its namespaces; `number` is what HEV says."""

    name: str
    namespace: str
    signature_namespace: str
    number: str

    @property
    def is_h005(self) -> bool:
        return self.name == "H005"


H004: Final = Version("H004", "urn:org:ebics:H004", "http://www.ebics.org/S001", "02.50")
H005: Final = Version("H005", "urn:org:ebics:H005", "http://www.ebics.org/S002", "03.00")
VERSIONS: Final = {version.namespace: version for version in (H004, H005)}

CODES: Final = {
    "000000": "EBICS_OK",
    "011000": "EBICS_DOWNLOAD_POSTPROCESS_DONE",
    "011001": "EBICS_DOWNLOAD_POSTPROCESS_SKIPPED",
    "011101": "EBICS_TX_SEGMENT_NUMBER_UNDERRUN",
    "061001": "EBICS_AUTHENTICATION_FAILED",
    "061002": "EBICS_INVALID_REQUEST",
    "061099": "EBICS_INTERNAL_ERROR",
    "061101": "EBICS_TX_RECOVERY_SYNC",
    "090003": "EBICS_AUTHORISATION_ORDER_IDENTIFIER_FAILED",
    "090004": "EBICS_INVALID_ORDER_DATA_FORMAT",
    "090005": "EBICS_NO_DOWNLOAD_DATA_AVAILABLE",
    "090006": "EBICS_UNSUPPORTED_REQUEST_FOR_ORDER_INSTANCE",
    "091002": "EBICS_INVALID_USER_OR_USER_STATE",
    "091003": "EBICS_USER_UNKNOWN",
    "091004": "EBICS_INVALID_USER_STATE",
    "091005": "EBICS_INVALID_ORDER_IDENTIFIER",
    "091006": "EBICS_UNSUPPORTED_ORDER_TYPE",
    "091007": "EBICS_DISTRIBUTED_SIGNATURE_AUTHORISATION_FAILED",
    "091008": "EBICS_BANK_PUBKEY_UPDATE_REQUIRED",
    "091009": "EBICS_SEGMENT_SIZE_EXCEEDED",
    "091010": "EBICS_INVALID_XML",
    "091011": "EBICS_INVALID_HOST_ID",
    "091101": "EBICS_TX_UNKNOWN_TXID",
    "091102": "EBICS_TX_ABORT",
    "091103": "EBICS_TX_MESSAGE_REPLAY",
    "091104": "EBICS_TX_SEGMENT_NUMBER_EXCEEDED",
    "091105": "EBICS_RECOVERY_NOT_SUPPORTED",
    "091111": "EBICS_INVALID_SIGNATURE_FILE_FORMAT",
    "091112": "EBICS_INVALID_ORDER_PARAMS",
    "091113": "EBICS_INVALID_REQUEST_CONTENT",
    "091114": "EBICS_ORDERID_UNKNOWN",
    "091115": "EBICS_ORDERID_ALREADY_FINAL",
    "091116": "EBICS_PROCESSING_ERROR",
    "091117": "EBICS_MAX_ORDER_DATA_SIZE_EXCEEDED",
    "091118": "EBICS_MAX_SEGMENTS_EXCEEDED",
    "091119": "EBICS_MAX_TRANSACTIONS_EXCEEDED",
    "091120": "EBICS_PARTNER_ID_MISMATCH",
    "091121": "EBICS_INCOMPATIBLE_ORDER_ATTRIBUTE",
    "091122": "EBICS_ORDER_ALREADY_EXISTS",
    "091201": "EBICS_KEYMGMT_UNSUPPORTED_VERSION_SIGNATURE",
    "091202": "EBICS_KEYMGMT_UNSUPPORTED_VERSION_AUTHENTICATION",
    "091203": "EBICS_KEYMGMT_UNSUPPORTED_VERSION_ENCRYPTION",
    "091204": "EBICS_KEYMGMT_KEYLENGTH_ERROR_SIGNATURE",
    "091205": "EBICS_KEYMGMT_KEYLENGTH_ERROR_AUTHENTICATION",
    "091206": "EBICS_KEYMGMT_KEYLENGTH_ERROR_ENCRYPTION",
    "091207": "EBICS_KEYMGMT_NO_X509_SUPPORT",
    "091208": "EBICS_X509_CERTIFICATE_EXPIRED",
    "091209": "EBICS_X509_CERTIFICATE_NOT_VALID_YET",
    "091210": "EBICS_X509_WRONG_KEY_USAGE",
    "091211": "EBICS_X509_WRONG_ALGORITHM",
    "091212": "EBICS_X509_INVALID_THUMBPRINT",
    "091213": "EBICS_X509_CTL_INVALID",
    "091214": "EBICS_X509_UNKNOWN_CERTIFICATE_AUTHORITY",
    "091215": "EBICS_X509_INVALID_POLICY",
    "091216": "EBICS_X509_INVALID_BASIC_CONSTRAINTS",
    "091217": "EBICS_ONLY_X509_SUPPORT",
    "091218": "EBICS_KEYMGMT_DUPLICATE_KEY",
    "091219": "EBICS_CERTIFICATES_VALIDATION_ERROR",
    "091301": "EBICS_SIGNATURE_VERIFICATION_FAILED",
    "091302": "EBICS_ACCOUNT_AUTHORISATION_FAILED",
    "091303": "EBICS_AMOUNT_CHECK_FAILED",
    "091304": "EBICS_SIGNER_UNKNOWN",
    "091305": "EBICS_INVALID_SIGNER_STATE",
    "091306": "EBICS_DUPLICATE_SIGNATURE",
}
_TECHNICAL: Final = (
    frozenset(["011000", "011001", "011101", "061001", "061002", "061099", "061101"])
    | frozenset(code for code in CODES if "091002" <= code <= "091104")
    | frozenset(["091112", "091113", "091117", "091118", "091119", "091121", "091122"])
)
"""These stand in the header; the others are the business of the order and stand in the body, below a header that is well."""


def is_technical(code: str) -> bool:
    """Whether a code belongs into the header."""
    return code in _TECHNICAL


class Fault(Exception):
    """The bank refuses: a return code, and words for whoever reads the report text."""

    def __init__(self, code: str, text: str, *, segment: int | None = None) -> None:
        self.code = code
        self.text = text
        self.segment = segment  # 061101: the last segment the bank has
        super().__init__(f"[{CODES.get(code, code)}] {text}")


def report(code: str, text: str = "") -> str:
    """The ReportText of a code, at most 256 characters."""
    return f"[{CODES.get(code, 'EBICS_UNKNOWN')}] {text or ('OK' if code == '000000' else '')}".strip()[:256]
