"""The rules between the settings of callers, of the issuers of their tokens, and of the listeners they come to.

Each rule gives (key, problem, hint), as `gateway.config_rules` does, and never a value that might be a secret.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from formats import checks
from gateway.addresses import is_loopback, split_address
from gateway.callers import EVERY, normal_fingerprint, token_key
from gateway.config import CallerSettings, Configuration, ListenSettings, PermissionSettings, TokenIssuerSettings
from gateway.config_words import did_you_mean

Found = tuple[str, str, str]
Reference = Callable[[str, str, Path], Iterator[Found]]
"""The rule of references: (key, reference, directory)."""

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_OF_PAYMENTS: Final = frozenset({"submit", "read", "cancel"})
_OF_ACCOUNTS: Final = _OF_PAYMENTS | {"statements"}  # every other action is about whole connections, or about none
_FINGERPRINT_HINT: Final = "openssl x509 -in CERTIFICATE -noout -fingerprint -sha256"


def listen_problems(configuration: Configuration, reference: Reference) -> Iterator[Found]:
    """Everything wrong with [listen] and [[tokens]]."""
    listen = configuration.listen
    try:
        host, _ = split_address(listen.address)
    except ValueError as error:
        yield "listen.address", str(error), ""
    else:
        if listen.tls is None and not is_loopback(host):
            hint = "set [listen.tls] with certificate, key, key_passphrase and client_ca, or listen on 127.0.0.1"
            yield (
                "listen.tls",
                "is required: the address can be reached from other machines, and calls would be in the clear",
                hint,
            )
    if listen.metrics_address is not None:
        try:
            split_address(listen.metrics_address, default_host="127.0.0.1")
        except ValueError as error:
            yield "listen.metrics_address", str(error), ""
    yield from _networks("listen.proxies", listen.proxies)
    yield from _tls(listen, configuration.directory, reference)
    yield from _token_address(configuration)
    yield from _tokens(configuration, reference)


def _tls(listen: ListenSettings, directory: Path, reference: Reference) -> Iterator[Found]:
    tls = listen.tls
    if tls is None:
        return
    for name in ("certificate", "key", "key_passphrase", "client_ca"):
        value = getattr(tls, name)
        if value is not None:
            yield from reference(f"listen.tls.{name}", value, directory)
    if tls.client_certificates == "required" and tls.client_ca is None:
        yield "listen.tls.client_ca", "is required", 'client_certificates = "none" lets callers come with tokens alone'


def _token_address(configuration: Configuration) -> Iterator[Found]:
    listen = configuration.listen
    if listen.tls is not None and listen.tls.client_certificates == "none" and not configuration.tokens:
        yield "listen.tls.client_certificates", '"none" needs [[tokens]]: nobody could say who they are', ""
    if listen.token_address is None:
        return
    try:
        split_address(listen.token_address)
    except ValueError as error:
        yield "listen.token_address", str(error), ""
    if listen.tls is None:
        hint = "on a loopback listener tokens are taken at listen.address too"
        yield "listen.token_address", "needs [listen.tls]: a token in the clear is anybody's", hint
    elif listen.tls.client_certificates == "none":
        yield "listen.token_address", "has no meaning where listen.address asks for no client certificates either", "take it out"
    if not configuration.tokens:
        yield "listen.token_address", "has no meaning without [[tokens]]", ""


def _tokens(configuration: Configuration, reference: Reference) -> Iterator[Found]:
    issuers = Counter(one.issuer for one in configuration.tokens)
    for place, one in enumerate(configuration.tokens):
        where = f"tokens[{place}]"
        if issuers[one.issuer] > 1:
            yield f"{where}.issuer", "stands here more than once", "one entry an issuer; audience may name several"
        if not all(one.audience):
            yield f"{where}.audience", "must not be empty", ""
        yield from _keys(where, one, configuration.directory, reference)
        if one.keep_seconds < one.cache_seconds:
            yield f"{where}.keep_seconds", "must not be shorter than cache_seconds", ""


def _keys(where: str, one: TokenIssuerSettings, directory: Path, reference: Reference) -> Iterator[Found]:
    if one.keys.startswith("file:"):
        yield from reference(f"{where}.keys", one.keys, directory)
        if one.ca is not None:
            yield f"{where}.ca", "has no meaning with a file", "take it out"
        return
    try:
        parts = urlsplit(one.keys)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        good = False
    if not good:
        yield f"{where}.keys", "must be https://… or file:PATH", "over plain http anybody on the way could give us their keys"
    if one.ca is not None:
        yield from reference(f"{where}.ca", one.ca, directory)


def _networks(key: str, texts: Iterable[str]) -> Iterator[Found]:
    for number, text in enumerate(texts):
        try:
            ip_network(text)
        except ValueError:
            yield f"{key}[{number}]", "is no network in CIDR form", "for example 10.20.0.0/16, 2001:db8::/32 or 192.0.2.7"


# -- callers ---------------------------------------------------------------------------------------------------------------


def callers_problems(configuration: Configuration, connection_ids: set[str]) -> Iterator[Found]:
    """Everything wrong with [[callers]]."""
    callers = configuration.callers
    names = Counter(caller.name for caller in callers)
    fingerprints = Counter(normal_fingerprint(text) for caller in callers for text in caller.certificate_sha256)
    tokens = Counter(token_key(caller.token) for caller in callers if caller.token is not None)
    for place, caller in enumerate(callers):
        where = f"callers[{place}]"
        if names[caller.name] > 1:
            yield f"{where}.name", f"{caller.name!r} is used more than once", "each caller has its own name"
        for number, text in enumerate(caller.certificate_sha256):
            key = f"{where}.certificate_sha256[{number}]"
            fingerprint = normal_fingerprint(text)
            if not _FINGERPRINT.fullmatch(fingerprint):
                yield key, "is no SHA-256 fingerprint", _FINGERPRINT_HINT
            elif fingerprints[fingerprint] > 1:
                yield key, "is given more than once", "a certificate identifies one caller"
        if caller.token is not None and tokens[token_key(caller.token)] > 1:
            yield f"{where}.token", "is given more than once", "a token identifies one caller"
        yield from _connections(f"{where}.connections", caller.connections, connection_ids)
        yield from _networks(f"{where}.addresses", caller.addresses)
        yield from _known_by(where, caller, configuration)
        yield from _permissions(where, caller, connection_ids)
    if sum(caller.plaintext for caller in callers) > 1:
        yield "callers", "only one can have plaintext = true: everybody in the clear is taken for it", ""
    tls = configuration.listen.tls is not None
    if not any(caller.token is not None or (caller.certificate_sha256 if tls else caller.plaintext) for caller in callers):
        hint = "give one certificate_sha256" if tls else "give one plaintext = true, or set [listen.tls]"
        yield "callers", "nobody could call: there is no caller that the listener would let in", hint


def _connections(key: str, ids: Iterable[str], known: set[str]) -> Iterator[Found]:
    for number, connection_id in enumerate(ids):
        if connection_id not in {EVERY, *known}:
            yield f"{key}[{number}]", f"there is no connection {connection_id!r}", did_you_mean(connection_id, known)


def _known_by(where: str, caller: CallerSettings, configuration: Configuration) -> Iterator[Found]:
    """What it is known by, and whether a listener is there at which it can show that."""
    listen, token = configuration.listen, caller.token
    if caller.plaintext and listen.tls is not None:
        yield f"{where}.plaintext", "has no meaning with [listen.tls]", "give certificate_sha256 instead"
    asks = listen.tls is not None and listen.tls.client_certificates == "required"
    if caller.certificate_sha256 and listen.tls is not None and not asks:
        yield f"{where}.certificate_sha256", "is never seen", 'listen.tls.client_certificates = "none" asks for none'
    if token is None:
        return
    if (token.subject is None) == (token.client_id is None) or "" in {token.subject, token.client_id}:
        yield f"{where}.token", "needs exactly one of subject and client_id", ""
    issuers = [one.issuer for one in configuration.tokens]
    if token.issuer not in issuers:
        yield f"{where}.token.issuer", "is none of [[tokens]]", did_you_mean(token.issuer, issuers)
    if caller.plaintext:
        yield f"{where}.token", "cannot stand beside plaintext = true", "whoever shows no token would be the same caller"
    if asks and not caller.certificate_sha256 and listen.token_address is None:
        hint = "give it certificate_sha256 too, or set listen.token_address for callers with tokens alone"
        yield (
            f"{where}.token",
            "never comes through: listen.address asks for a certificate, which this caller has not",
            hint,
        )


def _permissions(where: str, caller: CallerSettings, connection_ids: set[str]) -> Iterator[Found]:
    if not caller.permissions:
        return
    for name in ("connections", "actions"):
        if name in caller.model_fields_set:
            yield f"{where}.{name}", "has no meaning beside permissions, which say it each for itself", "take it out"
    for number, one in enumerate(caller.permissions):
        yield from _permission(f"{where}.permissions[{number}]", one, connection_ids)


def _permission(where: str, one: PermissionSettings, connection_ids: set[str]) -> Iterator[Found]:
    yield from _connections(f"{where}.connections", one.connections, connection_ids)
    actions = frozenset(one.actions)
    for name, limited in (
        ("accounts", EVERY not in one.accounts),
        ("currencies", EVERY not in one.currencies),
        ("amount_max", one.amount_max is not None),
    ):
        wrong = sorted(actions - (_OF_PAYMENTS if name == "amount_max" else _OF_ACCOUNTS))
        if limited and wrong:
            hint = f"give {', '.join(wrong)} in a permission of its own"
            yield f"{where}.{name}", f"cannot limit {', '.join(wrong)}", hint
    for name in ("accounts", "currencies"):
        texts = getattr(one, name)
        if not texts or (EVERY in texts and len(texts) > 1):
            yield f"{where}.{name}", 'must be a list of them, or ["*"] for all', ""
    codes = [(f"{where}.currencies[{number}]", code) for number, code in enumerate(one.currencies) if code != EVERY]
    codes += [(f"{where}.amount_max.{code}", code) for code in one.amount_max or ()]
    for key, code in codes:
        if not checks.is_currency(code):
            yield key, "is no currency code of ISO 4217", ""
    if one.amount_max is not None and (not one.amount_max or EVERY not in one.currencies):
        yield f"{where}.amount_max", "names the currencies that are allowed", "at least one there, and no currencies beside it"
    if one.valid_from is not None and one.valid_until is not None and one.valid_from > one.valid_until:
        yield f"{where}.valid_until", "lies before valid_from", ""
