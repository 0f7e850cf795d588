"""Asks about the payees of many payments at once: each payee once, no answer awaited longer than the settings say.

However slow the service is, all is done after `all_seconds` and one answer's `seconds`.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from gateway.payee.check import PayeeCheck, digest_of, question_of
from gateway.payee.provider import NOT_ASKED, PayeeAnswer, PayeeProvider, PayeeQuestion, ask, not_available
from gateway.payee_settings import PayeeSettings
from gateway.policy.subject import Subject


async def verify(
    subjects: Sequence[Subject],
    provider: PayeeProvider,
    settings: PayeeSettings,
    *,
    clock: Callable[[], datetime],
    new_reference: Callable[[], str],
) -> list[PayeeCheck]:
    """One check for each payment, in their order; whatever the service does, there is one for each.

    Payments to the same name and account share one question. `new_reference` gives the questions' ids, which say nothing of the
    payments.
    """
    asked_at, loop = clock(), asyncio.get_running_loop()
    places, deadline = asyncio.Semaphore(settings.at_once), loop.time() + settings.all_seconds
    asked: dict[tuple[str, str | None], asyncio.Task[tuple[PayeeAnswer, datetime]]] = {}
    found: list[tuple[Subject, str, PayeeAnswer | asyncio.Task[tuple[PayeeAnswer, datetime]]]] = []

    async def answered(question: PayeeQuestion) -> tuple[PayeeAnswer, datetime]:
        async with places:
            if loop.time() >= deadline:
                return not_available(NOT_ASKED), clock()
            answer = await ask(provider, question, settings.seconds)
            return answer, clock()

    async with asyncio.TaskGroup() as group:
        for subject in subjects:
            digest = digest_of(subject.transfer)
            question = question_of(subject, settings, new_reference())
            if isinstance(question, PayeeAnswer):
                found.append((subject, digest, question))
                continue
            key = (digest, question.bic)
            if key not in asked:
                asked[key] = group.create_task(answered(question))
            found.append((subject, digest, asked[key]))
    checks = []
    for subject, digest, answer in found:
        told, at = answer.result() if isinstance(answer, asyncio.Task) else (answer, asked_at)
        checks.append(
            PayeeCheck(
                payment_id=subject.payment_id,
                provider=provider.name,
                asked_at=asked_at,
                answered_at=max(asked_at, at),
                digest=digest,
                answer=told,
            )
        )
    return checks
