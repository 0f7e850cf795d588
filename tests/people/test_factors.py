"""What a second factor proves, and every way in which it must not: replayed, for something else, by another key, on another
page."""

import asyncio
import json
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.errors import BadRequest, FactorNeeded, FactorRefused, NotFound
from gateway.people import totp
from gateway.people.factors import SecondFactor
from gateway.people.person import FactorProof
from tests.people.authenticator import PRESENT, Authenticator, unb64
from tests.people.conftest import CONSOLE, House, Somebody

DIGEST = sha256(b"payment 1: 100.00 EUR to DE89...").digest()
OTHER = sha256(b"payment 1: 900.00 EUR to DE89...").digest()


async def prove(who: Somebody, factor: SecondFactor, digest: bytes = DIGEST) -> FactorProof:
    return await who.people.prove((await who.session()).account.person, factor, digest, source=CONSOLE)


async def asserted(who: Somebody, key: Authenticator, digest: bytes = DIGEST) -> SecondFactor:
    asked = await who.people.begin_factor((await who.session()).account.person, digest)
    return SecondFactor(assertion=key.get(asked.options), challenge_id=asked.challenge_id)


# -- codes -----------------------------------------------------------------------------------------------------------------


async def test_a_code_proves_once(house: House) -> None:
    eve = await house.person("eve", "approver")
    factor = eve.new_code()
    proof = await prove(eve, factor)
    assert (proof.kind, proof.bound_to, proof.evidence) == ("totp", DIGEST.hex(), "")
    assert proof.at == house.clock()
    with pytest.raises(FactorRefused):
        await prove(eve, factor)
    assert "factor.proved" in await house.actions()


@pytest.mark.parametrize("steps", [-1, 1])
async def test_a_code_of_a_neighbouring_step_counts_and_then_neither_it_nor_an_earlier_one_does(house: House, steps: int) -> None:
    eve = await house.person("eve", "approver")
    house.clock.advance(seconds=120)
    now = totp.step_at(house.clock().timestamp())
    await prove(eve, SecondFactor(totp_code=totp.code_at(eve.secret, now + steps)))
    for step in range(now - 1, now + steps + 1):
        with pytest.raises(FactorRefused):
            await prove(eve, SecondFactor(totp_code=totp.code_at(eve.secret, step)))


@pytest.mark.parametrize("steps", [-2, 2])
async def test_a_code_of_a_step_further_away_does_not_count(house: House, steps: int) -> None:
    eve = await house.person("eve", "approver")
    house.clock.advance(seconds=300)
    step = totp.step_at(house.clock().timestamp()) + steps
    with pytest.raises(FactorRefused):
        await prove(eve, SecondFactor(totp_code=totp.code_at(eve.secret, step)))


async def test_of_two_who_bring_the_same_code_at_once_one_gets_through(house: House) -> None:
    eve = await house.person("eve", "approver")
    factor = eve.new_code()
    outcomes = await asyncio.gather(prove(eve, factor), prove(eve, factor, OTHER), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["FactorProof", "FactorRefused"]


async def test_guessing_codes_is_slowed_and_the_right_one_waits_too(house: House) -> None:
    eve = await house.person("eve", "approver")
    for _ in range(4):
        with pytest.raises(FactorRefused):
            await prove(eve, SecondFactor(totp_code="000000"))
    house.clock.advance(seconds=1)
    with pytest.raises(FactorRefused):
        await prove(eve, SecondFactor(totp_code=eve.code()))
    house.clock.advance(seconds=60)
    await prove(eve, SecondFactor(totp_code=eve.code()))


async def test_a_recovery_code_counts_once_however_it_is_written(house: House) -> None:
    eve = await house.person("eve", "approver")
    codes = await house.people.new_recovery_codes(await eve.fresh())
    assert len(set(codes)) == 10
    assert (await prove(eve, SecondFactor(recovery_code=codes[3].lower().replace("-", " ")))).kind == "recovery_code"
    with pytest.raises(FactorRefused):
        await prove(eve, SecondFactor(recovery_code=codes[3]))
    await house.people.new_recovery_codes(await eve.fresh())
    with pytest.raises(FactorRefused):
        await prove(eve, SecondFactor(recovery_code=codes[4]))


async def test_a_code_of_somebody_else_proves_nothing(house: House) -> None:
    eve, bob = await house.person("eve", "approver"), await house.person("bob", "approver")
    codes = await house.people.new_recovery_codes(await bob.fresh())
    for factor in (bob.new_code(), SecondFactor(recovery_code=codes[0])):
        with pytest.raises(FactorRefused):
            await prove(eve, factor)


# -- passkeys --------------------------------------------------------------------------------------------------------------


async def test_a_passkey_signs_the_digest_and_a_third_party_can_check_it(house: House) -> None:
    """By the evidence alone, with nothing but SHA-256 and ECDSA."""
    eve = await house.person("eve", "approver")
    key = await eve.passkey()
    proof = await prove(eve, await asserted(eve, key))
    found = json.loads(proof.evidence)
    client = unb64(found["client_data_json"])
    challenge = sha256(b"bankgate second factor 1\x00" + bytes.fromhex(found["nonce"]) + DIGEST).digest()
    assert unb64(json.loads(client)["challenge"]) == challenge
    public_key = load_pem_public_key(found["public_key"].encode())
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    signed = unb64(found["authenticator_data"]) + sha256(client).digest()
    public_key.verify(unb64(found["signature"]), signed, ec.ECDSA(SHA256()))
    assert (proof.kind, proof.bound_to, found["bound_to"]) == ("passkey", DIGEST.hex(), DIGEST.hex())


async def test_an_assertion_for_another_digest_is_refused(house: House) -> None:
    eve = await house.person("eve", "approver")
    factor = await asserted(eve, await eve.passkey(), OTHER)
    with pytest.raises(FactorRefused):
        await prove(eve, factor, DIGEST)


async def test_an_assertion_is_not_moved_to_the_challenge_of_another_digest(house: House) -> None:
    eve = await house.person("eve", "approver")
    factor = await asserted(eve, await eve.passkey(), OTHER)
    mine = await house.people.begin_factor((await eve.session()).account.person, DIGEST)
    with pytest.raises(FactorRefused):
        await prove(eve, replace(factor, challenge_id=mine.challenge_id))


async def test_an_assertion_is_not_replayed(house: House) -> None:
    eve = await house.person("eve", "approver")
    factor = await asserted(eve, await eve.passkey())
    await prove(eve, factor)
    with pytest.raises(FactorRefused):
        await prove(eve, factor)


async def test_of_two_who_bring_the_same_assertion_at_once_one_gets_through(house: House) -> None:
    eve = await house.person("eve", "approver")
    factor = await asserted(eve, await eve.passkey())
    outcomes = await asyncio.gather(*(prove(eve, factor) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, FactorProof) for one in outcomes) == 1


async def test_a_challenge_expires(house: House) -> None:
    eve = await house.person("eve", "approver")
    factor = await asserted(eve, await eve.passkey())
    house.clock.advance(seconds=180)
    with pytest.raises(FactorRefused):
        await prove(eve, factor)


@pytest.mark.parametrize(
    "wrong", ["cloned counter", "other origin", "other domain", "user not verified", "other key", "challenge of another person"]
)
async def test_what_is_wrong_with_an_assertion_refuses_it(house: House, wrong: str) -> None:
    eve = await house.person("eve", "approver")
    key = await eve.passkey()
    await prove(eve, await asserted(eve, key))
    match wrong:
        case "cloned counter":
            key.counter -= 1
        case "other origin":
            key.origin = "https://pay.example.com.evil.example"
        case "other domain":
            key.domain = "evil.example"
        case "user not verified":
            key.flags = PRESENT
        case "other key":
            key = replace(key, key=ec.generate_private_key(ec.SECP256R1()))
    if wrong == "challenge of another person":
        bob = await house.person("bob", "approver")
        await bob.passkey()
        asked = await house.people.begin_factor((await bob.session()).account.person, DIGEST)
        factor = SecondFactor(assertion=key.get(asked.options), challenge_id=asked.challenge_id)
    else:
        factor = await asserted(eve, key)
    with pytest.raises(FactorRefused):
        await prove(eve, factor)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"id": 7}', '{"id": "x"}', "[" * 9000, '"' + "x" * 20_000 + '"'])
async def test_nonsense_instead_of_an_assertion_is_refused_and_nothing_worse(house: House, text: str) -> None:
    eve = await house.person("eve", "approver")
    factor = await asserted(eve, await eve.passkey())
    if not text:
        with pytest.raises(BadRequest):
            SecondFactor(assertion=text)
        return
    with pytest.raises(FactorRefused):
        await prove(eve, replace(factor, assertion=text))
    good = json.loads(factor.assertion)
    with pytest.raises(FactorRefused):
        await prove(eve, replace(factor, assertion=json.dumps({**good, "response": {"clientDataJSON": text}})))


async def test_a_registration_is_for_its_session_its_page_and_once(house: House) -> None:
    eve = await house.person("eve", "approver")
    session = await eve.fresh()
    challenge_id, options = await house.people.begin_passkey(session)
    for wrong in (
        Authenticator(origin="https://evil.example"),
        Authenticator(domain="evil.example"),
        Authenticator(flags=PRESENT),
    ):
        with pytest.raises(FactorRefused):
            await house.people.finish_passkey(session, challenge_id, wrong.create(options), "key")
    good = Authenticator().create(options)
    await eve.sign_in()
    with pytest.raises(FactorRefused):
        await house.people.finish_passkey(await eve.session(), challenge_id, good, "key")
    await house.people.finish_passkey(session, challenge_id, good, "key")
    with pytest.raises(FactorRefused):
        await house.people.finish_passkey(session, challenge_id, good, "key")


async def test_a_passkey_of_one_person_is_not_registered_by_another(house: House) -> None:
    eve, bob = await house.person("eve", "approver"), await house.person("bob", "approver")
    key = await eve.passkey()
    session = await bob.fresh()
    challenge_id, options = await house.people.begin_passkey(session)
    with pytest.raises(FactorRefused):
        await house.people.finish_passkey(session, challenge_id, key.create(options), "key")


async def test_a_passkey_signs_in(house: House) -> None:
    eve = await house.person("eve", "approver")
    key = await eve.passkey()
    begun = await house.people.sign_in("eve", "a long walk by the river", CONSOLE)
    assert begun.kinds == ("passkey", "totp")
    factor = SecondFactor(assertion=key.get(begun.options))
    opened = await house.people.finish_sign_in(begun.sign_in_id, factor, CONSOLE)
    assert opened.session.factor.startswith("passkey ")
    with pytest.raises(FactorRefused):
        await prove(eve, replace(factor, challenge_id=begun.sign_in_id))


# -- step-up and having factors --------------------------------------------------------------------------------------------


async def test_a_stolen_session_without_a_factor_can_do_nothing_that_needs_one(house: House) -> None:
    eve = await house.person("eve", "approver")
    house.clock.advance(minutes=6)
    stolen = await eve.session()
    for attempt in (
        house.people.new_recovery_codes(stolen),
        house.people.begin_passkey(stolen),
        house.people.enrol_totp(stolen, "mine"),
        house.people.change_password(stolen, "a long walk by the river", "something else entirely 7"),
        house.people.remove_factor(stolen, "x"),
    ):
        with pytest.raises(FactorNeeded):
            await attempt
    with pytest.raises(FactorRefused):
        await house.people.step_up(stolen, SecondFactor(totp_code="123456"))
    assert not house.people.is_fresh(await eve.session())


async def test_a_step_up_is_for_one_session_and_for_a_while(house: House) -> None:
    eve = await house.person("eve", "approver")
    first = eve.token
    house.clock.advance(minutes=6)
    await eve.sign_in()
    assert house.people.is_fresh(await eve.session())
    assert not house.people.is_fresh(await house.people.session_of(first, CONSOLE))
    house.clock.advance(minutes=5)
    assert not house.people.is_fresh(await eve.session())


async def test_an_assertion_for_a_session_is_none_for_an_approval_nor_the_other_way_round(house: House) -> None:
    eve = await house.person("eve", "approver")
    key = await eve.passkey()
    with pytest.raises(FactorRefused):
        await house.people.step_up(await eve.session(), await asserted(eve, key, DIGEST))


async def test_the_last_lasting_factor_stays(house: House) -> None:
    eve = await house.person("eve", "approver")
    await house.people.new_recovery_codes(await eve.fresh())
    (phone,) = [one for one in await house.people.own_factors(await eve.session()) if one.kind == "totp"]
    with pytest.raises(BadRequest):
        await house.people.remove_factor(await eve.session(), phone.factor_id)
    await eve.passkey()
    await house.people.remove_factor(await eve.session(), phone.factor_id)
    with pytest.raises(NotFound):
        await house.people.remove_factor(await eve.session(), phone.factor_id)


async def test_an_app_counts_only_after_its_first_code(house: House) -> None:
    eve = await house.person("eve", "approver")
    factor_id, _ = await house.people.enrol_totp(await eve.fresh(), "tablet")
    assert len([one for one in await house.people.own_factors(await eve.session()) if one.confirmed]) == 1
    with pytest.raises(FactorRefused):
        await house.people.confirm_totp(await eve.session(), factor_id, "000000")


async def test_a_disabled_person_proves_nothing_although_the_caller_still_knows_them(house: House) -> None:
    ada, eve = await house.officer(), await house.person("eve", "approver")
    person = (await eve.session()).account.person
    await house.people.disable_person(await ada.fresh(), "eve")
    with pytest.raises(FactorRefused):
        await house.people.prove(person, eve.new_code(), DIGEST, source=CONSOLE)
