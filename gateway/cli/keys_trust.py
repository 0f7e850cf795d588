"""`bankgate keys trust`: a changed key of a bank waits until a person has compared fingerprints."""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway import clock
from gateway.cli.keys_common import By, Json, explained, fail, say, whoever
from gateway.cli.keys_told import told
from keys import store
from keys.trust_pending import USES, Proposal, TrustDirectory, fingerprint_of

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Certificates of banks that wait for a person to compare fingerprints."
)

ConfigDir = Annotated[Path, typer.Option("--config", help="The configuration; its directory trust/ is used.", file_okay=False)]
Identifier = Annotated[str, typer.Argument(metavar="ID", help="Of the proposal; see `list`.")]


@app.command()
def propose(
    certificate: Annotated[Path, typer.Argument(help="The bank's new certificate (PEM or DER).")],
    config: ConfigDir,
    *,
    connection: Annotated[str, typer.Option(help="Which connection it is for.")],
    use: Annotated[str, typer.Option(help=f"What for: {', '.join(USES)}.")] = "signing",
    replaces: Annotated[Path | None, typer.Option(help="The certificate it replaces.", show_default=False)] = None,
    source: Annotated[str, typer.Option(help="From where it came, in words.")] = "given on the command line",
    by: By = None,
) -> None:
    """Keep a certificate waiting. Nothing uses it before it is confirmed."""
    if use not in USES:
        fail(2, f"--use {use}: there are {', '.join(USES)}")
    with explained():
        old = None if replaces is None else store.load_certificate(f"file:{replaces.name}", replaces.parent).parsed
        proposal = Proposal(
            connection=connection,
            use=use,
            certificate=store.load_certificate(f"file:{certificate.name}", certificate.parent).parsed,
            replaces=old,
            source=source,
            proposed_by=whoever(by),
            proposed_at=clock.now(),
        )
        with _told("trust.proposed", proposal, config, by):
            found = TrustDirectory(config / "trust").propose(proposal)
    say(f"{found.id} waits. Compare it with what the bank tells you: bankgate keys trust compare {found.id}")


@app.command("list")
def list_(
    config: ConfigDir,
    *,
    judged: Annotated[bool, typer.Option("--judged", help="What was confirmed and rejected instead.")] = False,
    as_json: Json = False,
) -> None:
    """Show what waits, or what was judged by whom."""
    with explained():
        directory = TrustDirectory(config / "trust")
        if judged:
            rows = [{key: row[key] for key in row if key not in ("certificate", "replaces")} for row in directory.judged()]
        else:
            rows = [
                {
                    "id": found.id,
                    "connection": found.connection,
                    "use": found.use,
                    "subject": found.certificate.subject.rfc4514_string(),
                    "fingerprint": found.fingerprint,
                    "replaces": found.replaces and fingerprint_of(found.replaces),
                    "source": found.source,
                    "proposed_by": found.proposed_by,
                    "proposed_at": found.proposed_at.isoformat(),
                }
                for found in directory.waiting()
            ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        say(escape("  ".join(f"{name}={value}" for name, value in row.items() if value)))
    if not rows:
        say("nothing waits" if not judged else "nothing was judged yet")


@app.command()
def compare(identifier: Identifier, config: ConfigDir) -> None:
    """Show a waiting certificate beside the one it replaces."""
    with explained():
        found = TrustDirectory(config / "trust").proposal(identifier)
        rows = found.comparison()
    table = Table(box=None, header_style="bold")
    for column in ("", "now", "proposed"):
        table.add_column(column, overflow="fold")
    for name, old, new in rows:
        table.add_row(name, escape(old), escape(new), style="yellow" if old and old != new else "")
    Console().print(table)
    say(f"for {escape(found.connection)}, {found.use}; from: {escape(found.source)}; proposed by {escape(found.proposed_by)}")
    say("Compare the SHA-256 with the bank's letter, or call a number you know; never with what came along with the certificate.")


@app.command()
def confirm(
    identifier: Identifier,
    config: ConfigDir,
    *,
    fingerprint: Annotated[
        list[str] | None,
        typer.Option(
            help="SHA-256 as the bank told it; and of the certificate it replaces. Absent: asked for.", show_default=False
        ),
    ] = None,
    by: By = None,
) -> None:
    """Trust a waiting certificate, with both fingerprints from the bank: of the new certificate, and of the one it replaces."""
    with explained():
        directory = TrustDirectory(config / "trust")
        found = directory.proposal(identifier)
        given = list(fingerprint or ())
        if not given:
            given.append(typer.prompt("SHA-256 of the new certificate, as the bank told it"))
            if found.replaces is not None:
                given.append(typer.prompt("SHA-256 of the certificate it replaces"))
        with _told("trust.confirmed", found, config, by):
            path = directory.confirm(identifier, given, who=whoever(by), at=clock.now())
    say(f'wrote {escape(str(path))}. Name it in the profile: "file:trust/{escape(path.name)}"')


@app.command()
def reject(
    identifier: Identifier,
    config: ConfigDir,
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    by: By = None,
) -> None:
    """Refuse a waiting certificate for good."""
    with explained():
        directory = TrustDirectory(config / "trust")
        with _told("trust.rejected", directory.proposal(identifier), config, by, reason=reason):
            directory.reject(identifier, reason, who=whoever(by), at=clock.now())
    say(f"{identifier}: rejected")


def _told(action: str, proposal: Proposal, config: Path, by: str | None, **detail: Any) -> AbstractContextManager[dict[str, Any]]:
    return told(
        action,
        proposal.id,
        near=config,
        config=config,
        by=by,
        connection=proposal.connection,
        use=proposal.use,
        certificate_sha256=proposal.fingerprint,
        replaces_sha256=proposal.replaces and fingerprint_of(proposal.replaces),
        source=proposal.source,
        **detail,
    )
