"""What is wrong with the settings of a connection to a bank that answers at once. Reads nothing and names no value."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError

from channels.frontend_profile import FrontendProfile
from channels.profiles import parse_profile
from formats.bank import BankFormat
from formats.dialogue import BadBankSettings, DialogueBank
from gateway.banks import bank_of
from gateway.config import LEASE_USED, ConnectionSettings, DialogueSettings
from gateway.config_words import explained

Found = tuple[str, str, str]
"""(key, problem, hint)"""

FRONTEND = "frontend"


def dialogue_problems(settings: ConnectionSettings, bank: BankFormat) -> Iterator[Found]:
    """`bank`: its plugin, unconfigured."""
    kind = settings.channel.get("kind")
    if not isinstance(bank, DialogueBank):
        if kind == FRONTEND:
            yield (
                "channel.kind",
                f"the plugin {bank.name!r} writes files; a front machine takes none",
                "sftp, https, folder or ebics",
            )
        if settings.bank_settings:
            yield "bank_settings", f"the plugin {bank.name!r} has none", "take the table out"
        if settings.dialogue != DialogueSettings():
            yield "dialogue", f"has no meaning for the plugin {bank.name!r}, which is sent files", "take the table out"
        return
    if kind != FRONTEND:
        yield (
            "channel.kind",
            f"the plugin {bank.name!r} answers at once: its channel is of kind {FRONTEND!r}",
            'kind = "frontend"',
        )
    try:
        bank_of(settings)
    except BadBankSettings as error:
        yield from _bank_settings(error, bank)
    yield from _sealing(settings, bank)
    yield from _secrets(settings, bank)
    yield from _guarantee(settings, bank)
    yield from _lease(settings, bank)


def longest_send(profile: FrontendProfile, bank: DialogueBank) -> float:
    """How long one send may take, in seconds: all questions about an earlier attempt (`gateway.dialogue.channel`), then the
    payment; at a bank that wants a sign-in a sign-in and the payment, and both once more. Each exchange may wait for its pause,
    and is signed and verified where a sign service does that."""
    usual = bank.dialogue.pauses
    pause = max(
        usual.payment if profile.payment_pause is None else profile.payment_pause,
        usual.question if profile.question_pause is None else profile.question_pause,
    )
    signing = 0.0 if profile.sign_service is None else 2 * profile.sign_service.timeouts.total
    exchanges = 4 if bank.dialogue.signs_in else 1
    return profile.timeouts.total + exchanges * (pause + profile.timeouts.total + signing)


def _lease(settings: ConnectionSettings, bank: DialogueBank) -> Iterator[Found]:
    """A send that outlasts its lease is called in doubt while it is still going on well."""
    try:
        profile = parse_profile(settings.channel)
    except ValidationError:  # which is told where channels are looked at
        return
    if not isinstance(profile, FrontendProfile):
        return
    longest = longest_send(profile, bank)
    if longest >= settings.retry.lease_seconds * LEASE_USED:
        hint = (
            f"with questions, sign-ins and signatures one send may take {longest:g} seconds here: a lease above "
            f"{longest / LEASE_USED:g}, or a shorter channel.timeouts.total"
        )
        yield "retry.lease_seconds", "is too short for one payment that is not answered", hint


def _bank_settings(error: BadBankSettings, bank: DialogueBank) -> Iterator[Found]:
    """In the words of every other setting, where the plugin has its settings as a model."""
    model = type(getattr(bank, "settings", None))
    if isinstance(error.__cause__, ValidationError) and issubclass(model, BaseModel):
        yield from explained(error.__cause__, model, "bank_settings.")
        return
    for key, problem in error.problems:
        yield f"bank_settings.{key}", problem, ""


def _sealing(settings: ConnectionSettings, bank: DialogueBank) -> Iterator[Found]:
    """A bank that wants signatures gets none from a connection that neither has a sign service nor keys of its own."""
    wanted, unsigned = bank.dialogue.sealed_by, settings.seal.get("kind", "plain") == "plain"
    if wanted == "sign_service" and settings.channel.get("sign_service") is None and unsigned:
        hint = 'sign_service = {url = "http://127.0.0.1:449"}, the address of the bank\'s sign service'
        yield "channel.sign_service", f"is required by the plugin {bank.name!r}: the bank takes signed requests only", hint
    if wanted == "keys" and unsigned:
        yield "seal", f"is required by the plugin {bank.name!r}: the bank takes sealed requests only", f'kind = "{bank.name}"'


def _secrets(settings: ConnectionSettings, bank: DialogueBank) -> Iterator[Found]:
    given = settings.channel.get("secrets")
    names = set(given) if isinstance(given, Mapping) else set()
    for name in sorted(set(bank.dialogue.secrets) - names):
        yield (
            f"channel.secrets.{name}",
            f"is required by the plugin {bank.name!r}",
            "a reference: env:NAME, file:PATH or credential:NAME",
        )
    for name in sorted(names - set(bank.dialogue.secrets)):
        yield f"channel.secrets.{name}", f"is nothing that the plugin {bank.name!r} uses", "take it out"


def _guarantee(settings: ConnectionSettings, bank: DialogueBank) -> Iterator[Found]:
    kind = settings.guarantee.kind
    if kind == "blind":
        yield "guarantee.kind", "is too little: this bank can be asked by serial number", 'kind = "queryable"'
    if kind == "idempotent" and not bank.dialogue.same_serial_is_safe:
        hint = 'its documents promise nothing about a repeated serial number: kind = "queryable"'
        yield "guarantee.kind", f'cannot be "idempotent" with the plugin {bank.name!r}', hint
    if kind == "idempotent" and not settings.guarantee.evidence:
        hint = "name where the bank confirmed that it never executes a serial number twice; without that, queryable"
        yield "guarantee.evidence", 'is required for kind = "idempotent"', hint
