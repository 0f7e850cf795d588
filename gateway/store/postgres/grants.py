"""Which rights the processes need, role by role (PostgreSQL, "Privileges", "Row Security Policies").

Three roles: one owns the tables and migrates; `worker` reads and writes everything and changes no tables; `serve`, which answers
callers, can do less, so that whoever takes it over still cannot change what goes to a bank:

- it reads no bytes of messages to banks (chunks of documents other than bank files), and can neither write nor replace them: a
  row policy lets it see, add and remove the bytes of bank files only, which `replay --commit` and rereading need;
- it cannot give a message another document, another name or another bank: of a delivery it may change where it stands; nor
  another serial number to a message or a payment;
- it deletes nothing that happened: events, payments, keys, evidence, answers about payees (nor does the worker change
  those), versions of beneficiaries and standing orders; what became of the days of a standing order the worker alone writes;
- it writes what people decide about payments and hits, and changes neither decisions nor what was judged;
- it releases no group of payments: it opens, closes and cancels them, and the worker alone lets one go;
- it opens no account that is sealed for emergencies, and forgets no opening;
- of what channels remember it sees where onboarding stands, and changes nothing.

Neither of the two changes or deletes an event, a line of the audit log, a checkpoint or a seal, nor lets lines of the log go
(`audit_anchors`); only the worker makes checkpoints and seals. (Of the events' partitions triggers see to it.)
"""

from collections.abc import Iterator
from typing import Final

_ALL: Final = "SELECT, INSERT, UPDATE, DELETE"
_SERVE: Final = {
    "bankgate_schema": "SELECT",
    "archives": "SELECT",
    "server_life": "SELECT, INSERT",
    "blocks": "SELECT",
    "terms": "SELECT, INSERT",
    "payment_keys": "SELECT, INSERT",
    "payments": "SELECT, INSERT, UPDATE",
    "transfers": "SELECT, INSERT, UPDATE",
    "events": "SELECT, INSERT",
    "refused_attempts": "SELECT, INSERT",
    "delivery_events": "SELECT, INSERT",
    "attempts": "SELECT, INSERT, UPDATE",
    "evidence": "SELECT, INSERT",
    "inbound_files": "SELECT, INSERT, UPDATE",
    "statements": "SELECT, INSERT, UPDATE",
    "entries": "SELECT, INSERT, UPDATE",
    "discrepancies": "SELECT, INSERT, UPDATE",
    "connections": "SELECT, INSERT, UPDATE",
    "channel_notes": "SELECT",
    "serial_numbers": "SELECT",
    "reviews": "SELECT",
    "review_book": "SELECT",
    "approvals": "SELECT, INSERT",
    "review_totals": "SELECT",
    "screening_clearances": "SELECT, INSERT",
    "screening_revocations": "SELECT, INSERT",
    "screening_lists": "SELECT",
    "screening_book": "SELECT",
    "people": "SELECT, INSERT, UPDATE",
    "people_factors": _ALL,
    "people_sessions": _ALL,
    "people_challenges": _ALL,
    "people_tries": _ALL,
    "people_id_tokens": "SELECT, INSERT, DELETE",
    "people_openings": "SELECT",
    "people_proposals": _ALL,
    "caller_quotas": _ALL,
    "audit_log": "SELECT, INSERT",
    "audit_checkpoints": "SELECT",
    "audit_anchors": "SELECT",
    "event_seals": "SELECT",
    "payee_checks": "SELECT, INSERT",
    "plans": "SELECT, INSERT, UPDATE",
    "plan_versions": "SELECT, INSERT",
    "plan_words": "SELECT, INSERT, DELETE",
    "plan_occurrences": "SELECT",
    "recalls": "SELECT, INSERT",
    "release_groups": "SELECT, INSERT, UPDATE",
    "documents": _ALL,
    "chunks": _ALL,
    "procrastinate_jobs": "SELECT, INSERT",
    "procrastinate_events": "SELECT, INSERT",
}
_KEPT: Final = (
    *("audit_log", "audit_checkpoints", "event_seals", "payee_checks"),
    *("screening_clearances", "screening_revocations"),
)
_WHERE_A_DELIVERY_STANDS: Final = (
    *("state", "reason", "attempt", "fence", "lease_until", "due_at", "updated_at", "doubt_since", "stopped"),
)


def _quoted(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def statements(*, serve: str, worker: str) -> Iterator[str]:
    """The SQL that gives two roles, which are there already, their rights; for the role that owns the tables. May be run again,
    and is to be run again after an upgrade."""
    serve, worker = _quoted(serve), _quoted(worker)
    yield f"GRANT USAGE ON SCHEMA public TO {serve}, {worker}"
    yield f"GRANT {_ALL} ON ALL TABLES IN SCHEMA public TO {worker}"
    yield f"REVOKE INSERT, UPDATE, DELETE ON bankgate_schema, archives FROM {worker}"
    yield f"REVOKE UPDATE, DELETE ON {', '.join(_KEPT)} FROM {worker}"
    yield f"REVOKE UPDATE, DELETE ON events, delivery_events FROM {worker}"
    yield f"REVOKE INSERT, UPDATE, DELETE ON audit_anchors FROM {worker}"
    yield f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {serve}, {worker}"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {serve}"
    for table, rights in _SERVE.items():
        yield f"GRANT {rights} ON {table} TO {serve}"
    yield f"GRANT SELECT, UPDATE ({', '.join(_WHERE_A_DELIVERY_STANDS)}) ON deliveries TO {serve}"
    # That a decision was taken, and by a trigger whether the payment counts; what was judged is the worker's to write.
    yield f"GRANT UPDATE (version, counted) ON reviews TO {serve}"
    yield f"GRANT UPDATE (reviewed_at, reviewed_by, review) ON people_openings TO {serve}"
    yield f"GRANT UPDATE (bank_reference, returned_line) ON serial_numbers TO {serve}"  # what `replay --commit` reads in files
    yield f"GRANT UPDATE (told, answer, answer_status, answer_reason, answered_at) ON recalls TO {serve}"  # likewise
    for table, condition in (
        ("documents", "kind = 'inbound'"),
        ("chunks", "EXISTS (SELECT 1 FROM documents AS d WHERE d.document_id = chunks.document_id AND d.kind = 'inbound')"),
    ):
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        for policy in ("everything", "bank_files", "sizes"):
            yield f"DROP POLICY IF EXISTS {policy} ON {table}"
        yield f"CREATE POLICY everything ON {table} TO {worker} USING (true) WITH CHECK (true)"
        yield f"CREATE POLICY bank_files ON {table} TO {serve} USING ({condition}) WITH CHECK ({condition})"
    yield "ALTER TABLE release_groups ENABLE ROW LEVEL SECURITY"
    for policy in ("everything", "before_release"):
        yield f"DROP POLICY IF EXISTS {policy} ON release_groups"
    yield f"CREATE POLICY everything ON release_groups TO {worker} USING (true) WITH CHECK (true)"
    yield f"CREATE POLICY before_release ON release_groups TO {serve} USING (true) WITH CHECK (state <> 'released')"
    yield "ALTER TABLE channel_notes ENABLE ROW LEVEL SECURITY"
    for policy in ("everything", "onboarding"):
        yield f"DROP POLICY IF EXISTS {policy} ON channel_notes"
    yield f"CREATE POLICY everything ON channel_notes TO {worker} USING (true) WITH CHECK (true)"
    yield f"CREATE POLICY onboarding ON channel_notes FOR SELECT TO {serve} USING (name LIKE '%/subscription')"
    # Of every document its size and digest may be seen: a delivery shows them.
    yield f"CREATE POLICY sizes ON documents FOR SELECT TO {serve} USING (true)"
