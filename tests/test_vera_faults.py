"""Faults of VERA-MH that must not come back where its classes run and its files are written.

The engine's own share of them is in `test_seed_faults`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from convtui.cli.headless import summary
from convtui.cli.run import command as run_command
from convtui.log.formats.registry import Written
from convtui.log.formats.vera import format
from convtui.log.formats.vera.export import write
from convtui.log.formats.vera.log_files import parse_log
from convtui.log.formats.vera.names import parse_file
from convtui.log.formats.vera.transcripts import EMPTY
from convtui.log.reader import open_log
from convtui.providers.base import Provider
from convtui.providers.vera import interface
from convtui.records.models import exit_code
from tests.builders.conversations import Ran, run, scenario

BOT = """
from llm_clients.llm_interface import LLMGenerationFailed, LLMInterface

class Bot(LLMInterface):
    lines = ["one", "two", "three"]
    calls = ()

    async def generate_response(self, conversation_history=None):
        said = len([c for c in self.calls if c == "reply"])
        self.calls = (*self.calls, "reply")
        line = self.lines[min(said, len(self.lines) - 1)]
        if line == "FAIL":
            raise LLMGenerationFailed("LLM call failed after 4 attempts: 503")
        return line

    @property
    def bespoke_termination_signals(self):
        return ["[end]"]

    def _should_discard_response(self, signals):
        return bool(signals)

    def _post_process_response(self, text):
        self.calls = (*self.calls, "post")
        return text
"""


async def go(tmp_path: Path, lines: list[str], more: str = "", **fields: Any) -> Ran:
    """Runs `BOT` with these lines; the persona says hi."""
    path = tmp_path / "bots_of_vera_faults.py"
    path.write_text(BOT + f"\n    lines = {lines!r}\n" + more)
    config = {"use": f"{path}:Bot", **fields.pop("config", {})}
    return await run(scenario(script=["hi", "again"], config=config, **fields), tmp_path / "runs")


def export(ran: Ran, out: Path) -> Written:
    with open_log(ran.path) as log:
        return write(log, out)


async def test_1_a_vera_class_post_processes_once_per_turn(tmp_path: Path) -> None:
    ran = await go(tmp_path, ["a", "b"], max_turns=4)
    calls = ran.conversation.provider.client.calls  # type: ignore[attr-defined]
    assert calls == ("reply", "post", "reply", "post")


async def test_2_and_3_every_exported_session_log_is_whole(tmp_path: Path) -> None:
    ran = await go(tmp_path, ["a", "b"], sessions=["x", "y"], max_turns=2)
    written = export(ran, tmp_path / "out")
    logs = [file.read_text() for file in written.files if file.suffix == ".log"]
    assert len(logs) == 2
    for text in logs:
        assert text.count("CONVERSATION STARTED") == 1
        assert text.count("CONVERSATION COMPLETED") == 1
        assert len(parse_log(text).turns) == 2
        assert parse_log(text).completed["Total Turns"] == "2"


async def test_6_names_from_outside_never_leave_the_folder(tmp_path: Path) -> None:
    evil = "../../x/y\\z:*\n. ."
    ran = await go(
        tmp_path,
        ["a"],
        persona={"name": evil, "script": ["hi"]},
        sessions=[evil, ".."],
        max_turns=2,
        more="    def __init__(self, name, role, workflow, **more):\n"
        "        super().__init__(name, role, **more)\n        self.model_name = workflow\n",
        config={"options": {"workflow": evil}},
    )
    written = export(ran, tmp_path / "out")
    assert len(written.files) == 4
    for file in written.files:
        parts = file.resolve().relative_to((tmp_path / "out").resolve()).parts
        stem = Path(parts[-1]).stem
        assert not set("".join([*parts[:-1], stem])) & set("./\\:* \n")
    with open_log(ran.path) as log:
        assert log.transcript.header["persona"] == evil
        assert [s.session_type for s in log.transcript.sessions] == [evil, ".."]


def test_7_and_8_docs_say_who_calls_what_and_when() -> None:
    for cls in (Provider, interface.LLMInterface):
        assert "runner" in str(cls.setup.__doc__)
        assert "before every session, also the first" in str(cls.enter_session.__doc__).lower()
    assert "between two sessions" in str(Provider.finish_and_reset_session.__doc__)
    theirs = str(interface.LLMInterface.finish_and_reset_session.__doc__)
    assert "before every session, also the first" in theirs


async def test_9_a_signal_in_other_case_also_ends(tmp_path: Path) -> None:
    ran = await go(tmp_path, ["bye [END]"])
    assert ran.ended == ("discarded", "provider")
    assert ran.termination.signal == "[end]"


async def test_11_and_12_results_have_one_name_each_and_agree(tmp_path: Path) -> None:
    ran = await go(tmp_path, ["a", "b"], sessions=["x", "y"], max_turns=2)
    with open_log(ran.path) as log:
        result = summary(log.transcript, ran.path, exit_code(log.transcript.termination))
        records = [json.dumps(record) for record in log.records()]
    assert set(result) == {"id", "log", "sessions", "termination", "totals", "exit_code"}
    size = ran.path.read_bytes()
    for found in result["sessions"]:
        span = found["log_span"]
        part = size[span["start"] : span["end"]].decode().splitlines()
        assert len(part) == span["last_seq"] - span["first_seq"] + 1
        assert sum('"type":"turn.committed"' in line for line in part) == found["turns"] == 2
    assert len(records) == size.count(b"\n")


def test_12_the_syntax_of_sessions_is_documented() -> None:
    shown = CliRunner().invoke(run_command, ["--help"]).output
    assert "--sessions A,B" in shown
    assert "in order" in shown


def test_13_docs_say_whose_signals_are_declared() -> None:
    assert "the provider's own replies" in str(Provider.__doc__)
    assert "its own raw replies" in str(interface.LLMInterface.bespoke_termination_signals.__doc__)


@pytest.mark.parametrize("suffix", ["_s2_coaching", "_2_coaching"])
def test_14_names_with_a_session_suffix_are_understood(suffix: str) -> None:
    name = parse_file(f"0a1b2c_Ada_gpt-4o_run3{suffix}")
    assert (name.run, name.index, name.session_type) == (3, 2, "coaching")
    assert name.conversation == parse_file("0a1b2c_Ada_gpt-4o_run3").conversation


async def test_c_and_d_what_was_said_before_a_failure_is_kept_and_exported(
    tmp_path: Path,
) -> None:
    ran = await go(tmp_path, ["a", "b", "FAIL"], sessions=["x", "y", "z"], max_turns=4)
    assert ran.ended == ("failed", "provider")
    assert "LLM call failed after 4 attempts" in ran.termination.reason
    written = export(ran, tmp_path / "out")
    (imported,) = format.read(tmp_path / "out")
    said = [r.payload()["text"] for _, r in imported.records if r.TYPE == "turn.committed"]
    assert said == ran.said == ["hi", "a", "again", "b", "hi"]
    assert imported.termination is not None
    assert imported.termination["kind"] == "failed"
    assert any("session 3 was skipped" in note for note in written.notes)


async def test_e_a_discarded_last_turn_is_on_record(tmp_path: Path) -> None:
    ran = await go(tmp_path, ["a", "lost [end]"])
    (discarded,) = ran.of("turn.discarded")
    assert (discarded["speaker"], discarded["raw"]) == ("provider", "lost [end]")
    assert ran.one("session.ended")["termination"]["kind"] == "discarded"
    assert "1 discarded turn left out" in export(ran, tmp_path / "o").notes


async def test_f_nothing_said_is_no_text_of_a_turn(tmp_path: Path) -> None:
    ran = await go(tmp_path, ["[end]"], first_speaker="provider")
    assert ran.said == []
    assert EMPTY not in ran.path.read_text()
    written = export(ran, tmp_path / "out")
    assert written.files[0].read_text() == EMPTY
    (imported,) = format.read(tmp_path / "out")
    assert "turn.committed" not in {record.TYPE for _, record in imported.records}
