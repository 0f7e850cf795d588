"""What is in force, compared with what the audit log last said: every change is told once, by one process, and no value of it."""

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from channels.ebics.notes import SUBSCRIPTION, SubscriberNote
from channels.ebics.profile import EbicsProfile
from channels.ebics.subscriber import Sent, Subscription
from channels.profiles import parse_profile
from gateway import clock
from gateway.audit.record import AuditRecord
from gateway.config import CallerSettings
from gateway.in_force import RENEW_AFTER, InForce, View
from gateway.key_watch import KeyWatch
from gateway.keys_in_force import fingerprints, keys_view
from gateway.review_checks import checks_of
from gateway.screening_settings import ScreeningSettings
from gateway.started import configuration_view, tell_start
from gateway.store.audit import AuditFilter
from gateway.store.sqlite import SqliteStore
from keys import store
from tests.config.test_ebics import EBICS
from tests.ebics.test_stored import BARE, CARRIED
from tests.keys.keystores import certificate_for, made, with_key
from tests.support.make_config import SECRET_WORDS, configuration_of

Opened = Callable[[], Any]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def store() -> AsyncIterator[SqliteStore]:
        one = SqliteStore(tmp_path / "store.db")
        await one.open()
        yield one
        await one.close()

    return store


async def lines(store: SqliteStore, action: str | None = None) -> list[tuple[str, str, dict[str, Any]]]:
    rows, _ = await store.list_audit(AuditFilter(action=action), limit=999)
    return [(row.action, row.object_id or "", json.loads(row.detail or "")) for row in reversed(rows)]


async def changes(store: SqliteStore) -> list[tuple[str, str]]:
    return [(action, thing) for action, thing, _ in await lines(store) if action.endswith(".changed")]


async def test_a_change_while_everything_was_down_is_told_once_though_two_processes_start(opened: Opened) -> None:
    async with opened() as store:
        first = View(kind="keys", parts={"us": "sha256:aa", "bank": "sha256:bb"})
        assert await InForce(store, "worker@a").tell(first) == [], "nothing to compare with"
    async with opened() as store, opened() as other:
        now = View(kind="keys", parts={"us": "sha256:aa", "bank": "sha256:cc", "new": "sha256:dd"})
        both = [InForce(store, "worker@a"), InForce(other, "serve@a")]
        told = await asyncio.gather(*(one.tell(now) for one in both for _ in range(3)))
        assert sum(map(bool, told)) == 1
        assert await changes(store) == [("key.changed", "bank"), ("key.changed", "new")]
        (_, _, bank), (_, _, new) = await lines(store, "key.changed")
        assert (bank["was"], bank["now"], new["was"], new["now"]) == ("sha256:bb", "sha256:cc", None, "sha256:dd")
        assert bank["by"] == "unknown"
        assert bank["source"].startswith("files on disk, read by ")
        assert await both[0].tell(now) == await both[1].tell(now) == []
        await both[0].tell(View(kind="keys", parts={"bank": "sha256:cc"}))
        assert (await changes(store))[2:] == [("key.changed", "new"), ("key.changed", "us")], "what is gone is told too"


async def test_what_a_process_may_not_read_goes_on_as_another_knew_it(opened: Opened) -> None:
    async with opened() as store:
        known = {"connections.one.seal.key": "a", "store:us@1": "b", "listen.tls": "c"}
        await InForce(store, "worker").tell(View(kind="keys", parts=known))
        blind = View(kind="keys", parts={"listen.tls": "c"}, unseen=("connections.one.seal.key", "store:"))
        assert await InForce(store, "serve").tell(blind) == []
        assert await InForce(store, "worker").tell(View(kind="keys", parts=known | {"store:us@1": "x"})) != []
        assert await changes(store) == [("key.changed", "store:us@1")]


async def test_two_machines_that_are_not_alike_tell_it_when_they_start_and_not_at_every_look(opened: Opened) -> None:
    async with opened() as store:
        one, other = InForce(store, "worker@a"), InForce(store, "worker@b")
        for _ in range(5):
            await one.tell(View(kind="rules", parts={"habits": "a"}))
            await other.tell(View(kind="rules", parts={"habits": "b"}))
        assert await changes(store) == [("review_setting.changed", "habits")]


async def test_a_state_is_written_anew_before_it_is_as_old_as_lines_that_are_taken_away(tmp_path: Path) -> None:
    moment = [clock.now()]
    store = SqliteStore(tmp_path / "store.db", clock=lambda: moment[0])
    await store.open()
    one, view = InForce(store, "a", lambda: moment[0]), View(kind="rules", parts={"habits": "a"})
    for day in range(1 + 2 * RENEW_AFTER.days):
        assert await one.tell(view) == [], day
        moment[0] += timedelta(days=1)
    assert [(action, detail["changes"]) for action, _, detail in await lines(store)] == [("rules.in_force", 0)] * 3
    await store.close()


async def test_a_line_that_was_erased_or_is_of_another_form_is_not_compared_with(opened: Opened) -> None:
    async with opened() as store:
        view = View(kind="rules", parts={"habits": "a"})
        await InForce(store, "a").tell(view)
        line = AuditRecord(action=view.about.action, actor="bankgate", object_kind="rules", object_id="gateway")
        for detail in ("{}", "[]", '{"form":2,"parts":{}}', '{"form":1,"parts":7,"whole":""}'):
            await store.audit([replace(line, detail=detail)])
            assert await InForce(store, "b").tell(View(kind="rules", parts={"habits": detail})) == []


async def test_the_configuration_is_told_by_names_of_its_parts_and_never_by_values(opened: Opened, tmp_path: Path) -> None:
    before = configuration_of(tmp_path)
    async with opened() as store:
        await tell_start(store, before, "serve", InForce(store, "serve"))
    async with opened() as store:
        house = before.connections["house"]
        channel = house.channel | {"upload": "elsewhere"}
        connections = {
            "house": house.model_copy(update={"channel": channel}),
            "second": house.model_copy(update={"id": "second"}),
        }
        people = before.people.model_copy(update={"title": "Ours"})
        callers = (*before.callers, CallerSettings(name="batch"))
        after = before.model_copy(update={"connections": connections, "people": people, "callers": callers})
        await tell_start(store, after, "worker", InForce(store, "worker"))
        await tell_start(store, after, "serve", InForce(store, "serve"))
        told = [thing for _, thing in await changes(store)]
        assert [one for one in told if not one.startswith("connections.second.")] == [
            *("callers.batch", "connections.house.channel", "people.title"),
        ]
        assert "connections.second.accounts" in told
        assert [thing.partition("@")[0] for action, thing, _ in await lines(store) if action == "process.started"] == [
            *("serve", "worker", "serve"),
        ]
        everything = " ".join(row.detail or "" for row in await store.audit_rows(0, 999))
        assert not [word for word in (*SECRET_WORDS, "elsewhere", "Ours") if word in everything]


def test_the_digest_of_a_part_is_too_short_to_find_an_account_number_by(tmp_path: Path) -> None:
    view = configuration_view(configuration_of(tmp_path))
    assert {len(known) for known in view.parts.values()} == {8}
    assert len(view.whole) == 64


POLICY = 'id = "rules"\nversion = {version}\nvalid_from = 2026-01-01\ndefault = "{default}"\n'
STEPS = 'default_steps = [{ group = "cfo" }]\n'
LIST = {"id": "own", "file": "own.csv", "kind": "own", "action": "block", "date": "2026-11-01"}


async def test_rules_are_told_before_anything_is_judged_by_them(opened: Opened, tmp_path: Path) -> None:
    def policy(name: str, version: int, default: str = "pass") -> None:
        text = POLICY.format(version=version, default=default) + (STEPS if default == "approval" else "")
        (tmp_path / "policies" / f"{name}.toml").write_text(text, encoding="utf-8")

    def entries(*names: str) -> None:
        (tmp_path / "own.csv").write_text("\n".join(["name,reason", *(f"{one},told" for one in names)]), encoding="utf-8")

    (tmp_path / "policies").mkdir()
    policy("one", 1)
    entries("Somebody")
    screening = ScreeningSettings.model_validate({"lists": [LIST]})
    configuration = configuration_of(tmp_path).model_copy(update={"screening": screening})
    async with opened() as store:
        checks = checks_of(configuration, store, InForce(store, "worker@a"))
        await checks.refresh()
        await checks.refresh()
        assert [action for action, _, _ in await lines(store)] == ["rules.in_force"]
        policy("two", 2)
        entries("Somebody", "Somebody Else")
        await checks.refresh()
        await checks.refresh()
        assert await changes(store) == [("policy.changed", "rules version 2"), ("screening_list.changed", "own")]
        (_, _, told), *_ = await lines(store, "screening_list.changed")
        assert (" 1 entries" in told["was"], " 2 entries" in told["now"]) == (True, True)
        policy("one", 1, "approval")  # the same version with another content: what is in use stays in use
        await checks.refresh()
        assert len(await changes(store)) == 2
    async with opened() as store, opened() as other:  # all were down: it is in force now, and that is told once
        for one in (store, other):
            await checks_of(configuration, one, InForce(one)).refresh()
        ((_, _, told),) = [line for line in await lines(store, "policy.changed") if line[1] == "rules version 1"]
        assert None not in (told["was"], told["now"])
        (tmp_path / "policies" / "two.toml").unlink()
        await checks_of(configuration, store, InForce(store)).refresh()
        assert (await lines(store, "policy.changed"))[-1][2]["now"] is None


async def test_a_certificate_exchanged_by_hand_is_told_with_both_fingerprints(opened: Opened, tmp_path: Path) -> None:
    own, bank = tmp_path / "us.crt", tmp_path / "bank.crt"
    for path in (own, bank):
        path.write_bytes(certificate_for(store.new_key("ec-p256"), path.stem).public_bytes(Encoding.PEM))
    word = tmp_path / "word"
    word.write_text("a word that short secrets are made of", encoding="utf-8")
    seal = {"bank_signing_certificates": ["file:bank.crt"], "signing_certificate": "file:us.crt", "passphrase": "file:word"}
    store_keys = made(tmp_path)
    with_key(store_keys, "vault")
    configuration = configuration_of(tmp_path, seal=seal | {"signing_key": "store:vault"})
    async with opened() as log:
        watch = KeyWatch(configuration, log, InForce(log, "worker@a"))
        await watch.look()
        was = keys_view(configuration).parts
        bank.write_bytes(own.read_bytes())
        word.write_text("another word", encoding="utf-8")
        with_key(store_keys, "second", active=False)
        await watch.look()
        await watch.look()
        place = "connections.house.seal.bank_signing_certificates"
        assert await changes(log) == [("key.changed", place), ("key.changed", "store:second@1")]
        (_, _, told), (_, _, second) = await lines(log, "key.changed")
        assert (told["was"], told["now"]) == (was[place], keys_view(configuration).parts[place])
        assert fingerprints(own.read_bytes())[0] in told["now"]
        assert second["now"].startswith("created, certificate sha256:")
        own.unlink()
        await KeyWatch(configuration, log, InForce(log, "serve@a")).look()
        assert (await lines(log, "key.changed"))[-1][2]["now"] == "file:us.crt missing"
        everything = " ".join(row.detail or "" for row in await log.audit_rows(0, 999))
        assert "word" not in everything, "of passphrases not even a digest stands there"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"correct horse",
        b"0123456789abcdef" * 4,
        b"\x30\x03abc",
        b'{"password": "x"}',
        b"-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----",
    ],
    ids=["empty", "passphrase", "hex", "short", "json", "crl"],
)
def test_nothing_is_written_down_of_what_is_no_key(content: bytes) -> None:
    assert fingerprints(content) == []


async def test_a_bank_key_exchanged_in_the_database_is_told_though_no_file_changed(opened: Opened, tmp_path: Path) -> None:
    channel = tomllib.loads(EBICS)["channel"]
    house = configuration_of(tmp_path).connections["house"].model_copy(update={"channel": channel})
    configuration = configuration_of(tmp_path).model_copy(update={"connections": {"house": house}})
    profile = parse_profile(channel)
    assert isinstance(profile, EbicsProfile)
    note = f"{profile.scope}/{SUBSCRIPTION}"
    async with opened() as log:
        watch = KeyWatch(configuration, log, InForce(log, "worker@a"))
        was = None
        for bank in (BARE, CARRIED):
            text = SubscriberNote(subscription=Subscription(ini=Sent.YES, hia=Sent.YES, bank=bank)).to_text()
            assert await log.put_channel_note(note, text, was=was)
            await watch.look()
            was = text
        ((_, place, told),) = await lines(log, "key.changed")
        assert place == "connections.house.bank_keys"
        assert told["was"] != told["now"]
        assert BARE.authentication.public_key_hash.hex() in told["was"]
        assert (CARRIED.encryption.certificate_hash or b"").hex() in told["now"]
