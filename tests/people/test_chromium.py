"""A real browser registers a passkey, signs in with it and approves a digest; what it signed is good here and for a third
party."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.config import PeopleSettings
from gateway.errors import FactorRefused
from gateway.people.factors import SecondFactor
from gateway.people.people import People
from gateway.telemetry import Metrics
from tests.people.authenticator import unb64
from tests.people.chromium import page, program, tab
from tests.people.conftest import CHEAP, CONSOLE, PASSWORD, House

DIGEST = sha256(b"payment 1").digest()


@pytest.mark.skipif(program() is None, reason="chromium is not installed (Debian: apt-get install chromium)")
async def test_chromium_registers_a_passkey_signs_in_and_approves_a_digest(
    house: House, settings: PeopleSettings, place: Path, tmp_path: Path
) -> None:
    eve = await house.person("eve", "approver")
    async with page() as origin:
        local = settings.model_copy(update={"relying_party": "localhost", "origins": (origin,)})
        people = People(local, house.store, directory=place, clock=house.clock, metrics=Metrics(), passwords=CHEAP)
        eve.people = people
        async with tab(origin, tmp_path / "profile") as browser:
            session = await eve.fresh()
            challenge_id, options = await people.begin_passkey(session)
            await people.finish_passkey(session, challenge_id, await browser.create(options), "browser")
            begun = await people.sign_in("eve", PASSWORD, CONSOLE)
            factor = SecondFactor(assertion=await browser.get(begun.options))
            opened = await people.finish_sign_in(begun.sign_in_id, factor, CONSOLE)
            assert opened.session.factor.startswith("passkey ")
            person = (await people.session_of(opened.token, CONSOLE)).account.person
            asked = await people.begin_factor(person, DIGEST)
            factor = SecondFactor(assertion=await browser.get(asked.options), challenge_id=asked.challenge_id)
            other = await people.begin_factor(person, sha256(b"payment 2").digest())
            with pytest.raises(FactorRefused):
                await people.prove(person, replace(factor, challenge_id=other.challenge_id), DIGEST, source=CONSOLE)
            proof = await people.prove(person, factor, DIGEST, source=CONSOLE)
    found = json.loads(proof.evidence)
    client = json.loads(unb64(found["client_data_json"]))
    assert (client["type"], client["origin"]) == ("webauthn.get", origin)
    signed = sha256(b"bankgate second factor 1\x00" + bytes.fromhex(found["nonce"]) + DIGEST).digest()
    assert unb64(client["challenge"]) == signed
