"""`bankgate session`: a person begins, signs in and out over a service, for the commands that decide as somebody (`bankgate
approvals`).

No password, code or token stands among the arguments. They are asked for on the terminal; where there is none, each answer is one
line of standard input, in the order in which it is asked for.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway.cli import connect
from gateway.cli.connect import service_call
from gateway.cli.output import USAGE, CommandFailed, Json, err, out, print_json
from gateway.cli.passkey import UsePasskey, touched

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Signing in as a person, to decide about payments.")

SESSION: Final = "BANKGATE_SESSION"
CODE: Final = "BANKGATE_CODE"
_TOTP_DIGITS: Final = 6

Name = Annotated[str, typer.Argument(help="The name of the account, such as li.wei.")]
Kept = Annotated[
    Path | None,
    typer.Option(help="Where the token of the session is kept, for yourself alone; absent: it is printed.", show_default=False),
]
SessionFile = Annotated[
    Path | None,
    typer.Option(help=f"A file with the token of the session; absent: the variable {SESSION}.", show_default=False),
]


@app.command()
@connect.calls_a_service
def begin(name: Name, *, session_file: Kept = None, service: connect.Service, as_json: Json = False) -> None:
    """Begin with the code that an officer gave you: set a password, add an authenticator app, and get recovery codes."""
    target = service.as_target()
    request = {
        "name": name,
        "enrolment_code": ask("the code that you were given / 注册码"),
        "new_password": ask("a new password, 12 characters or more / 新密码", twice=True),
    }
    token = str(service_call(target, "AccessService", "Enrol", request)["session_token"])
    made = service_call(target, "AccessService", "EnrolTotp", {"label": "app"}, session=token)
    uri = made["uri"]
    err().print(f"Add this to your authenticator app / 请添加到验证器应用：\n  {uri}", markup=False)
    confirmed = {"factor_id": made["factor_id"], "totp_code": ask("the code that the app shows now / 验证码")}
    service_call(target, "AccessService", "ConfirmTotp", confirmed, session=token)
    codes = service_call(target, "AccessService", "NewRecoveryCodes", {}, session=token)["codes"]
    _keep(session_file, token)
    if as_json:
        print_json({"name": name, "recovery_codes": codes} | _told(session_file, token))
        return
    err().print(
        "Recovery codes: each counts once, in place of the app. Keep them where the app is not.\n"
        "恢复码：每个只能使用一次，请与验证器分开保管。",
        markup=False,
    )
    for code in codes:
        err().print(f"  {code}", markup=False)
    _tell(name, session_file, token)


@app.command("sign-in")
@connect.calls_a_service
def sign_in(
    name: Name, *, session_file: Kept = None, passkey: UsePasskey = False, service: connect.Service, as_json: Json = False
) -> None:
    """Sign in with password and second factor: a code of the app, a recovery code, or a passkey."""
    target = service.as_target()
    first = {"name": name, "password": ask("password / 密码")}
    begun = service_call(target, "AccessService", "SignIn", first)
    if passkey:
        factor = {"assertion_json": touched(begun.get("passkey_options_json", ""), f"Sign in as {name} / 登录：{name}")}
    else:
        factor = second_factor()
    second = {"sign_in_id": begun["sign_in_id"], "second_factor": factor}
    opened = service_call(target, "AccessService", "SignIn", second)
    token = str(opened["session_token"])
    _keep(session_file, token)
    if tries := opened.get("wrong_tries"):
        err().print(f"wrong tries under this name since the last right one: {tries} / 此前失败次数：{tries}", markup=False)
    if as_json:
        print_json({"name": name, "expires_at": opened.get("expires_at")} | _told(session_file, token))
        return
    _tell(name, session_file, token)


@app.command("add-passkey")
@connect.calls_a_service
def add_passkey(
    *,
    label: Annotated[str, typer.Option(help="What you call it, such as the name of the key.")] = "passkey",
    session_file: SessionFile = None,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Add a passkey to the account of the session, just after signing in. Only where [people] relying_party is localhost."""
    target, token = service.as_target(), token_of(session_file)
    asked = service_call(target, "AccessService", "BeginPasskeyRegistration", {}, session=token)
    credential = touched(asked["options_json"], "Add a passkey / 添加通行密钥", create=True)
    request = {"challenge_id": asked["challenge_id"], "credential_json": credential, "label": label}
    made = service_call(target, "AccessService", "FinishPasskeyRegistration", request, session=token)
    if as_json:
        print_json(made)
        return
    out().print(f"passkey {made['factor_id']} added / 已添加通行密钥", markup=False)


@app.command()
@connect.calls_a_service
def show(*, session_file: SessionFile = None, service: connect.Service, as_json: Json = False) -> None:
    """Show who the session is: roles, groups, connections, factors, and how long it lasts."""
    found = service_call(service.as_target(), "AccessService", "WhoAmI", {}, session=token_of(session_file))
    if as_json:
        print_json(found)
        return
    factors = ", ".join(f"{one['kind']} {one.get('label', '')}".strip() for one in found.get("factors", ()) if not _spare(one))
    for label, words in (
        ("name", found["name"]),
        ("roles", ", ".join(found.get("roles", ()))),
        ("groups", ", ".join(found.get("groups", ()))),
        ("connections", ", ".join(found.get("connections", ()))),
        ("factors", factors),
        ("recovery codes", f"{sum(_spare(one) and not one.get('used_up') for one in found.get('factors', ()))} left"),
        ("until", found.get("expires_at", "")),
    ):
        out().print(f"{label:15} {words}", markup=False)


@app.command()
@connect.calls_a_service
def end(*, session_file: SessionFile = None, service: connect.Service) -> None:
    """Sign out: the session ends at once, and the file with its token is taken away."""
    service_call(service.as_target(), "AccessService", "SignOut", {}, session=token_of(session_file))
    if session_file is not None:
        session_file.unlink(missing_ok=True)
    out().print("signed out / 已退出")


def token_of(file: Path | None) -> str:
    """The token of the session, from a file or the environment. Raises `CommandFailed`."""
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is no text"
            raise CommandFailed(f"--session-file {file}: {why}; `bankgate session sign-in` makes it", USAGE) from None
    token = os.environ.get(SESSION, "").strip()
    if not token:
        raise CommandFailed(
            f"sign in first (`bankgate session sign-in NAME --session-file FILE`), then give --session-file, or set {SESSION}",
            USAGE,
        )
    return token


def token_if_any(file: Path | None) -> str:
    """Likewise; "" where neither is given: for what a caller may look at by itself, and a person sees more of."""
    return token_of(file) if file is not None or os.environ.get(SESSION, "").strip() else ""


def second_factor() -> dict[str, str]:
    """A code of the app or a recovery code: from the environment, else asked for."""
    code = os.environ.get(CODE, "").strip() or ask(f"a second factor is needed (or {CODE}) / 第二因素验证码")
    digits = "".join(code.split())
    totp = len(digits) == _TOTP_DIGITS and digits.isascii() and digits.isdigit()
    return {"totp_code": digits} if totp else {"recovery_code": code}


def ask(prompt: str, *, twice: bool = False) -> str:
    """From the terminal, unseen (`twice`: and typed again); else a line of standard input. Raises `CommandFailed`."""
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)).strip()
    line = sys.stdin.readline().strip("\r\n")
    if not line:
        raise CommandFailed(f"{prompt}: run it in a terminal, or give a line of standard input for each question", USAGE)
    return line


def _spare(factor: dict[str, Any]) -> bool:
    return bool(factor["kind"] == "recovery_code")


def _keep(file: Path | None, token: str) -> None:
    """Writes the token so that nobody else reads it. Raises `CommandFailed`."""
    if file is None:
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as target:
            os.fchmod(descriptor, 0o600)  # of a file that was there with other rights
            target.write(token + "\n")
    except OSError as error:
        raise CommandFailed(f"--session-file {file}: {error.strerror}", USAGE) from None


def _told(file: Path | None, token: str) -> dict[str, str]:
    return {"session_token": token} if file is None else {"session_file": str(file)}


def _tell(name: str, file: Path | None, token: str) -> None:
    """Standard output has the token and nothing else, to be taken over by a shell; everything for eyes goes to standard error."""
    if file is None:
        out().print(token, markup=False)
    else:
        err().print(f"{name} is signed in: --session-file {file}", markup=False)
