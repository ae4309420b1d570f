"""`convtui rehook`: recorded replies through a provider's hooks, in a real engine process."""

from __future__ import annotations

import asyncio
import io
import json
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from convtui.analysis.rehook.report import Pace
from convtui.cli.progress import Bar
from convtui.log.run_summary import short_id
from convtui.records.models import Record
from tests.builders.conversations import Bot, Ran, cut_turn
from tests.builders.conversations import run as run_inside
from tests.builders.conversations import scenario as plain_scenario
from tests.builders.logs import conversation, ending, sample, session, turn, write_log
from tests.cli.conftest import Run

_SAME = """
    import re
    from convtui import Provider

    class Bot(Provider):
        termination_signals = ["[[ERROR]]", "[[DONE]]"]

        def generate_response(self, messages):
            raise AssertionError("no model is called")

        def post_process_response(self, text):
            return re.sub(r"<think>.*?</think>| \\[\\[DONE\\]\\]", "", text)

        def should_discard_response(self, signals):
            return any(match.signal == "[[ERROR]]" for match in signals)
"""


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A provider whose hooks return the results in the sample; tests add to it."""
    return write(tmp_path, "")


def write(folder: Path, more: str) -> Path:
    path = folder / "bot.py"
    path.write_text(textwrap.dedent(_SAME) + textwrap.indent(textwrap.dedent(more), "    "))
    return path


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The sample with the discard policy that it was made with."""
    records = sample()
    records[0] = records[0].model_copy(update={"scenario": {"on_discard": "skip"}})
    return write_log(tmp_path / "run.jsonl", records)


def test_hooks_that_give_the_same_change_nothing(convtui: Run, recorded: Path, bot: Path) -> None:
    result = convtui("rehook", recorded, "--provider", f"{bot}:Bot")
    assert (result.code, result.out) == (0, "3 replies of 1 log: nothing changed\n")


def test_what_changed_is_told_with_its_diff_and_what_comes_after_is_counterfactual(
    convtui: Run, recorded: Path, bot: Path
) -> None:
    write(
        bot.parent,
        """
        def should_discard_response(self, signals):
            return False

        def post_process_response(self, text):
            return text.replace("sorry", "very sorry")
        """,
    )
    result = convtui("rehook", recorded, "--provider", f"{bot}:Bot", "--diff")
    assert result.code == 1
    lines = [line.strip() for line in result.out.split("\n")]
    assert lines[1:3] == ["1:2  text", "I am {+very +}sorry."]
    assert "2:2  no longer discarded; ends here (ended early)" in lines
    assert any(line.startswith("2:4") and line.endswith("counterfactual") for line in lines)
    assert "run.jsonl  session 2  ended at turn 4, ends at turn 2 now: earlier" in lines
    assert lines[-2] == "3 replies of 1 log: 3 changed, 1 of them counterfactual"


def test_an_ending_that_no_longer_comes(convtui: Run, recorded: Path, bot: Path) -> None:
    write(bot.parent, "def extract_signals(self, raw): return []")
    result = convtui("rehook", recorded, "--provider", f"{bot}:Bot", "--json")
    data = json.loads(result.out)
    assert result.code == 1
    kinds = {(c["session"], c["turn"]): c["kinds"] for c in data["logs"][0]["changed"]}
    assert kinds == {
        (2, 2): ["signals", "discard"],
        (2, 4): ["signals", "ending"],
    }
    assert data["logs"][0]["endings"] == [{"session": 2, "before": 4, "after": None}]
    assert data["counts"]["counterfactual"] == 1


@pytest.mark.parametrize(
    ("code", "message", "frame"),
    [
        ("raise ValueError('boom')", "post_process_response() failed: ValueError: boom", "bot.py:"),
        ("raise KeyboardInterrupt", "post_process_response() failed: KeyboardInterrupt", "bot.py:"),
        ("return None", "returned NoneType instead of text", ""),
        ("__import__('os')._exit(7)", "the hooks ended the process with status 7", ""),
        (
            "__import__('os').kill(__import__('os').getpid(), 11)",
            "SIGSEGV (a crash in native code)",
            "bot.py",
        ),
        ("import time; time.sleep(60)", "no answer within 0.5 s", "bot.py"),
    ],
)
def test_a_hook_that_fails_hurts_its_own_reply_only(
    convtui: Run, recorded: Path, bot: Path, code: str, message: str, frame: str
) -> None:
    write(
        bot.parent,
        f"""
        def post_process_response(self, text):
            if "sorry" in text:
                {code}
            return text + "!"
        """,
    )
    result = convtui("rehook", recorded, "--provider", f"{bot}:Bot", "--json", "--timeout", "0.5")
    assert result.code == 1
    changed = json.loads(result.out)["logs"][0]["changed"]
    assert [change["kinds"] for change in changed] == [["error"], ["text"], ["text"]]
    assert message in changed[0]["error"]["message"]
    assert frame in "".join(changed[0]["error"].get("frames", []))


def test_what_hooks_print_reaches_nothing(convtui: Run, recorded: Path, bot: Path) -> None:
    write(
        bot.parent,
        """
        def should_discard_response(self, signals):
            print("\\x1b[31mnoise" * 50_000)
            return any(match.signal == "[[ERROR]]" for match in signals)
        """,
    )
    result = convtui("rehook", recorded, "--provider", f"{bot}:Bot")
    assert (result.code, result.out) == (0, "3 replies of 1 log: nothing changed\n")
    assert "printed 65536 characters" in result.err
    assert "\x1b" not in result.err


def test_hooks_find_the_metadata_of_the_reply(convtui: Run, tmp_path: Path, bot: Path) -> None:
    records = conversation(
        session(
            1,
            "a",
            [
                turn(1, "persona", "Hi"),
                _with_metadata(turn(2, "provider", "seen: 4"), {"n": 4}),
                turn(3, "persona", "And?"),
                turn(4, "provider", "seen: None"),
            ],
            ending(),
        )
    )
    log = write_log(tmp_path / "m.jsonl", records)
    write(
        bot.parent,
        """
        last_response_metadata = {}

        def post_process_response(self, text):
            return f"seen: {self.last_response_metadata.get('n')}"
        """,
    )
    assert convtui("rehook", log, "--provider", f"{bot}:Bot").code == 0


def _with_metadata(records: list[Record], metadata: dict[str, int]) -> list[Record]:
    return [
        record.model_copy(update={"metadata": metadata})
        if record.TYPE == "llm.response"
        else record
        for record in records
    ]


def test_a_folder_a_filter_and_a_report_for_ci(
    convtui: Run, recorded: Path, bot: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    hostile = "I am \x1b]8;;x\x07sorry \x00 \ud800 ]]> <b>"
    talk = [turn(1, "persona", "Hi"), turn(2, "provider", hostile)]
    write_log(folder / "a.jsonl", conversation(session(1, "a", talk, ending())))
    write_log(folder / "b.jsonl", conversation(session(1, "a", talk[:1], ending())))
    (folder / "c.jsonl").write_text('{"no": "log"}\n')
    (folder / "a.jsonl.notes.jsonl").write_text("{}\n")
    write(bot.parent, "def post_process_response(self, text): return text + '!'")
    report = tmp_path / "junit.xml"
    result = convtui(
        "rehook", folder, recorded, "--provider", f"{bot}:Bot", "--junit", report, "--diff",
        "--only", "~said sorry",
    )  # fmt: skip
    assert result.code == 1
    assert "2 replies of 3 logs: 2 changed; nothing to rehook in 1 log" in result.out
    assert "not rehooked" in result.err and "c.jsonl" in result.err
    assert not any(mark in result.out for mark in "\x1b\x00\x07")
    suites = ET.parse(report).getroot()
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("3", "2", "1")
    failure = suites.find("testsuite[@name='a.jsonl']/testcase/failure")
    assert failure is not None and failure.get("type") == "text"
    assert "]]> <b>" in (failure.text or "")


async def _branch(folder: Path) -> tuple[Ran, Ran]:
    """A conversation, and its last turn again."""
    then = plain_scenario(Bot("Yes.", "No."), ["One?", "Two?"])
    parent = await run_inside(then, folder)
    return parent, await cut_turn(parent, 4, folder, then)


def test_a_branch_is_the_whole_conversation(convtui: Run, tmp_path: Path, bot: Path) -> None:
    parent, child = asyncio.run(_branch(tmp_path / "runs"))
    write(bot.parent, "def post_process_response(self, text): return text + '!'")
    arguments = ("rehook", child.path, "--provider", f"{bot}:Bot")
    result = convtui(*arguments)
    name = short_id(parent.one("header")["id"])
    assert (result.code, result.err) == (1, "")
    assert f"{parent.path} (parent of {child.path.name})\n  1:2  text" in result.out
    assert f"2 replies of 1 log, 1 of them from its parent {name}: 2 changed, 1" in result.out
    result = convtui(*arguments, "--own")
    assert "1 reply of 1 log: 1 changed" in result.out
    assert "the replies of 1 turn that these logs began with are left out" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "whose hooks? write --provider"),
        (("--provider", "missing.py:Bot"), "there is no such file"),
        (("--provider", "demo", "--only", "~nothing"), "~nothing"),
        (("--provider", "demo", "--timeout", "0"), "--timeout"),
        (("--provider", "recorded:run.jsonl"), "no hooks of its own"),
    ],
)
def test_bad_usage(convtui: Run, recorded: Path, arguments: tuple[str, ...], message: str) -> None:
    result = convtui("rehook", recorded, *arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_provider_that_is_broken_is_bad_usage(convtui: Run, recorded: Path, bot: Path) -> None:
    bot.write_text("import nothing_of_that_name\n")
    result = convtui("rehook", recorded, "--provider", f"{bot}:Bot")
    assert result.code == 2
    assert "nothing_of_that_name" in result.err


def test_setup_is_called_only_when_asked_for(convtui: Run, recorded: Path, bot: Path) -> None:
    write(
        bot.parent,
        """
        async def setup(self):
            self.mark = ""

        def extract_signals(self, raw):
            return super().extract_signals(raw + self.mark)
        """,
    )
    without = convtui("rehook", recorded, "--provider", f"{bot}:Bot")
    assert without.code == 1 and "hooks failed on 3" in without.out
    assert convtui("rehook", recorded, "--provider", f"{bot}:Bot", "--setup").code == 0


@pytest.mark.real_processes
def test_ctrl_c_ends_it_and_tells_what_was_done(
    convtui: Run, recorded: Path, bot: Path, tmp_path: Path
) -> None:
    """The hook itself presses the key, in the second log."""
    second = tmp_path / "second.jsonl"
    second.write_bytes(recorded.read_bytes())
    write(
        bot.parent,
        """
        seen = 0

        def extract_signals(self, raw):
            import os, signal, time
            self.seen += 1
            if self.seen > 3:
                time.sleep(0.1)
                os.kill(os.getppid(), signal.SIGINT)
                time.sleep(60)
            return super().extract_signals(raw)
        """,
    )
    result = convtui("rehook", recorded, second, "--provider", f"{bot}:Bot")
    assert result.code == 130
    assert "stopped by hand after 1 of 2 logs" in result.err
    assert result.out == "3 replies of 1 log: nothing changed; stopped by hand after 1 of 2 logs\n"


def test_many_logs_are_shared_out_and_told_in_their_order(
    convtui: Run, recorded: Path, bot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook that ends its process ends one of several engines."""
    monkeypatch.setattr("convtui.analysis.rehook.rehook_process.LOGS_PER_ENGINE", 2)
    monkeypatch.setattr("convtui.analysis.rehook.rehook_process.os.cpu_count", lambda: 2)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(5):
        text = f"reply {number}"
        talk = [turn(1, "persona", "Hi"), turn(2, "provider", text)]
        write_log(folder / f"{number}.jsonl", conversation(session(1, "a", talk, ending())))
    write(
        bot.parent,
        """
        def post_process_response(self, text):
            if text == "reply 3":
                __import__("os")._exit(7)
            return text.upper()
        """,
    )
    result = convtui("rehook", folder, "--provider", f"{bot}:Bot", "--json")
    logs = json.loads(result.out)["logs"]
    assert [Path(log["log"]).name for log in logs] == [f"{number}.jsonl" for number in range(5)]
    kinds = [log["changed"][0]["kinds"] for log in logs]
    assert kinds == [["text"], ["text"], ["text"], ["error"], ["text"]]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr("convtui.cli.progress.time.monotonic", lambda: clock)
    monkeypatch.setenv("COLUMNS", "80")
    for stream in (_Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stderr", stream)
        clock = 0.0
        bar, pace = Bar(), Pace(1000)
        for now, logs in ((0.0, 0), (10.0, 100), (10.05, 101), (20.0, 250)):
            clock = now
            bar(logs, 1000, pace(logs, logs * 10))
        bar.close()
        if not stream.isatty():
            assert stream.getvalue() == ""
            continue
        drawn = stream.getvalue().split("\r\x1b[K")
        assert drawn[-1] == "", "it is taken away"
        assert drawn[1].endswith("] 100/1,000 logs  1,000 replies  100/s  1:30 left")
        assert len(drawn) == 4, "ten times a second at the most"
        assert all(len(line) < 78 for line in drawn)


@pytest.mark.parametrize(("how", "code"), [("", 0), ("?strict", 3)])
def test_a_record_that_is_asked_otherwise_says_so(
    convtui: Run, tmp_path: Path, how: str, code: int
) -> None:
    """Positionally it is a warning, strictly a failure of the provider."""
    then = plain_scenario(Bot("Yes."), ["What was asked then."])
    log = asyncio.run(run_inside(then, tmp_path / "then")).path
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "persona: {name: Maya, script: [What is asked now.]}\n"
        f"provider: recorded:{log}{how}\nlimits: {{max_turns: 4}}\n"
    )
    result = convtui("run", scenario, "--out", tmp_path / "out")
    assert result.code == code, result
    text = "drift at 1:2: message 1 (user) is not the recorded one: 'What is asked now.' instead of"
    assert text in result.out + result.err
    assert ("Yes." in result.out) == (code == 0)
