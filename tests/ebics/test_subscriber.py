"""Onboarding: keys go once, bank keys count after a person compared them, and a changed one stops everything."""

from dataclasses import replace

import pytest

from channels.ebics.answers import Answer
from channels.ebics.order_data import HpbData
from channels.ebics.subscriber import (
    Sent,
    Standing,
    Subscription,
    bank_keys_fetched,
    confirm,
    fingerprints,
    key_answered,
    locked,
    sending,
    usable_bank_keys,
    words,
)
from keys.ebics_keys import own_key
from tests.ebics.support.parties import bank_keys, certified, key

OK = Answer(technical="000000", business="000000", report="")
BANK = HpbData(authentication=bank_keys().authentication, encryption=bank_keys().encryption, host_id="TESTHOST")
OTHER = replace(BANK, authentication=own_key("X002", key("O")))


def refused(code: str) -> Answer:
    return Answer(technical=code, business="000000", report="")


def sent(subscription: Subscription, answer: Answer | None) -> Subscription:
    """One key order sent; None: no answer came."""
    stored, order = sending(subscription)
    return stored if answer is None else key_answered(subscription, order, answer)


def ready() -> Subscription:
    waiting = sent(sent(Subscription(), OK), OK)
    x, e = (digest for version, kind, digest in fingerprints(BANK))
    return confirm(bank_keys_fetched(waiting, BANK, host_id="TESTHOST"), authentication=x, encryption=e)


def test_the_way_from_new_keys_to_ready() -> None:
    state = Subscription()
    assert (state.standing, state.due) == (Standing.NEW, "INI")
    state = sent(state, OK)
    assert (state.standing, state.due) == (Standing.SENDING, "HIA")
    state = sent(state, OK)
    assert (state.standing, state.due) == (Standing.WAITING, None)
    state = bank_keys_fetched(state, BANK, host_id="TESTHOST")
    assert state.standing is Standing.UNCONFIRMED
    with pytest.raises(ValueError, match="Compare"):
        usable_bank_keys(state)
    assert usable_bank_keys(ready()) == BANK


def test_with_certificates_of_an_authority_one_order_sends_all() -> None:
    state = Subscription(by_authority=True)
    assert state.due == "H3K"
    assert sent(state, OK).standing is Standing.WAITING


def test_a_key_order_without_an_answer_goes_again_with_the_same_key_and_a_wrong_state_says_that_it_arrived() -> None:
    lost = sent(Subscription(), None)
    assert (lost.ini, lost.standing, lost.due) == (Sent.MAYBE, Standing.SENDING, "INI")
    for code in ("091002", "091003", "091004"):
        assert sent(lost, refused(code)).ini is Sent.YES
        assert sent(Subscription(), refused(code)).ini is Sent.NO, "the first copy: the bank does not know us"
    assert sent(lost, refused("061002")).ini is Sent.MAYBE


def test_nothing_is_sent_when_the_bank_has_all_keys() -> None:
    with pytest.raises(ValueError, match="PUB"):
        sending(ready())


@pytest.mark.parametrize(
    "form",
    [
        str,
        str.lower,
        lambda text: " ".join(text[at : at + 2] for at in range(0, 64, 2)),
        lambda text: f"{text[:32]}\n{text[32:]}",
    ],
)
def test_fingerprints_are_taken_as_people_type_them(form) -> None:
    waiting = bank_keys_fetched(Subscription(), BANK, host_id="TESTHOST")
    x, e = (form(digest) for _, _, digest in fingerprints(BANK))
    assert confirm(waiting, authentication=x, encryption=e).standing is Standing.READY


def test_a_bank_that_publishes_certificate_hashes_is_compared_by_those() -> None:
    keys = HpbData(authentication=certified("X002", "BX"), encryption=certified("E002", "BE"), host_id="TESTHOST")
    waiting = bank_keys_fetched(Subscription(), keys, host_id="TESTHOST")
    told = {(version, kind): digest for version, kind, digest in fingerprints(keys)}
    assert len(told) == 4
    for kind in ("public-key", "certificate"):
        done = confirm(waiting, authentication=told["X002", kind], encryption=told["E002", kind])
        assert done.standing is Standing.READY


def test_a_fingerprint_that_differs_confirms_nothing_and_names_the_key() -> None:
    waiting = bank_keys_fetched(Subscription(), BANK, host_id="TESTHOST")
    x, e = (digest for _, _, digest in fingerprints(BANK))
    for wrong, named in (
        ((x, x), "E002"),
        ((e, e), "X002"),
        ((e, x), "X002 and E002"),
        ((x, ""), "E002"),
        ((x, e[:-2]), "E002"),
        ((x, "zz"), "E002"),
    ):
        with pytest.raises(ValueError, match=named):
            confirm(waiting, authentication=wrong[0], encryption=wrong[1])
    with pytest.raises(ValueError, match="no bank keys"):
        confirm(Subscription(), authentication=x, encryption=e)


def test_a_changed_bank_key_stops_the_connection_with_words_until_it_was_compared() -> None:
    changed = bank_keys_fetched(ready(), OTHER, host_id="TESTHOST")
    assert changed.standing is Standing.BANK_KEY_CHANGED
    with pytest.raises(ValueError, match="other keys than those that were confirmed"):
        usable_bank_keys(changed)
    assert "confirm nothing" in words(changed).english
    assert "请勿确认" in words(changed).chinese
    x, e = (digest for _, _, digest in fingerprints(OTHER))
    assert usable_bank_keys(confirm(changed, authentication=x, encryption=e)) == OTHER


def test_the_same_bank_keys_change_nothing_and_end_an_alarm() -> None:
    state = ready()
    assert bank_keys_fetched(state, BANK, host_id="TESTHOST") == state
    alarmed = bank_keys_fetched(state, OTHER, host_id="TESTHOST")
    assert bank_keys_fetched(alarmed, BANK, host_id="TESTHOST").standing is Standing.READY


def test_keys_of_another_bank_are_refused() -> None:
    with pytest.raises(ValueError, match="HostID"):
        bank_keys_fetched(Subscription(), BANK, host_id="OTHERHOST")


def test_a_locked_subscriber_sends_nothing_more() -> None:
    state = locked(ready())
    assert state.standing is Standing.LOCKED
    with pytest.raises(ValueError, match="locked"):
        usable_bank_keys(state)


def test_every_standing_says_the_next_step_in_both_languages() -> None:
    states = [
        Subscription(),
        sent(Subscription(), OK),
        ready(),
        locked(ready()),
        bank_keys_fetched(ready(), OTHER, host_id="TESTHOST"),
    ]
    states += [sent(sent(Subscription(), OK), OK), bank_keys_fetched(Subscription(), BANK, host_id="TESTHOST")]
    assert {state.standing for state in states} == set(Standing)
    for state in states:
        assert words(state).english
        assert words(state).chinese != words(state).english
