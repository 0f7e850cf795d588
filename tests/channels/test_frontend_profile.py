"""Settings of routes to front machines: mistakes are named before anything is sent in clear."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels.channel import Guarantee
from channels.frontend_profile import FrontendProfile
from channels.profiles import build_channel, parse_profile

HTTP = {"kind": "frontend", "url": "http://127.0.0.1:8080"}
TCP = {"kind": "frontend", "shape": "tcp", "framing": "length8", "host": "127.0.0.1", "port": 8080}
FENCED = "a VLAN of its own, with the address filter of the front machine on"


@pytest.mark.parametrize(
    "table",
    [
        HTTP,
        TCP,
        {**HTTP, "url": "http://localhost:7070", "shape": "http_form"},
        {**HTTP, "url": "http://10.1.2.3:8080", "plaintext_network": FENCED},
        {**HTTP, "url": "https://cdc.bank.example", "trust": ["file:ca.pem"], "shape": "http_form"},
        {**TCP, "host": "10.1.2.3", "plaintext_network": FENCED},
        {**TCP, "host": "10.1.2.3", "tls": True, "trust": ["file:ca.pem"]},
        {**TCP, "framing": "close"},
        {**HTTP, "sign_service": {"url": "http://127.0.0.1:449"}, "secrets": {"password": "env:P"}},
    ],
)
def test_good_settings_are_taken(table: dict[str, Any]) -> None:
    assert isinstance(parse_profile(table), FrontendProfile)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({**HTTP, "url": "http://10.1.2.3:8080"}, "plaintext_network"),
        ({**TCP, "host": "frontend.corp"}, "plaintext_network"),
        ({**HTTP, "url": "http://10.1.2.3:8080", "plaintext_network": "yes"}, "plaintext_network"),
        ({**HTTP, "sign_service": {"url": "http://10.1.2.3:449"}}, r"sign_service\.url: payments would cross"),
        ({**HTTP, "url": "https://bank.example"}, "trust: name the certificates"),
        ({**TCP, "tls": True}, "trust: name the certificates"),
        ({**HTTP, "url": "ftp://127.0.0.1"}, "url: http"),
        ({**HTTP, "url": "http://127.0.0.1:99999"}, "url: http"),
        ({**HTTP, "url": "http://127.0.0.1/path"}, "stands in path"),
        ({**HTTP, "url": "http://user:secret@127.0.0.1"}, "url: http"),
        ({**HTTP, "host": "127.0.0.1"}, "url says where"),
        ({**TCP, "url": "http://127.0.0.1"}, "host and port say where"),
        ({**TCP, "framing": "none"}, "framing: over TCP"),
        ({**TCP, "framing": "close", "tls": True, "trust": ["file:ca.pem"]}, "TLS cannot end one direction"),
        ({**HTTP, "framing": "close"}, '"close" is not for'),
        ({**HTTP, "shape": "http_form", "framing": "length8"}, "is not for"),
        ({**HTTP, "secrets": {"password": "hunter2"}}, "a reference is written"),
        ({**HTTP, "secrets": {"password": "store:us"}}, "no password"),
        ({**HTTP, "client_key": "file:k.pem"}, "go together"),
        ({**HTTP, "timeouts": {"connect": 60, "total": 10}}, "timeouts.connect"),
        ({**HTTP, "content_type": "text/xml\r\nX: y"}, "content_type"),
        ({**HTTP, "shape": "websocket"}, "shape"),
        ({**HTTP, "pasword": "env:P"}, "pasword"),
    ],
)
def test_a_mistake_is_named_by_its_key(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        parse_profile(table)
    assert "hunter2" not in str(caught.value)


def test_a_front_machine_is_not_taken_for_a_channel_of_files() -> None:
    with pytest.raises(TypeError, match="build_exchanger"):
        build_channel(
            parse_profile(HTTP),
            guarantee=Guarantee.BLIND,
            absence_is_final=False,
            secret=lambda _: b"",
            certificate=lambda _: b"",
            clock=lambda: pytest.fail("no clock is needed"),
            base=Path("/nowhere"),
        )


def test_no_secret_is_shown_by_the_settings() -> None:
    profile = parse_profile({**HTTP, "secrets": {"password": "env:CIB_PASSWORD"}})
    assert isinstance(profile, FrontendProfile)
    assert profile.address == "http://127.0.0.1:8080/"
    assert profile.secrets == {"password": "env:CIB_PASSWORD"}
