"""What an engine writes and sends is without secrets; what is said and judged has them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.calls import active_call
from convtui.engine.core.output import CAP, OutputCapture
from convtui.engine.process.pipe import Channel, FrameSender
from convtui.log.reader import open_log
from convtui.log.requests import digest, rebuild
from convtui.models.base import Delta, Reply
from convtui.protocol import Kind, read_frame
from convtui.providers.base import Request
from convtui.scenario.scenario import Scenario
from convtui.secrets.redactor import Redactor
from convtui.secrets.shapes import REDACTED
from convtui.trust.own_values import with_own_values
from tests.builders.conversations import Bot, Ran, findings, resume, run, scenario

SECRET = "hunter2 hunter2"
TEXT = f"Your password is {SECRET}, and the rest of it is [DONE] now."
WRITTEN = TEXT.replace(SECRET, REDACTED)


class Slow(Bot):
    """Says its first line letter by letter, and lets the loop turn after each."""

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        self.requests.append(request)
        for char in TEXT:
            yield Delta(char, reasoning=char)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self.end()

    def end(self) -> None:
        """What happens after the text."""

    def post_process_response(self, text: str) -> str:
        self.calls.append(text)
        return text


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are written and sent as often as the loop turns."""
    monkeypatch.setattr(active_call, "_PARTIAL_EVERY", 0.0)
    monkeypatch.setattr(active_call, "_DELTA_EVERY", 0.0)
    monkeypatch.setattr(active_call, "_CHUNK_EVERY", 0.0)


def known() -> Redactor:
    return Redactor([SECRET])


def halves_in(path: Path) -> list[str]:
    """Beginnings and ends of the secret that stand in a log."""
    text = path.read_text()
    return [half for half in ("hunter2 h", "hunter2") if half in text]


@pytest.mark.usefixtures("often")
async def test_parts_of_a_reply_fit_the_whole(tmp_path: Path) -> None:
    bot = Slow(signals=["[DONE]"])
    ran = await run(scenario(bot, max_turns=2), tmp_path, redactor=known())
    response = next(r for r in ran.of("llm.response") if r["side"] == "provider")
    parts = [r for r in ran.of("llm.partial") if r["side"] == "provider"]
    assert len(parts) > 5
    assert response["raw"] == WRITTEN
    place = 0
    for part in parts:
        assert part["offset"] == place
        place += len(part["text"])
    assert WRITTEN.startswith("".join(part["text"] for part in parts))
    for name in ("text", "reasoning"):
        sent = "".join(delta.get(name, "") for delta in ran.deltas)
        assert WRITTEN.startswith(sent)
        assert len(sent) > 20
    assert sum(size for _, size in response["chunks"]) == len(WRITTEN)
    # What is said and what hooks are given is exact.
    assert TEXT in bot.calls
    assert ran.conversation.state.sessions[1].turns[-1].text == TEXT
    (match,) = next(r["matches"] for r in ran.of("signals.extracted") if r["side"] == "provider")
    assert WRITTEN[match["start"] : match["end"]] == match["matched"] == "[DONE]"
    assert halves_in(ran.path) == []


class Dies(Slow):
    """Breaks off."""

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        for char in "I say hunter2 hunt":
            yield Delta(char)
            await asyncio.sleep(0)
        raise RuntimeError(f"no way with {SECRET}")


@pytest.mark.usefixtures("often")
async def test_a_reply_that_breaks_off_in_a_secret(tmp_path: Path) -> None:
    ran = await run(scenario(Dies(), max_turns=2), tmp_path, redactor=known())
    failed = ran.one("llm.failed")
    assert failed["partial"] == "I say "
    assert failed["error"]["message"].endswith(f"no way with {REDACTED}")
    assert "".join(part["text"] for part in ran.of("llm.partial")) == "I say "
    assert halves_in(ran.path) == []


async def test_requests_are_verified_by_what_is_written(tmp_path: Path) -> None:
    what = scenario(Bot(TEXT, "fine"), script=["one", f"it is {SECRET}"], max_turns=4)
    ran = await run(what, tmp_path, redactor=known())
    with open_log(ran.path) as log:
        requests = [r for r in log.records() if r["type"] == "llm.request"]
        for request in requests:
            assert digest(rebuild(request, log.reader.by_seq)) == request["sha256"]
    assert findings(ran.path) == []
    assert SECRET not in ran.path.read_text()
    bot = ran.conversation.provider
    assert isinstance(bot, Bot)
    assert bot.sent[-1][-1]["content"] == f"it is {SECRET}"


async def test_an_edit_keeps_the_secrets_that_it_shows_as_taken_out(tmp_path: Path) -> None:
    edited = f"Your word is {REDACTED}, then."
    what = scenario(Bot(TEXT), script=["one", "two"], max_turns=2)
    seen: list[str] = []

    def edit(desk: Any, hold: dict[str, Any]) -> None:
        shown = {draft["field"]: draft["text"] for draft in hold["drafts"]}
        if hold["stage"] == "response" and hold["side"] == "provider":
            seen.append(shown["raw"])
            if len(seen) > 1:
                desk.carry_out("step_stage", {})
                return
            fields = {"hold": hold["hold"], "choice": "edit", "edits": {"raw": edited}}
            desk.carry_out("release", fields)
            return
        desk.carry_out("step_stage", {})

    plan: list[Any] = [edit] * 30
    ran = await run(what, tmp_path, plan=plan, paused=True, redactor=known())
    assert seen[0] == WRITTEN
    assert ran.conversation.state.sessions[1].turns[-1].text == f"Your word is {SECRET}, then."
    assert ran.said[-1] == edited
    assert SECRET not in ran.path.read_text()


def test_an_edit_that_takes_one_away_stays_as_it_is(tmp_path: Path) -> None:
    from convtui.engine.core.journal import Journal
    from convtui.log.writer import LogWriter

    journal = Journal(LogWriter(tmp_path / "log.jsonl", known()))
    text = f"a {SECRET} b {SECRET} c"
    assert journal.restored(f"x {REDACTED} y {REDACTED}", text) == f"x {SECRET} y {SECRET}"
    assert journal.restored(f"x {REDACTED} y", text) == f"x {REDACTED} y"
    assert journal.restored("x", text) == "x"
    journal.writer.abandon()


# --- the header, and going on from it


OPTIONS = {"token": "t0ken-of-mine", "style": "formal", "api_keys": ["first-one"], "level": "high"}


def file_of(folder: Path, **more: Any) -> Path:
    """A scenario file with options, one of which is a secret."""
    path = folder / "scenario.yaml"
    data = {
        "persona": {"name": "Maya", "script": ["one", "two"]},
        "limits": {"max_turns": 2},
        **more,
    }
    data.setdefault("provider", {"use": f"{__name__}:Optioned", "options": OPTIONS})
    path.write_text(json.dumps(data))
    return path


class Optioned(Bot):
    """A class with options; says the one that no log has."""

    def __init__(self, **options: Any) -> None:
        super().__init__("I am told " + str(options.get("style")))
        self.options = options


def header(ran: Ran) -> dict[str, Any]:
    """The recorded scenario."""
    recorded: dict[str, Any] = ran.one("header")["scenario"]
    return recorded


async def test_a_header_has_what_is_known_to_be_harmless(tmp_path: Path) -> None:
    what = Scenario.load(file_of(tmp_path))
    ran = await run(what, tmp_path / "runs")
    assert header(ran)["provider"]["options"] == {
        "token": REDACTED, "style": "formal", "api_keys": REDACTED, "level": "high",
    }  # fmt: skip
    assert "t0ken-of-mine" not in ran.path.read_text()


async def test_values_that_the_user_wants_in_the_log(tmp_path: Path) -> None:
    options = {"mood": "grumpy", "deep": {"mood": "merry"}, "other": "not this"}
    provider = {"use": f"{__name__}:Optioned", "options": options}
    what = Scenario.load(file_of(tmp_path, provider=provider, log_values=["options.mood"]))
    ran = await run(what, tmp_path / "runs")
    assert header(ran)["provider"]["options"] == {
        "mood": "grumpy", "deep": {"mood": REDACTED}, "other": REDACTED,
    }  # fmt: skip


async def test_going_on_takes_values_from_the_users_own_file(tmp_path: Path) -> None:
    options = {**OPTIONS, "mood": "grumpy"}
    provider = {"use": f"{__name__}:Optioned", "options": options}
    path = file_of(tmp_path, provider=provider)
    ran = await run(Scenario.load(path), tmp_path / "runs")
    own = with_own_values(header(ran))
    assert own.missing == ()
    assert own.scenario["provider"]["options"] == options
    seq = next(r["seq"] for r in ran.of("turn.started") if r["turn"] == 2) - 1
    again = await resume(ran.path, tmp_path / "again", seq=seq, kind="rewind", trust=True)
    bot = again.conversation.provider
    assert isinstance(bot, Optioned)
    assert bot.options == options


@pytest.mark.parametrize("change", ["use", "api_base", "gone", "broken"])
def test_values_are_not_taken_for_anything_else(tmp_path: Path, change: str) -> None:
    """Neither for another host nor for another class than the file says."""
    params = {"api_base": "http://own.example/v1", "api_key": "key-of-mine", "mood": "grumpy"}
    provider = {"use": "openai/gpt-4o", "params": params}
    path = file_of(tmp_path, provider=provider)
    recorded = Scenario.load(path).public()
    assert with_own_values(recorded).missing == ()
    if change == "use":
        recorded["provider"]["use"] = "openai/gpt-4o-mini"
    elif change == "api_base":
        recorded["provider"]["params"]["api_base"] = "http://other.example/v1"
    elif change == "gone":
        path.unlink()
    else:
        path.write_text("a: [")
    own = with_own_values(recorded)
    assert "key-of-mine" not in json.dumps(own.scenario)
    assert own.missing == ("provider.params.api_key", "provider.params.mood")
    # A key comes from the environment again; what else is missing has to be said.
    assert own.left_out == ("provider.params.mood",)
    assert Scenario.from_public(own.scenario).provider.params.keys() == {"api_base"}


def test_a_server_that_is_not_whole_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = [{"mcp": {"command": ["server", "--token", "s-e-c-r-e-t"], "env": {"A_KEY": "b"}}}]
    path = file_of(tmp_path, tools=tools)
    recorded = Scenario.load(path).public()
    assert recorded["tools"][0]["mcp"]["command"] == ["server", "--token", REDACTED]
    filled = with_own_values(recorded)
    assert filled.needed == ()
    assert filled.scenario["tools"][0]["mcp"]["command"][-1] == "s-e-c-r-e-t"
    path.unlink()
    own = with_own_values(recorded)
    assert own.needed == ("tools.0.mcp.command.2",)
    assert own.left_out == ("tools.0.mcp.env.A_KEY",)
    monkeypatch.setenv("A_KEY", "from the environment")
    assert own.left_out, "a log does not choose what goes to whom"


# --- what is printed


def captured(redactor: Redactor) -> tuple[OutputCapture, list[str]]:
    """A capture, and the texts that it lets out."""
    out: list[str] = []
    return OutputCapture(lambda stream, text, dropped: out.append(text), redactor), out


def test_output_in_pieces(tmp_path: Path) -> None:
    capture, out = captured(known())
    for piece in ("it is hunter2", " hun", "ter2 and\n", "hunter2 hunter2"):
        capture.take("stdout", piece, source="sys.stdout")
    assert "".join(out) == f"it is {REDACTED} and\n"
    capture.take("stderr", "hunter2", source="sys.stderr")
    capture.take("stdout", " of it\nhunter2 ", source="sys.stdout")
    capture.let_out()
    assert "".join(out).startswith(f"it is {REDACTED} and\n{REDACTED} of it\n")
    assert "hunter2 hunter2" not in "".join(out)


def test_output_over_every_boundary() -> None:
    """Where a secret stands in a stream of pieces of any size is all the same."""
    for size in (1, 7, 64, 65536):
        for before in (0, size - 9, size - 3):
            text = "." * max(0, before) + "\n" + SECRET + "\nafter\n"
            capture, out = captured(known())
            for at in range(0, len(text), size):
                capture.take("stdout", text[at : at + size], source="x")
            capture.let_out()
            assert "".join(out) == text.replace(SECRET, REDACTED)


def test_much_output_is_not_looked_at() -> None:
    capture, out = captured(known())
    for _ in range(200):
        capture.take("stdout", "hunter2 hunter2\n" * 1000, source="x")
    capture.let_out()
    assert sum(map(len, out)) == CAP
    assert SECRET not in "".join(out)


CHILD = """
import os, sys
from convtui.engine.core.output import OutputCapture, ProcessStreams
from convtui.secrets.redactor import Redactor
out = os.dup(1)
capture = OutputCapture(lambda s, text, d: os.write(out, text.encode()), Redactor.of_process())
ProcessStreams(capture).install()
secret = os.environ["MY_PASSWORD"]
sys.stdout.write("a " + secret[:9]); sys.stdout.flush()
sys.stdout.write(secret[9:] + "\\n"); sys.stdout.flush()
os.environ["NEW_TOKEN"] = "n-e-w t-o-k-e-n"
print("b", os.environ["NEW_TOKEN"])
print("c", secret.encode().hex()[:4], end="")
sys.stdout.buffer.write(b" " + secret.encode()); sys.stdout.buffer.flush()
capture.flush()
os.write(2, b"x" * (65536 - 5) + secret.encode() + b"\\n")
os.close(2)
os.close(1)
import threading
for thread in threading.enumerate():
    if thread.name in ("convtui-stdout", "convtui-stderr"):
        thread.join()
capture.let_out()
os._exit(0)
"""


def test_a_process_and_its_descriptors() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "MY_PASSWORD": SECRET},
        capture_output=True,
        timeout=60,
        check=True,
    )
    text = done.stdout.decode()
    assert text.startswith(f"a {REDACTED}\nb {REDACTED}\nc 6875 {REDACTED}")
    assert text.endswith(f"xxx{REDACTED}\n")


def test_frames_are_without_secrets() -> None:
    reading, writing = os.pipe()
    sender = FrameSender(writing, known())
    sender.send(Kind.FAILED, error={"message": f"no {SECRET}", "api_key": "x"})
    Channel(sender, known()).send(Kind.READY, log=f"/runs/{SECRET}/a.jsonl", id="1", pid=1)
    sender.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        first, second = read_frame(stream), read_frame(stream)
    assert first is not None and second is not None
    assert json.loads(first[1]) == {"error": {"message": f"no {REDACTED}", "api_key": REDACTED}}
    assert SECRET in json.loads(second[1])["log"]


# --- what modules may do


async def test_a_provider_that_loads_keys_late(tmp_path: Path) -> None:
    class Late(Bot):
        async def setup(self) -> None:
            os.environ["LATE_PASSWORD"] = "late-late-late"

    try:
        bot = Late(Reply("it is late-late-late"))
        ran = await run(scenario(bot, max_turns=2), tmp_path, redactor=Redactor.of_process())
    finally:
        os.environ.pop("LATE_PASSWORD", None)
    assert ran.said[-1] == f"it is {REDACTED}"
    assert all(first["seq"] < second["seq"] for first, second in pairwise(ran.records))
