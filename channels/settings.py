"""What every channel's settings share. A profile is data: unknown keys are mistakes, and nothing changes after start."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Base of the profiles. A rejected value is not repeated in the error's text: it may be a secret pasted by mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


REFERENCES = ("file:", "env:", "credential:", "store:")


def _reference(value: str) -> str:
    if value.startswith("pkcs11:"):
        raise ValueError(
            "a key in a token cannot be used here: Python's TLS and SSH libraries take a key's content, and a token gives it to "
            "nobody. Keep this key in the key store and write store:NAME; keys of seals may stay in the token"
        )
    if not value.startswith(REFERENCES) or not value.partition(":")[2].strip():
        raise ValueError(
            "a reference is written file:PATH, env:NAME, credential:NAME or store:NAME; the secret never stands here"
        )
    return value


Reference = Annotated[str, AfterValidator(_reference)]
"""Where a secret or a certificate stands, never the thing itself: "file:keys/client.pem", "env:BANK_PASSPHRASE", and for keys
and certificates of ours in the key store "store:bank-tls"."""


def _secret(value: str) -> str:
    if value.startswith("store:"):
        raise ValueError(
            "a key of the key store is no password, header or passphrase: it would be told to the other side. store:NAME belongs "
            "into client_key; what is wanted here is given as file:PATH, env:NAME or credential:NAME"
        )
    return value


Secret = Annotated[Reference, AfterValidator(_secret)]
"""A reference in the place of a password, a header's value, a passphrase, or a certificate that is not ours: never our key."""


def refuse_stray_passphrase(key: str | None, passphrase: str | None) -> None:
    """A passphrase opens a key in a file or variable, and nothing else. Raises `ValueError`."""
    if key is None and passphrase is not None:
        raise ValueError("client_key_passphrase without client_key")
    if key is not None and key.startswith("store:") and passphrase is not None:
        raise ValueError("client_key_passphrase: a key of the key store has none; the master key opens it. Leave it out")


Seconds = Annotated[float, Field(gt=0, le=86_400)]
Bytes = Annotated[int, Field(ge=1, le=1 << 40)]


def _directory(value: str) -> str:
    if not value.isprintable():
        raise ValueError("a directory name has no control characters")
    return value.rstrip("/") or "/"


Directory = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_directory)]
"""A directory on the side that keeps the files; relative to where the login ends, or absolute."""

Suffix = Annotated[str, Field(pattern=r"^\.[A-Za-z0-9._-]{1,20}$")]


class FileRules(Settings):
    """Which files are sent and fetched, and how large they may be: the same for every channel."""

    file_bytes_max: Bytes = 2 << 30  # larger files are neither sent nor fetched
    files_per_fetch: int = Field(default=1000, ge=1)  # kept in one call of `receive`; the rest waits for the next one
    patterns: tuple[Annotated[str, Field(min_length=1)], ...] = ("*",)  # shell patterns of the names to fetch
    unfinished_suffixes: tuple[str, ...] = (".part", ".tmp", ".filepart", ".partial")  # still being written: left alone
