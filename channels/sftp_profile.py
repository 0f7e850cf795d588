"""The settings of an SFTP route."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from channels.settings import Bytes, Directory, FileRules, Reference, Seconds, Secret, Settings, Suffix, refuse_stray_passphrase

_KEY_TYPES = ("ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "ssh-ed448 ")


def is_public_key(text: str) -> bool:
    """Whether a line is an OpenSSH public key itself (sshd(8), "AUTHORIZED_KEYS FILE FORMAT") and not a reference to one."""
    return text.startswith(_KEY_TYPES)


def _host_key(value: str) -> str:
    if not is_public_key(value) and not value.startswith(("file:", "env:", "credential:")):
        raise ValueError("a host key is a line such as 'ssh-ed25519 AAAA…', or a reference such as 'file:trust/bank_host.pub'")
    return value


class SftpTimeouts(Settings):
    """How long each phase may take. `total` bounds everything before the rename of one send."""

    connect: Seconds = 10.0
    login: Seconds = 20.0
    operation: Seconds = 30.0  # one request and its answer; of a transfer: one piece of 4 MiB
    total: Seconds = 600.0  # keep it below the connection's retry.lease_seconds


class SftpProfile(FileRules):
    """`[channel]` with kind = "sftp"."""

    kind: Literal["sftp"]
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")]
    port: int = Field(default=22, ge=1, le=65535)
    username: Annotated[str, Field(min_length=1, max_length=255)]
    host_keys: tuple[Annotated[str, AfterValidator(_host_key)], ...] = ()  # pinned; no others are believed
    host_authorities: tuple[Annotated[str, AfterValidator(_host_key)], ...] = ()  # beside or instead: who may certify host keys
    client_key: Reference | None = None  # private key, OpenSSH or PKCS#8 PEM, with a passphrase; or one of the key store
    client_key_passphrase: Secret | None = None
    password: Secret | None = None  # beside client_key: the server asks for both
    upload: Directory  # where the bank looks for our files
    archive: tuple[Directory, ...] = ()  # where the bank moves what it took, under the same name
    partial_suffix: Suffix = ".part"  # the bank never takes a file whose name ends so: an assumption, confirm it
    sync: bool = True  # ask the server to put the file on its disk before the rename, where it knows fsync@openssh.com
    compare_bytes_max: Bytes = 1 << 20  # a file that is there already is read back and compared up to this size
    downloads: tuple[Directory, ...] = ()
    download_done: Literal["move", "delete"] = "move"  # what to do with a file once it is kept
    done_directory: Directory | None = None  # for "move"
    keepalive_seconds: Seconds = 15.0  # three unanswered ones end the connection
    timeouts: SftpTimeouts = SftpTimeouts()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.host_keys and not self.host_authorities:
            raise ValueError(
                "host_keys: pin the bank's host keys, or host_authorities that certify them; nothing else is believed"
            )
        if self.client_key is None and self.password is None:
            raise ValueError("one of client_key and password is needed to log in")
        refuse_stray_passphrase(self.client_key, self.client_key_passphrase)
        if self.download_done == "move" and self.downloads and self.done_directory is None:
            raise ValueError('download_done = "move" needs done_directory')
        if self.done_directory in self.downloads or self.upload in self.archive:
            raise ValueError("done_directory and archive are other directories than downloads and upload")
        return self
