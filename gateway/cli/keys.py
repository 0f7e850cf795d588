"""`bankgate keys …`: making keys, taking them over, looking after them, and sealing or opening a file alone.

Keys live in files of their own or, with --store, in a key store. Exit codes: see `keys_common`.
"""

import base64
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.markup import escape

from gateway import clock
from gateway.cli import keys_show, keys_store, keys_trust
from gateway.cli.keys_common import (
    Addresses,
    Base,
    By,
    CommonName,
    Country,
    Days,
    DnsNames,
    Kind,
    Organization,
    OutDir,
    Passphrase,
    base_of,
    check_name,
    deliver,
    explained,
    fail,
    fingerprint,
    kind_named,
    new_passphrase,
    read_profile,
    say,
    subject_of,
)
from gateway.cli.keys_store import Active, Purposes, StoreOption
from gateway.cli.keys_told import told
from keys import keyimport, secrets, sm_keys, store
from keys.keyring import PrivateKey
from keys.profiles import build_seal
from keys.seal import KeyUnavailable, Seal

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Keys and certificates, and sealing or opening a file alone.")
app.command("list")(keys_show.list_)
app.command("check")(keys_show.check_)
keys_store.register(app)
app.add_typer(keys_store.master, name="master")
app.add_typer(keys_trust.app, name="trust")

ProfileFile = Annotated[Path, typer.Option("--profile", help=r"TOML file: a \[seal] table, or its keys alone.")]
OutFile = Annotated[Path, typer.Argument(metavar="OUT", help="Replaced if it exists; private to its owner.")]


# ---- making keys ------------------------------------------------------------------------------------------------------


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the files (NAME.key and NAME.crt), or of the key in the store.")],
    *,
    common_name: CommonName,
    kind: Kind = "rsa-3072",
    passphrase: Passphrase = None,
    out_dir: OutDir = Path(),
    days: Days = 730,
    organization: Organization = None,
    country: Country = None,
    dns: DnsNames = None,
    address: Addresses = None,
    store_dir: StoreOption = None,
    purpose: Purposes = None,
    active: Active = False,
    by: By = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--in",
            help="Make it in a token: pkcs11:token=LABEL;object=LABEL. --passphrase names its PIN; only NAME.crt is written.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a key and a self-signed certificate, for a bank that pins certificates."""
    check_name(name)
    known, subject = kind_named(kind), subject_of(common_name, organization, country, dns, address)
    if token is not None and store_dir is not None:
        fail(2, "--in and --store: a key is made in a token or in the key store, not in both")
    with explained():
        if token is not None:
            certificate = _new_in_token(token, passphrase, known, subject, days=days, out=out_dir / f"{name}.crt", by=by)
        elif store_dir is not None:
            key = store.new_key(known)
            certificate = store.self_signed(key, subject, on=clock.now(), days=days)
            keys_store.add(store_dir, name, key, [certificate], purpose, by=by, active=active, what="created")
        else:
            word = new_passphrase(passphrase)
            key = store.new_key(known)
            certificate = store.self_signed(key, subject, on=clock.now(), days=days)
            with told("key.created", f"file:{(out_dir / name).absolute()}.key", near=out_dir, by=by, **_known(key, certificate)):
                _write_pair(out_dir, name, key.encrypted_pem(word), certificate.public_bytes(Encoding.PEM))
    say(f"SHA-256 of the certificate, to agree with the bank: {fingerprint(certificate.public_bytes(Encoding.DER))}")


def _new_in_token(
    reference: str, pin: str | None, kind: store.KeyKind, subject: store.Subject, *, days: int, out: Path, by: str | None
) -> x509.Certificate:
    """The certificate's place is looked at first: a key whose certificate could not be written would stay in the token."""
    from keys.hsm_make import new_token_key, token_self_signed

    if out.exists():
        raise KeyUnavailable(f"{out} exists already, and certificates are never overwritten; choose another name")
    with told("key.created", reference.partition("?")[0], near=out.parent, by=by) as line:  # a PIN may stand behind the "?"
        key = new_token_key(reference, pin, Path(), kind)
        certificate = token_self_signed(key, subject, on=clock.now(), days=days)
        line.update(_known(key, certificate))
        store.write_new(out, certificate.public_bytes(Encoding.PEM), private=False)
    say(f"made {escape(repr(key))}")
    say(f"wrote {escape(str(out))} (certificate)")
    return certificate


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="PEM in any form, PKCS#12 (.p12, .pfx), or a Java key store.")],
    name: Annotated[str, typer.Argument(help="Name of the files (NAME.key, NAME.crt), or of the key in the store.")],
    passphrase: Passphrase = None,
    source_passphrase: Annotated[
        str | None, typer.Option(help="Reference to the passphrase of SOURCE. Absent: asked for if needed.", show_default=False)
    ] = None,
    out_dir: OutDir = Path(),
    *,
    store_dir: StoreOption = None,
    purpose: Purposes = None,
    active: Active = False,
    by: By = None,
    sm2: Annotated[
        bool,
        typer.Option(
            "--sm2",
            help="SOURCE is a key of SM2: PEM in any form, or bare, in hexadecimal digits or Base64, as banks hand it out.",
        ),
    ] = False,
) -> None:
    """Take over a key from elsewhere, and keep it encrypted from now on. Into a store also the certificate a bank issued."""
    check_name(name)
    with explained():
        data = source.read_bytes()
        if sm2:
            if store_dir is not None:
                fail(2, "--store: keys of SM2 are kept in files of their own; take the option out")
            _import_sm(source, name, data, source_passphrase, passphrase=passphrase, out_dir=out_dir, by=by)
            return
        if store_dir is not None and b"PRIVATE KEY" not in data and not keyimport.needs_passphrase(data):
            keys_store.attach(store_dir, name, keyimport.certificates_in(str(source), data), by=by)
            return
        key, certificates = store.take_over(
            str(source), data, _opening_word(source, source_passphrase, wanted=store.needs_passphrase(data))
        )
        own = certificates[0] if certificates and certificates[0].public_key() == key.public_key else None
        if store_dir is not None:
            keys_store.add(store_dir, name, key, certificates if own else (), purpose, by=by, active=active, what="imported")
        else:
            certificate = own.public_bytes(Encoding.PEM) if own else None
            sealed = key.encrypted_pem(new_passphrase(passphrase))
            with told("key.imported", f"file:{(out_dir / name).absolute()}.key", near=out_dir, by=by, **_known(key, own)):
                _write_pair(out_dir, name, sealed, certificate)
    say(f"Now delete {escape(str(source))}, and every copy of it.")


def _import_sm(
    source: Path,
    name: str,
    data: bytes,
    source_passphrase: str | None,
    *,
    passphrase: str | None,
    out_dir: Path,
    by: str | None,
) -> None:
    """A key of SM2, for [seal] of kind "sm" and "cmb_cloud": into a file, with its public key beside it for the bank."""
    key = sm_keys.take_over(str(source), data, _opening_word(source, source_passphrase, wanted=b"ENCRYPTED" in data))
    public = out_dir / f"{name}.pub"
    if public.exists():
        raise KeyUnavailable(f"{public} exists already, and keys are never overwritten; choose another name")
    sealed, open_part = sm_keys.encrypted_pem(key, new_passphrase(passphrase), store.random_bytes), sm_keys.public_pem(key.public)
    known = hashlib.sha256(base64.b64decode(b"".join(open_part.splitlines()[1:-1]))).hexdigest()
    line = told("key.imported", f"file:{(out_dir / name).absolute()}.key", near=out_dir, by=by, public_key_sha256=known)
    with line:
        _write_pair(out_dir, name, sealed, None)
        store.write_new(public, open_part, private=False)
    say(f"wrote {escape(str(public))} (public key; compare it with what the bank has)")
    say(f"Now delete {escape(str(source))}, and every copy of it.")


def _opening_word(source: Path, reference: str | None, *, wanted: bool) -> bytes | None:
    if reference is not None:
        return secrets.passphrase(reference, Path())
    if not wanted:
        return None
    return typer.prompt(f"Passphrase of {source}", hide_input=True, default="", show_default=False).encode() or None


@app.command()
def csr(
    key: Annotated[
        str, typer.Argument(help="Encrypted private key (PEM file), a key in a token (pkcs11:…), or a name in the store.")
    ],
    *,
    common_name: CommonName,
    passphrase: Passphrase = None,
    organization: Organization = None,
    country: Country = None,
    dns: DnsNames = None,
    address: Addresses = None,
    out: Annotated[Path | None, typer.Option(help="File to write. Absent: standard output.", show_default=False)] = None,
    store_dir: StoreOption = None,
    by: By = None,
) -> None:
    """Write a certificate signing request, for a bank that issues certificates."""
    with explained():
        subject = subject_of(common_name, organization, country, dns, address)
        if store_dir is not None:
            request = keys_store.request(store_dir, key, subject, by=by)
        elif key.startswith("pkcs11:"):
            with told("key.certificate_requested", key.partition("?")[0], near=(out or Path("-")).absolute().parent, by=by):
                request = _request_of_token(key, passphrase, subject)
        else:
            own = _open_key(Path(key), passphrase)
            place = Path(key).absolute()
            with told("key.certificate_requested", f"file:{place}", near=place.parent, by=by, **_known(own, None)):
                request = store.signing_request(own, subject)
        deliver(request, out)


def _request_of_token(reference: str, pin: str | None, subject: store.Subject) -> bytes:
    from keys.hsm import token_key
    from keys.hsm_make import token_signing_request

    return token_signing_request(token_key(reference, pin, Path()), subject)


@app.command("export-public")
def export_public(
    certificate: Annotated[str, typer.Argument(help="The certificate (a file), or the name of a key in the store.")],
    public_key: Annotated[bool, typer.Option("--public-key", help="The bare public key instead of the certificate.")] = False,
    der: Annotated[bool, typer.Option("--der", help="DER instead of PEM; needs --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write. Absent: standard output.", show_default=False)] = None,
    store_dir: StoreOption = None,
) -> None:
    """Write what the bank needs of a key: its certificate, or the public key in it."""
    if der and out is None:
        fail(2, "--der needs --out FILE")
    with explained():
        if store_dir is not None:
            loaded = keys_store.certificate(store_dir, certificate)
        else:
            path = Path(certificate)
            loaded = store.load_certificate(f"file:{path.name}", path.parent)
        form = Encoding.DER if der else Encoding.PEM
        place = store_dir or Path(certificate).absolute().parent
        known = fingerprint(loaded.encoded).lower()
        with told("key.exported", loaded.name, near=place, certificate_sha256=known, public_key_alone=public_key):
            pass  # nothing but what everybody may know leaves, to standard output or a new file
        if public_key:
            content = loaded.public_key.public_bytes(form, PublicFormat.SubjectPublicKeyInfo)
        else:
            content = loaded.parsed.public_bytes(form)
        deliver(content, out)


def _write_pair(directory: Path, name: str, key: bytes, certificate: bytes | None) -> None:
    """The key first: a certificate without its key might be sent to a bank."""
    key_path, certificate_path = directory / f"{name}.key", directory / f"{name}.crt"
    for path in (key_path, certificate_path):
        if path.exists():
            raise KeyUnavailable(f"{path} exists already, and keys are never overwritten; choose another name")
    store.write_new(key_path, key, private=True)
    say(f"wrote {escape(str(key_path))} (encrypted private key, mode 0600)")
    if certificate is not None:
        store.write_new(certificate_path, certificate, private=False)
        say(f"wrote {escape(str(certificate_path))} (certificate)")


def _known(key: PrivateKey, certificate: x509.Certificate | None) -> dict[str, Any]:
    """What a key is known by in the audit log."""
    public = key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found = {"public_key_sha256": hashlib.sha256(public).hexdigest()}
    if certificate is not None:
        found["certificate_sha256"] = fingerprint(certificate.public_bytes(Encoding.DER)).lower()
    return found


def _open_key(path: Path, passphrase: str | None) -> store.SoftwareKey:
    if passphrase is not None:
        word = secrets.passphrase(passphrase, Path())
    else:
        word = typer.prompt(f"Passphrase of {path}", hide_input=True).encode()
    return store.open_private_key(f"file:{path}", Path(), word)


# ---- sealing and opening one file -------------------------------------------------------------------------------------


@app.command()
def seal(profile: ProfileFile, source: Annotated[Path, typer.Argument(metavar="IN")], out: OutFile, base: Base = None) -> None:
    """Sign and encrypt IN as the profile says, and write OUT."""
    _transform(profile, source, out, base, lambda built: built.seal)


@app.command("open")
def open_(profile: ProfileFile, source: Annotated[Path, typer.Argument(metavar="IN")], out: OutFile, base: Base = None) -> None:
    """Decrypt and verify IN as the profile says. OUT appears only if the seal is good."""
    _transform(profile, source, out, base, lambda built: built.open)


def _transform(
    profile: Path, source: Path, out: Path, base: Path | None, method: Callable[[Seal], Callable[[BinaryIO, BinaryIO], None]]
) -> None:
    built = build_seal(read_profile(profile), base or base_of(profile), clock.now)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.part")
    with explained(), source.open("rb") as reading:
        try:
            if out.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a directory", str(out))
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as writing:
                method(built)(reading, writing)
                writing.flush()
                os.fsync(writing.fileno())
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
    say(f"wrote {escape(str(out))} ({out.stat().st_size:,} bytes)")
