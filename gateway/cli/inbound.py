"""`bankgate inbound`: the files the banks gave, and reading one again after a fix."""

from typing import Annotated

import typer

from gateway.cli import connect
from gateway.cli.connect import Connection, Limit, service_call
from gateway.cli.output import Json, out, print_json, print_table
from gateway.masking import mask_text

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Files from the banks: kept raw, then read.")


@app.command("list")
@connect.calls_a_service
def list_files(
    *,
    connection: Connection = None,
    state: Annotated[str, typer.Option(help="Only in this state: stored, read or quarantined.")] = "",
    limit: Limit = 100,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show the files the banks gave, newest first."""
    where = service.as_target()
    request = {"page": {"size": limit}, "connection_id": connection or "", "state": state}
    found = service_call(where, "OperationsService", "ListInboundFiles", request).get("files", [])
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "connection", "name", "state", "message", "bytes", "records", "problem"),
        [
            (
                file["inbound_file_id"],
                file["connection_id"],
                mask_text(file.get("name", ""), numbers=False),  # banks put account numbers into names of files
                file.get("state"),
                file.get("message", ""),
                file.get("size_bytes", 0),
                file.get("records_applied", 0),
                file.get("problem", ""),
            )
            for file in found
        ],
    )


@app.command("reread")
@connect.calls_a_service
def reread(
    inbound_file_id: str,
    *,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Have the worker read a kept file again, for instance after a fix. Only what is missing is applied."""
    where = service.as_target()
    request = {"inbound_file_id": inbound_file_id}
    found = service_call(where, "OperationsService", "RereadInboundFile", request)["file"]
    if as_json:
        print_json(found)
    else:
        out().print(f"{inbound_file_id}: will be read again; see `bankgate inbound list`", markup=False)
