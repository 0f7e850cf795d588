"""What the shape of the configuration cannot say: the rules between its settings, and between them and the world.

Each rule gives (file, key, problem, hint) and never a value that might be a secret.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from channels.ebics.orders import VERIFYING_OPTION, VERIFYING_TYPES
from formats import checks
from formats.bank import BankFormat, UnknownBank, bank_named
from formats.model import PostalAddress
from formats.schemas_own import BrokenSchemas
from gateway import clock
from gateway.bank_directory import directory_problem
from gateway.config import (
    LEASE_USED,
    AccountSettings,
    AuditSettings,
    Configuration,
    ConnectionSettings,
    DatabaseSettings,
    GuaranteeSettings,
)
from gateway.config_callers import callers_problems, listen_problems
from gateway.config_words import did_you_mean, explained
from gateway.dialogue.settings import dialogue_problems
from gateway.news import DUPLICATE_CODES
from gateway.own_schemas import read_schemas
from gateway.recall_ways import recall_problems
from gateway.screening_settings import screening_problems
from gateway.store.address import SYSTEM, BadStoreUrl, is_postgres, postgres_address, sqlite_file
from gateway.window_settings import window_problems

Found = tuple[str, str, str, str]
"""(file, key, problem, hint)"""

_REASON_CODE: Final = re.compile(r"\S(?:.{0,33}\S)?")  # [Rsn] Cd is one of ISO's, Prtry the bank's own word of up to 35
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
_FILE_NAME_FIELDS: Final = frozenset({"message_id", "connection_id", "date"})
_NETWORKED: Final = frozenset({"sftp", "https"})
_CHANNEL_KINDS: Final = frozenset({"sftp", "https", "folder", "ebics", "frontend"})


def of_main(configuration: Configuration, file: str, connection_ids: set[str]) -> Iterator[Found]:
    """Everything wrong with the settings of the main file."""
    for key, problem, hint in (
        *listen_problems(configuration, _reference),
        *_store(configuration),
        *callers_problems(configuration, connection_ids),
        *_bank_directory(configuration),
        *_audit(configuration.audit, configuration.directory),
        *_people(configuration),
        *screening_problems(configuration.screening, configuration.directory),
        *_payee_service(configuration),
    ):
        yield file, key, problem, hint


def of_connection(settings: ConnectionSettings, file: str, directory: Path) -> Iterator[Found]:
    """Everything wrong with one connection."""
    for key, problem, hint in (
        *_bank(settings),
        *_accounts(settings.accounts),
        *_profiles(settings, directory),
        *_guarantee(settings),
        *_ebics(settings),
        *_file_name(settings),
        *_schemas(settings, directory),
        *_fall_back_codes(settings.instant.fall_back_codes or ()),
        *window_problems(settings),
        *recall_problems(settings),
    ):
        yield file, key, problem, hint


# -- the main file ---------------------------------------------------------------------------------------------------------


def _store(configuration: Configuration) -> Iterator[tuple[str, str, str]]:
    directory, database = configuration.directory, configuration.database
    try:
        if not is_postgres(configuration.store):
            sqlite_file(configuration.store, directory)
            if database != DatabaseSettings():
                yield "database", "has a meaning only with a PostgreSQL store", "take it out, or set store = postgresql://…"
            return
        address = postgres_address(configuration.store)
    except BadStoreUrl as error:
        yield "store", str(error).removeprefix("store: "), ""
        return
    roots = address.root_certificates
    if roots not in {None, SYSTEM} and not (directory / str(roots)).is_file():
        yield "store", f"there is no file {roots} (sslrootcert)", "relative paths start at the configuration directory"
    if (database.client_certificate is None) != (database.client_key is None):
        yield "database", "client_certificate and client_key belong together", ""
    if database.client_key is not None and database.client_key_passphrase is None:
        yield (
            "database.client_key_passphrase",
            "is required: private keys rest encrypted",
            "env:NAME, file:PATH or credential:NAME",
        )
    if database.client_certificate is not None and roots is None:
        yield "database.client_certificate", "is shown over TLS only", "set sslmode=verify-full in store"
    for name in ("client_certificate", "client_key"):
        reference = getattr(database, name)
        if reference is not None and not reference.startswith("file:"):
            yield f"database.{name}", "must be file:PATH", "the database's drivers read certificate and key themselves"
    for name in ("password", "client_certificate", "client_key", "client_key_passphrase"):
        reference = getattr(database, name)
        if reference is not None:
            yield from _reference(f"database.{name}", reference, directory)


def _audit(audit: AuditSettings, directory: Path) -> Iterator[tuple[str, str, str]]:
    key, word = audit.checkpoint_key, audit.checkpoint_key_passphrase
    if key is not None and not key.startswith(("store:", "pkcs11:")):
        yield from _reference("audit.checkpoint_key", key, directory)
        if word is None:
            yield "audit.checkpoint_key_passphrase", "is required: private keys rest encrypted", "env:NAME or file:PATH"
    if word is not None:
        yield from _reference("audit.checkpoint_key_passphrase", word, directory)


def _people(configuration: Configuration) -> Iterator[tuple[str, str, str]]:
    people, directory = configuration.people, configuration.directory
    if people.key is not None:
        yield from _reference("people.key", people.key, directory)
    if (people.relying_party is None) != (not people.origins):
        yield "people", "relying_party and origins belong together", "the domain of passkeys, and where the page is served"
    for place, origin in enumerate(people.origins):
        host = urlsplit(origin).hostname or ""
        if origin != f"{urlsplit(origin).scheme}://{urlsplit(origin).netloc}" or not (
            origin.startswith("https://") or host == "localhost"
        ):
            yield f"people.origins[{place}]", "is no origin of a page served over https", '"https://pay.example.com"'
        elif people.relying_party and not f".{host}".endswith(f".{people.relying_party}"):
            yield f"people.origins[{place}]", "lies outside of relying_party", "its host is that domain, or below it"
    if people.oidc is not None:
        if not people.oidc.jwks.startswith(("https://", "file:")):
            yield "people.oidc.jwks", "must be file:PATH or an https address", "the keys of the issuer"
        elif people.oidc.jwks.startswith("file:"):
            yield from _reference("people.oidc.jwks", people.oidc.jwks, directory)


def _bank_directory(configuration: Configuration) -> Iterator[tuple[str, str, str]]:
    name = configuration.bank_directory
    problem = None if name is None else directory_problem(configuration.directory / name)
    if problem is not None:
        yield "bank_directory", problem, "a CSV file whose first line names the columns code and name"


def _payee_service(configuration: Configuration) -> Iterator[tuple[str, str, str]]:
    service = configuration.payee.service
    if service is not None:
        for key, reference in _references("payee.service", service.model_dump()):
            yield from _reference(key, reference, configuration.directory)


# -- connections -----------------------------------------------------------------------------------------------------------


def _bank(settings: ConnectionSettings) -> Iterator[tuple[str, str, str]]:
    if settings.time_zone is not None and not _is_time_zone(settings.time_zone):
        yield "time_zone", "is no time zone of the IANA database", "for example Europe/Berlin or Asia/Shanghai"
    try:
        bank = bank_named(settings.bank)
    except UnknownBank as error:
        yield "bank", f"there is no bank plugin {settings.bank!r}", did_you_mean(settings.bank, error.known)
        return
    yield from _message(settings.message, bank)
    yield from dialogue_problems(settings, bank)


def _message(message: str | None, bank: BankFormat) -> Iterator[tuple[str, str, str]]:
    sends = bank.capabilities.sends
    today = clock.now().date()
    if message is None:
        if not any(validity.covers(today) for validity in sends.values()):
            yield "message", f"the plugin {bank.name!r} knows no message that the bank takes today", ""
    elif message not in sends:
        yield "message", f"the plugin {bank.name!r} does not send {message!r}", did_you_mean(message, sends)
    elif (until := sends[message].valid_until) is not None and until < today:
        valid = [name for name, validity in sends.items() if validity.covers(today)]
        yield "message", f"the bank takes {message} until {until.isoformat()} only", f"valid today: {', '.join(valid) or 'none'}"


def _fall_back_codes(codes: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for place, code in enumerate(codes):
        key = f"instant.fall_back_codes[{place}]"
        if code in DUPLICATE_CODES:
            yield key, f"{code} says that the bank has the payment already; nothing goes out again after it", "take it out"
        elif not _REASON_CODE.fullmatch(code):
            yield key, "is no reason code, and would never be met", 'for example "AB06", without blanks around it'


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _accounts(accounts: Iterable[AccountSettings]) -> Iterator[tuple[str, str, str]]:
    seen: set[str] = set()
    for place, account in enumerate(accounts):
        where = f"accounts[{place}]"
        if (account.iban is None) == (account.other_id is None):
            yield where, "needs exactly one of iban and other_id", ""
        if account.iban is not None and (fault := checks.iban_fault(account.iban)) is not None:
            yield f"{where}.iban", f"is no IBAN: its {fault} is wrong", "electronic form: capital letters and digits, no spaces"
        number = account.iban or account.other_id
        if number is not None and number in seen:
            yield where, "this account stands here twice", ""
        seen.add(number or "")
        if account.currency is not None and not checks.is_currency(account.currency):
            yield f"{where}.currency", "is no currency code of ISO 4217", ""
        if account.agent_bic is not None and checks.bic_fault(account.agent_bic) is not None:
            yield f"{where}.agent_bic", "is no BIC (ISO 9362)", "8 or 11 capital letters and digits"
        if account.holder_lei is not None and checks.lei_fault(account.holder_lei) is not None:
            yield f"{where}.holder_lei", "is no LEI (ISO 17442)", ""
        known = tuple(PostalAddress.__dataclass_fields__)
        for name in account.holder_address or {}:
            if name not in known:
                yield f"{where}.holder_address.{name}", "there is no such setting", did_you_mean(name, known)


def _profiles(settings: ConnectionSettings, directory: Path) -> Iterator[tuple[str, str, str]]:
    from channels.profiles import parse_profile as parse_channel
    from keys.profiles import kinds
    from keys.profiles import parse_profile as parse_seal

    known = _CHANNEL_KINDS | set(kinds())  # pydantic puts the kind into the path
    for name, table, parse in (("channel", settings.channel, parse_channel), ("seal", settings.seal, parse_seal)):
        try:
            parse(table)
        except ValidationError as error:
            yield from explained(error, _profile_model(name, table), f"{name}.", known)
        for key, reference in _references(name, table):
            yield from _reference(key, reference, directory)


def _profile_model(name: str, table: Mapping[str, Any]) -> Any:
    """The model of a profile's kind, for the did-you-mean of its keys."""
    from channels.ebics.profile import EbicsProfile
    from channels.folder import FolderProfile
    from channels.frontend_profile import FrontendProfile
    from channels.https_profile import HttpsProfile
    from channels.sftp_profile import SftpProfile
    from keys.profiles import profile_class

    models: tuple[Any, ...] = (SftpProfile, HttpsProfile, FolderProfile, EbicsProfile, FrontendProfile)
    channels = dict(zip(("sftp", "https", "folder", "ebics", "frontend"), models, strict=True))
    kind = str(table.get("kind"))
    return channels.get(kind) if name == "channel" else profile_class(kind)


def _references(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value.startswith("file:"):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _references(f"{key}.{name}", item)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _references(f"{key}[{place}]", item)


def _reference(key: str, reference: str, directory: Path) -> Iterator[tuple[str, str, str]]:
    scheme, _, rest = reference.partition(":")
    if scheme not in {"file", "env", "credential"} or not rest:
        yield key, "is no reference", "write file:PATH, env:NAME or credential:NAME; the secret itself never stands here"
    elif scheme == "file":
        try:
            there = (directory / rest).is_file()
        except PermissionError:  # `serve` may not look where the keys of `worker` are, and need not
            return
        if not there and _may_look(directory / rest):
            yield key, f"there is no file {rest}", "relative paths start at the configuration directory"


def _may_look(path: Path) -> bool:
    """Whether "not there" is knowledge and not a closed door."""
    try:
        path.stat()
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def _guarantee(settings: ConnectionSettings) -> Iterator[tuple[str, str, str]]:
    guarantee: GuaranteeSettings = settings.guarantee
    kind = str(settings.channel.get("kind", ""))
    if guarantee.kind == "idempotent" and not guarantee.evidence and kind in _NETWORKED:
        hint = (
            "name where the bank confirmed that it executes a repeated name or MsgId once; without that, use blind or queryable"
        )
        yield "guarantee.evidence", f'is required for kind = "idempotent" over {kind}', hint
    if guarantee.kind == "queryable" and guarantee.quiet_seconds <= settings.retry.lease_seconds:
        hint = f"more than {settings.retry.lease_seconds:g}"
        yield "guarantee.quiet_seconds", "must be longer than the longest possible send (retry.lease_seconds)", hint
    if guarantee.absence_is_final and guarantee.kind != "queryable":
        yield "guarantee.absence_is_final", 'has a meaning only with kind = "queryable"', ""


def _ebics(settings: ConnectionSettings) -> Iterator[tuple[str, str, str]]:
    """What EBICS asks of the rest of a connection."""
    if settings.channel.get("kind") != "ebics":
        return
    if settings.guarantee.kind != "queryable":
        hint = 'a message sent again is a new order there, and the bank can be asked: kind = "queryable"'
        yield "guarantee.kind", 'must be "queryable" for an EBICS channel', hint
    timeouts = settings.channel.get("timeouts")
    total = timeouts.get("total", 180) if isinstance(timeouts, Mapping) else 180
    longest = 3 * total if isinstance(total, int | float) else 0
    if longest >= settings.retry.lease_seconds * LEASE_USED:
        hint = f"one message is tried three times: {longest:g} seconds here; a longer lease, or a shorter channel.timeouts.total"
        yield "retry.lease_seconds", "is too short for one message that is not answered", hint
    yield from _verified_payees(settings.channel)


def _verified_payees(channel: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """An order whose payees are verified waits for a person, who has to see the result: some download must bring it."""
    found, downloads = channel.get("upload"), channel.get("downloads")
    upload = found if isinstance(found, Mapping) else {}
    service = upload.get("service")
    verified = isinstance(service, Mapping) and service.get("option") == VERIFYING_OPTION
    listed = [one for one in downloads if isinstance(one, Mapping)] if isinstance(downloads, list | tuple) else []
    if not listed or not (verified or upload.get("order_type") in VERIFYING_TYPES):
        return
    services = [one.get("service") for one in listed]
    told = any(isinstance(one, Mapping) and one.get("option") == "VOP" for one in services)
    if not told and not any(one.get("order_type") == "VPZ" for one in listed):
        hint = (
            'H004: order_type = "VPZ"; H005: service = { name = "REP", option = "VOP", container = "ZIP", message = "pain.002" },'
            " with the scope that the bank's sheet has"
        )
        yield "channel.downloads", "no order fetches the result of the verification of payees", hint


def _file_name(settings: ConnectionSettings) -> Iterator[tuple[str, str, str]]:
    template = settings.file_name
    try:
        fields = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError:
        yield "file_name", "has an unmatched brace", ""
        return
    if fields - _FILE_NAME_FIELDS:
        yield "file_name", "may hold {message_id}, {connection_id} and {date} only", ""
        return
    if "message_id" not in fields:
        hint = "two messages under one name could not be told apart"
        yield "file_name", "must hold {message_id}", hint
    example = template.format(message_id="M" * 35, connection_id=settings.id, date="20261125")
    if not _FILE_NAME.fullmatch(example) or example.startswith("."):
        yield "file_name", "gives names with characters that banks do not take", "letters, digits and . _ - only, at most 100"


def _schemas(settings: ConnectionSettings, directory: Path) -> Iterator[tuple[str, str, str]]:
    if settings.schemas is None:
        return
    try:
        read_schemas(directory / settings.schemas)
    except BrokenSchemas as error:
        for file, problem in error.problems:
            yield "schemas", f"{settings.schemas}/{file}: {problem}" if file else f"{settings.schemas}: {problem}", ""
