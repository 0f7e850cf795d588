"""`bankgate keys` over a key store: the life of a key, backup and restore, and the master key."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rich.markup import escape

from gateway import clock
from gateway.cli.keys_common import By, Days, explained, fail, fingerprint, kind_named, say, whoever
from gateway.cli.keys_told import told
from keys import store
from keys.keyring import Certificate
from keys.keystore import KeyStore
from keys.keystore_backup import backup as write_backup
from keys.keystore_backup import restore as read_backup
from keys.keystore_master import new_master_text
from keys.keystore_model import PURPOSES, Manifest, Purpose, State, Version
from keys.seal import KeyUnavailable

StoreOption = Annotated[
    Path | None, typer.Option("--store", help="A key store instead of files of their own.", file_okay=False, show_default=False)
]
Store = Annotated[Path, typer.Option("--store", help="The key store.", file_okay=False)]
Purposes = Annotated[
    list[str] | None,
    typer.Option("--purpose", help=f"In a store: what the key is for ({', '.join(PURPOSES)}); may be repeated. Absent: sign."),
]
Active = Annotated[bool, typer.Option("--active", help="In a store: put it in use at once. Absent: see `activate`.")]
Name = Annotated[str, typer.Argument(help="Name of the key.")]
VersionOption = Annotated[int | None, typer.Option("--version", help="Which version. Absent: the newest.", min=1)]
MasterOption = Annotated[
    str, typer.Option("--master", help="Where the master key is: file:PATH, env:NAME, credential:NAME or pkcs11:…")
]
MasterMoved = Annotated[
    str | None, typer.Option("--master", help="Where the master key is on this machine, if not where it was.", show_default=False)
]

master = typer.Typer(no_args_is_help=True, add_completion=False, help="The master key of a key store.")


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    for command in (rotate, activate, retire, destroy, backup, restore):
        app.command()(command)


# ---- for the commands that take files too ---------------------------------------------------------------------------------


def add(
    directory: Path,
    name: str,
    key: store.SoftwareKey,
    certificates: Iterable[x509.Certificate],
    purposes: list[str] | None,
    *,
    by: str | None,
    active: bool,
    what: str,
) -> None:
    """A new key in a store."""
    keystore, who = KeyStore(directory), whoever(by)
    known, found = _purposes(purposes), tuple(certificates)
    with told(f"key.{what}", f"store:{name}@1", near=directory, by=by, purposes=known, active=active) as line:
        made = keystore.add(name, key, known, certificates=found, who=who, at=clock.now(), what=what)
        line.update(fingerprints_of(made.last))
        if active:
            keystore.activate(name, 1, who=who, at=clock.now())
    say(f"store:{escape(name)}@1: {what}" + (", active" if active else "; put it in use with: bankgate keys activate"))


def attach(directory: Path, name: str, certificates: tuple[x509.Certificate, ...], *, by: str | None) -> None:
    """The certificate a bank issued, to the version it was issued for."""
    if not certificates:
        raise KeyUnavailable("neither a private key nor a certificate is in this file")
    with told("key.certificate_attached", f"store:{name}", near=directory, by=by) as line:
        found = KeyStore(directory).attach_certificates(name, certificates, who=whoever(by), at=clock.now())
        version = found.history[-1].version
        line.update({"version": version, **fingerprints_of(found.version(version or 1))})
    say(f"store:{escape(name)}@{version}: certificate attached; put it in use with: bankgate keys activate")


def request(directory: Path, name: str, subject: store.Subject, *, by: str | None) -> bytes:
    """A certificate signing request for the newest version, noted in its history."""
    keystore = KeyStore(directory)
    version = keystore.manifest(name).last
    with told("key.certificate_requested", f"store:{name}@{version.number}", near=directory, by=by, **fingerprints_of(version)):
        made = keystore.signing_request(name, version.number, subject)
        keystore.request_certificate(name, version.number, who=whoever(by), at=clock.now())
    return made


def certificate(directory: Path, name: str) -> Certificate:
    """The certificate of the newest version: what a bank is sent before a rotation."""
    return _certificate_of(KeyStore(directory).public_manifest(name))


def fingerprints_of(version: Version) -> dict[str, Any]:
    """What a version is known by in the audit log: SHA-256 of its public key, and of its certificate."""
    found = {"public_key_sha256": hashlib.sha256(version.public_key).hexdigest()}
    if version.certificates:
        found["certificate_sha256"] = hashlib.sha256(version.certificates[0]).hexdigest()
    return found


def _certificate_of(manifest: Manifest) -> Certificate:
    called = f"store:{manifest.name}@{manifest.last.number}"
    if not manifest.last.certificates:
        raise KeyUnavailable(f"{called}: it has no certificate yet; attach one with: bankgate keys import")
    return Certificate.of(called, manifest.last.certificate())


def _purposes(wanted: list[str] | None) -> tuple[Purpose, ...]:
    found: list[Purpose] = []
    for word in wanted or ["sign"]:
        purpose = next((purpose for purpose in PURPOSES if purpose == word), None)
        if purpose is None:
            fail(2, f"--purpose {word}: there are {', '.join(PURPOSES)}")
        found.append(purpose)
    return tuple(found)


# ---- the life of a key ------------------------------------------------------------------------------------------------------


def rotate(
    name: Name,
    store_dir: Store,
    *,
    kind: Annotated[str | None, typer.Option(help="Kind of key. Absent: as before.", show_default=False)] = None,
    days: Days = 730,
    no_certificate: Annotated[
        bool, typer.Option("--no-certificate", help="The bank issues it: go on with `bankgate keys csr`.")
    ] = False,
    by: By = None,
) -> None:
    """Make the next version of a key. The one in use stays in use: agree the new certificate with the bank, then `activate`."""
    with explained():
        keystore = KeyStore(store_dir)
        before = keystore.manifest(name).last
        key = store.new_key(kind_named(kind) if kind else _same_kind(before))
        made = [] if no_certificate else [store.self_signed(key, _same_subject(before), on=clock.now(), days=days)]
        with told(
            "key.rotated", f"store:{name}@{before.number + 1}", near=store_dir, by=by, version_before=before.number
        ) as line:
            found = keystore.add_version(name, key, certificates=made, who=whoever(by), at=clock.now())
            line.update(fingerprints_of(found.last))
    say(f"store:{escape(name)}@{found.last.number}: created; version {before.number} is {before.state} as before")
    if made:
        say(f"SHA-256 of the certificate, to agree with the bank: {fingerprint(made[0].public_bytes(Encoding.DER))}")


def activate(
    name: Name,
    store_dir: Store,
    *,
    version: VersionOption = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="From when on: 2027-01-31T06:00Z. Absent: now.", show_default=False)
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="And no longer than until then.", show_default=False)] = None,
    by: By = None,
) -> None:
    """Put a version in use. The one in use until then goes on until that moment, and stays readable after it."""
    starts, ends = _moment("--from", from_), _moment("--until", until)
    with explained():
        keystore = KeyStore(store_dir)
        number = version or keystore.manifest(name).last.number
        when: dict[str, Any] = {"active_from": starts and starts.isoformat(), "active_until": ends and ends.isoformat()}
        with told("key.activated", f"store:{name}@{number}", near=store_dir, by=by, **when) as line:
            keystore.activate(name, number, active_from=starts, active_until=ends, who=whoever(by), at=clock.now())
            found = keystore.manifest(name)
            line.update(fingerprints_of(found.version(number)))
    for known in found.versions:
        if known.state in ("active", "overlap"):
            since = f" from {known.active_from:%Y-%m-%d %H:%M} UTC" if known.active_from else ""
            say(f"store:{escape(name)}@{known.number}: {known.state}{since}")


def retire(
    name: Name,
    store_dir: Store,
    *,
    version: VersionOption = None,
    undo: Annotated[bool, typer.Option("--undo", help="Back into overlap: something late has to be read.")] = False,
    by: By = None,
) -> None:
    """Take a version out of use."""
    with explained():
        keystore = KeyStore(store_dir)
        number = version or _only_one(keystore.manifest(name), "retired" if undo else "overlap")
        action = "key.retirement_undone" if undo else "key.retired"
        with told(action, f"store:{name}@{number}", near=store_dir, by=by) as line:
            found = keystore.move(name, number, "overlap" if undo else "retired", who=whoever(by), at=clock.now())
            line.update(fingerprints_of(found.version(number)))
    say(
        f"store:{escape(name)}@{number}: "
        + ("in overlap again" if undo else "retired; destroy it once nothing more comes for it")
    )


def destroy(
    name: Name,
    store_dir: Store,
    *,
    version: Annotated[int, typer.Option("--version", help="Which version.", min=1)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = None,
) -> None:
    """Destroy the private key of a version for good. What was encrypted for it can never be read again."""
    if not yes:
        typed: str = typer.prompt(f"To destroy store:{name}@{version} for good, type {name}@{version}")
        if typed != f"{name}@{version}":
            fail(2, "nothing was destroyed")
    with explained(), told("key.destroyed", f"store:{name}@{version}", near=store_dir, by=by) as line:
        line.update(fingerprints_of(KeyStore(store_dir).destroy(name, version, who=whoever(by), at=clock.now()).version(version)))
    say(f"store:{escape(name)}@{version}: destroyed. Backups from before still hold it, under the master key of that day")


def _only_one(manifest: Manifest, state: State) -> int:
    waiting = [version.number for version in manifest.versions if version.state == state]
    if len(waiting) != 1:
        raise KeyUnavailable(f"store:{manifest.name}: {len(waiting)} versions are in {state}; name one with --version")
    return waiting[0]


def _same_kind(version: Version) -> store.KeyKind:
    kinds: dict[str, store.KeyKind] = {
        "RSA 3072": "rsa-3072",
        "RSA 4096": "rsa-4096",
        "EC secp256r1": "ec-p256",
        "EC secp384r1": "ec-p384",
    }
    if version.algorithm not in kinds:
        raise KeyUnavailable(f"the key until now is {version.algorithm}: choose its successor with --kind")
    return kinds[version.algorithm]


def _same_subject(version: Version) -> store.Subject:
    if not version.certificates:
        raise KeyUnavailable("the version before has no certificate whose subject could be taken; use --no-certificate")
    name = version.certificate().subject

    def of(kind: x509.ObjectIdentifier) -> str | None:
        found = name.get_attributes_for_oid(kind)
        return str(found[0].value) if found else None

    oid = x509.NameOID
    return store.Subject(
        common_name=of(oid.COMMON_NAME) or "", organization=of(oid.ORGANIZATION_NAME), country=of(oid.COUNTRY_NAME)
    )


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(2, f"{option} {text}: write a moment as 2027-01-31T06:00Z")
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


# ---- the store as a whole -----------------------------------------------------------------------------------------------------


def backup(
    store_dir: Store, out: Annotated[Path, typer.Argument(metavar="FILE", help="The backup; must not exist yet.")]
) -> None:
    """Write the key store into one file, after the master key has opened every row. Worth nothing without the master key."""
    with explained(), told("key_store.backed_up", str(store_dir), near=store_dir, file=str(out.absolute())) as line:
        count = write_backup(KeyStore(store_dir), out, at=clock.now())
        line.update({"keys": count, "backup_sha256": hashlib.sha256(out.read_bytes()).hexdigest()})
    say(f"wrote {escape(str(out))} ({count} keys, encrypted). Keep the master key elsewhere")


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    store_dir: Store,
    master_reference: MasterMoved = None,
    by: By = None,
) -> None:
    """Make a key store from a backup. It appears only if the master key opens every row of it."""
    with explained(), told("key_store.restored", str(store_dir), near=store_dir, makes_store=True, by=by) as line:
        found = read_backup(source, store_dir, master=master_reference, who=whoever(by), at=clock.now())
        count = len(found.public_index().entries)
        line.update({"keys": count, "backup_sha256": hashlib.sha256(source.read_bytes()).hexdigest()})
    say(f"restored {escape(str(store_dir))}: {count} keys, every one opened")


@master.command("new")
def master_new(out: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes; must not exist yet.")]) -> None:
    """Make a master key in a file of mode 0600: 32 random bytes as base64."""
    with explained(), told("master_key.created", f"file:{out.absolute()}", near=out.absolute().parent):
        store.write_new(out, new_master_text(store.random_bytes), private=True)
    say(f"wrote {escape(str(out))}. Keep a copy where no backup of the key store lies: without it every key is lost")


@master.command("init")
def master_init(store_dir: Store, master_reference: MasterOption, by: By = None) -> None:
    """Make an empty key store under a master key. A relative file: starts beside the store."""
    line = told("key_store.created", str(store_dir), near=store_dir, makes_store=True, by=by, master=master_reference)
    with explained(), line:
        KeyStore.create(store_dir, master_reference, who=whoever(by), at=clock.now())
    say(f"made {escape(str(store_dir))} under the master key {escape(master_reference)}")


@master.command("rotate")
def master_rotate(store_dir: Store, master_reference: MasterOption, by: By = None) -> None:
    """Wrap every key anew by another master key. The old one opens only backups from before."""
    with explained(), told("key_store.master_changed", str(store_dir), near=store_dir, by=by, master=master_reference) as line:
        index = KeyStore(store_dir).change_master(master_reference, who=whoever(by), at=clock.now())
        line["master_generation"] = index.master_generation
    say(f"{escape(str(store_dir))}: master key {index.master_generation}, {escape(master_reference)}; {len(index.entries)} keys")


@master.command("check")
def master_check(store_dir: Store, master_reference: MasterMoved = None) -> None:
    """See that the master key opens every row."""
    problems = KeyStore(store_dir, master_reference).check_all()
    for problem in problems:
        say(f"[red]{escape(problem)}[/]")
    if problems:
        raise typer.Exit(1)
    say("every row opens")
