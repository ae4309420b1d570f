"""`convtui serve`: what is refused before anything is served."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may get so far: it would not end."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it is served")

    monkeypatch.setattr("convtui.serve.server.serve", refuse)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.0.0.2", ""])
def test_only_this_machine_is_served(convtui: Run, host: str) -> None:
    code, out, err = convtui("serve", "--host", host)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "only this machine is served (127.0.0.1, ::1 or localhost)" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dem"], "did you mean 'demo'?"),
        (["show", "last"], "`convtui show` has no screen to serve"),
        (["serve"], "`convtui serve` cannot serve itself"),
        (["demo", "--sped", "3"], "unknown flag --sped, did you mean --speed?"),
        (["demo", "--speed", "fast"], "'fast' is not a valid float range"),
        (["--prt", "1"], "--prt"),
        (["--port", "70000"], "70000"),
    ],
)
def test_a_mistake_in_the_command_is_named_at_once(
    convtui: Run, arguments: list[str], message: str
) -> None:
    code, out, err = convtui("serve", *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_without_the_extra_it_says_what_to_install(
    convtui: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "convtui.cli.serve.find_spec",
        lambda name: None if name == "textual_serve" else find_spec(name),
    )
    code, out, err = convtui("serve", "demo")
    assert (code, out) == (2, "")
    assert "pip install 'convtui[serve]'" in err


def test_a_port_that_is_taken(convtui: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, out, err = convtui("serve", "--port", str(port))
    assert (code, out) == (2, "")
    assert f"--port {port} is taken by another program" in err
