"""Keys of call metadata that both ends know. A file of its own, so that a client starts without the libraries of the service."""

from typing import Final

DETAILS_KEY: Final = "grpc-status-details-bin"
BYTES_MAX_KEY: Final = "bankgate-error-bytes-max"
SESSION_KEY: Final = "bankgate-session"  # of a signed-in person, whose call the caller carries
