"""Reloads with real engines: what cannot be loaded changes nothing, what can be is shown first."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from convtui.analysis.rehook.preview import ask_again, preview_turn
from convtui.client.engine_client import EngineHandle, EngineState
from convtui.client.handover import continue_live
from convtui.errors import EngineError
from convtui.log.reader import open_log
from convtui.protocol import Commands, ContinueFrom, StartSpec
from convtui.scenario.scenario import Scenario
from convtui.transcript.clock import elapsed
from convtui.transcript.fold import COMMITTED
from convtui.tui.screens.debugger.reloaded_turn import reloaded_turn
from convtui.tui.screens.dialogs.provider_error import error_data
from convtui.tui.sources.source import LiveSource
from tests.builders.waiting import WITHIN, when

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]
GOOD = """\
import os
import sys
import helpers
from convtui import Provider

class Bot(Provider):
    stateful = False
    termination_signals = ["[END]"]

    def __init__(self):
        pass

    async def setup(self):
        pass

    async def generate_response(self, messages):
        return f"fine {len(messages)} [END]"

    def post_process_response(self, text):
        return text.upper()
"""


def spec(folder: Path, source: str = GOOD) -> StartSpec:
    """A scripted conversation with `Bot`, its log in `folder/runs`."""
    (folder / "bot.py").write_text(source)
    (folder / "helpers.py").write_text("\n")
    data = {"persona": {"name": "Maya", "script": ["a", "b", "c"]}, "provider": "bot.py:Bot"}
    more = {"on_signal": {"[END]": "ignore"}, "breakpoints": ["~stage commit & ~turn = 2"]}
    scenario = Scenario.from_data({**data, **more}, base=folder)
    return StartSpec(
        scenario=scenario.for_engine(), out_dir=str(folder / "runs"), wire="off", watched=True
    )


@asynccontextmanager
async def held(what: StartSpec) -> AsyncIterator[EngineHandle]:
    """A conversation that is held before its second turn is committed."""
    handle = EngineHandle()
    try:
        await asyncio.wait_for(handle.start(what), WITHIN)
        await when(handle, lambda: handle.hold is not None)
        yield handle
    finally:
        handle.kill()
        await asyncio.wait_for(handle.wait(), WITHIN)


def reload(handle: EngineHandle) -> ContinueFrom:
    """What `R` asks for."""
    return ContinueFrom(log=str(handle.log_path), kind="reload", held=True)


FAILURES = {
    "syntax": ("stateful = False", "stateful = = False", "SyntaxError"),
    "setup": ("    async def setup(self):\n        pass",
              "    async def setup(self):\n        raise ValueError('no key')", "no key"),
    "os._exit": ("    async def setup(self):\n        pass",
                 "    async def setup(self):\n        os._exit(3)", "os._exit()"),
    "segfault": ("    async def setup(self):\n        pass",
                 "    async def setup(self):\n        import ctypes; ctypes.string_at(0)",
                 "SIGSEGV"),
}  # fmt: skip


async def test_what_cannot_be_loaded_changes_nothing_until_it_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = spec(tmp_path)
    file = tmp_path / "bot.py"
    async with held(what) as handle:
        hold, log, held_at = handle.hold, handle.log_path, time.monotonic()
        assert hold is not None and log is not None
        for name, (good, bad, said) in FAILURES.items():
            source = GOOD.replace(good, bad)
            assert source != GOOD
            file.write_text(source)
            with pytest.raises(EngineError) as failed:
                await asyncio.wait_for(continue_live(handle, what, reload(handle)), WITHIN)
            error = error_data(failed.value)
            shown = "\n".join([str(error["message"]), *map(str, error.get("frames", ()))])
            assert said in shown, name
            changed = next(n for n, line in enumerate(source.splitlines(), 1)
                           if line not in GOOD.splitlines())  # fmt: skip
            assert error["location"] == [str(file), changed], name
            assert "convtui/" not in shown.replace(str(tmp_path), ""), f"{name}: our own frames"
            assert handle.state is EngineState.HELD and handle.hold == hold, name
            assert [path.name for path in log.parent.glob("*.jsonl")] == [log.name], name
        await when(
            handle,
            lambda: handle.transcript.counts.get("provider.reload_failed") == len(FAILURES),
        )
        file.write_text(GOOD.replace("upper", "title"))
        since = handle.log_time
        assert since > time.monotonic() - held_at
        monkeypatch.setattr(EngineHandle, "log_time", since + 60)
        # The last minute, too, of which the log says nothing.
        passed = elapsed(handle.transcript, since + 60)
        assert passed.held > 60
        child = await asyncio.wait_for(continue_live(handle, what, reload(handle)), WITHIN)
        try:
            assert child.transcript.clock.before.as_dict() == passed.as_dict()
            assert child.hold is not None and child.hold["stage"] == "commit"
            assert child.hold["drafts"][0]["text"] == "Fine 1 [End]"
            modules = child.transcript.header["provider"]["modules"]
            assert modules == [str(tmp_path / "helpers.py")]
            assert handle.state is EngineState.CLOSED
        finally:
            child.kill()
            await child.wait()


async def test_the_held_turn_through_the_new_code_and_asked_again(tmp_path: Path) -> None:
    what = spec(tmp_path)
    file = tmp_path / "bot.py"
    async with held(what) as handle:
        assert handle.log_path is not None
        source = LiveSource(handle)
        try:
            seen = await reloaded_turn(source, handle.transcript, handle.hold)
        finally:
            source.close()
        assert seen is not None and seen.title.startswith("turn 1:2, held at commit")
        before = handle.log_path.read_bytes()

        same = await seen.preview(what, None)
        assert (same.changed, same.raw) == ([], "fine 1 [END]")
        assert same.before is not None and same.before.text == "FINE 1 [END]"

        file.write_text(
            GOOD.replace("text.upper()", "text.title()").replace("[END]\"]", "[STOP]\"]")
            .replace("fine {", "good {")
        )  # fmt: skip
        other = await seen.preview(what, None)
        assert other.changed == ["signals", "text"]
        assert other.before is not None and other.after is not None
        assert [m["start"] for m in other.before.signals or ()] == [7]
        assert (other.after.signals, other.after.text) == ([], "Fine 1 [End]")
        assert other.before.ends_known is False, "it has not come to that"

        asked = await seen.ask_again(what, None)
        assert (asked.raw, asked.made.text) == ("good 1 [END]", "Good 1 [End]")
        assert asked.made.discarded is False

        file.write_text(GOOD.replace("return text.upper()", "return text.uper()"))
        wrong = await seen.preview(what, None)
        assert wrong.changed == ["error"] and wrong.error is not None
        assert f"{file}:20" in "\n".join(wrong.error["frames"])
        file.write_text(GOOD.replace("return text.upper()", "os._exit(1)"))
        with pytest.raises(EngineError) as died:
            await seen.preview(what, None)
        assert error_data(died.value)["location"] == [str(file), 20]
        file.write_text(GOOD.replace("return text.upper()", "import time; time.sleep(60)"))
        with pytest.raises(EngineError, match="hangs"):
            await preview_turn(what, seen.records, timeout=2)

        assert handle.log_path.read_bytes() == before, "the conversation is as it was"
        assert list((tmp_path / "runs").glob("*.jsonl")) == [handle.log_path]

        await handle.command(Commands.STEP_TURN)
        await when(handle, lambda: handle.hold is not None and handle.hold.get("turn") == 3)
        source = LiveSource(handle)
        try:
            last = await reloaded_turn(source, handle.transcript, handle.hold)
        finally:
            source.close()
        assert last is not None and last.title.startswith("turn 1:2, the provider's last")
        file.write_text(GOOD)
        again = await last.preview(what, None)
        assert again.changed == []
        assert again.before is not None and again.before.ends_known
        assert again.without_setup, "what it makes of the object is not in the result"
        file.write_text(GOOD.replace("def setup(", "def start("))
        assert not (await last.preview(what, None)).without_setup
        file.write_text(GOOD)
        reply = await ask_again(
            what, ContinueFrom(str(last.log), seq=last.before), session=1, turn=2
        )
        assert reply.made.text == "FINE 1 [END]" and reply.notes == []
    with open_log(handle.log_path) as found:
        assert [turn.text for turn in found.transcript.turns][:2] == ["a", "FINE 1 [END]"]


async def test_a_turn_that_is_about_to_end_the_session_goes_through_the_new_hooks(
    tmp_path: Path,
) -> None:
    what = replace(spec(tmp_path), breakpoints=[])
    what.scenario["on_signal"] = {}
    async with held(what) as handle:
        assert handle.hold is not None and handle.hold["stage"] == "terminate"
        assert handle.log_path is not None
        mended = GOOD + "\n    def extract_signals(self, raw):\n        return []\n"
        (tmp_path / "bot.py").write_text(mended)
        child = await asyncio.wait_for(continue_live(handle, what, reload(handle)), WITHIN)
        try:
            assert child.hold is not None
            assert (child.hold["turn"], child.hold["stage"]) == (2, "signals")
            await child.command(Commands.RUN)
            await when(child, lambda: (child.hold or {}).get("reason") == "ending")
            # The reply was not asked for again, and nothing of it ends the session any more.
            said = [turn.text for turn in child.transcript.turns if turn.speaker == "provider"]
            assert said[0] == "FINE 1 [END]"
            assert child.hold["reason"] == "ending" and "script" in child.hold["detail"]
        finally:
            child.kill()
            await child.wait()
    with open_log(handle.log_path) as parent:
        # What was recorded stays as it was.
        assert parent.transcript.turns[1].status == COMMITTED
        assert parent.transcript.turns[1].signals == ("[END]",)
