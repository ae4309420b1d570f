"""The bring-up report: a good provider passes, each probe fails for the fault it is there for."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from convtui.analysis.probe.conversation import Subject
from convtui.analysis.probe.probes import make_probes
from convtui.analysis.probe.report import PROBES, Finding, ProbeReport, ProbeSession, chosen
from convtui.errors import EngineError, UsageError
from convtui.log.reader import open_log
from convtui.scenario.merge import merge_flags
from convtui.text_checks.error_texts import error_in
from tests.fakes.openai_server import OpenAIServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]

HEAD = """
import asyncio, time
from pathlib import Path
from convtui import Provider
from convtui.models.base import Delta, ToolCallDelta

class Base(Provider):
    stateful = False
    termination_signals = ["[[ERROR]]"]
    async def generate_response(self, messages):
        await asyncio.sleep(0.1)
        return f"You said {str(messages[-1]['content'])[:40]}"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)


async def tried(tmp_path: Path, body: str, *only: str, **flags: Any) -> ProbeReport:
    """The report about a class `Bot` in its own file."""
    path = tmp_path / "bot.py"
    path.write_text(HEAD + dedent(body))
    return await report_of(tmp_path, f"{path}:Bot", *only, **flags)


async def report_of(tmp_path: Path, spec: str, *only: str, **flags: Any) -> ProbeReport:
    scenario = merge_flags(None, {"provider": spec, "persona": "demo", **flags})
    subject = Subject(scenario.for_engine(), tmp_path / "logs", patience=30)
    return await make_probes(ProbeSession(subject, wanted=only or None))


def one(report: ProbeReport, name: str) -> Finding:
    """The finding of a probe."""
    (match,) = [finding for finding in report.findings if finding.probe == name]
    return match


async def test_a_good_provider_passes_all_that_applies(tmp_path: Path) -> None:
    report = await tried(tmp_path, "class Bot(Base): pass")
    assert [f.probe for f in report.findings if f.outcome == "fail"] == []
    assert [f.probe for f in report.findings if f.outcome == "warn"] == []
    skipped = {f.probe for f in report.findings if f.outcome == "n/a"}
    assert skipped == {"tool_call", *(name for name in PROBES if name.startswith("net_"))}
    assert {f.probe for f in report.findings} == set(PROBES)
    assert not report.failed
    # Two plain ones, five messages, two times two at once, a cancelled and its second, a late one.
    assert report.usage() == {"calls": 14}
    logs = [f.log for f in report.findings if f.log is not None]
    for log in logs:
        with open_log(log) as opened:
            assert opened.findings == []


BAD: dict[str, tuple[str, str, str, str]] = {
    "misspelled hook": (
        "load", "fail", r"post_process_reponse\(\) is no hook; did you mean post_process_resp",
        """
        class Bot(Base):
            def post_process_reponse(self, text): return text
        """,
    ),
    "import": ("load", "fail", "cannot be imported", "import nothing_of_that_name\nBot = 1"),
    "setup": (
        "setup", "fail", "ValueError: no key",
        """
        class Bot(Base):
            async def setup(self): raise ValueError("no key")
        """,
    ),
    "enter": (
        "hook_order", "fail", r"enter_session\(\) failed: .*no such room",
        """
        class Bot(Base):
            async def enter_session(self, name): raise RuntimeError("no such room")
        """,
    ),
    "sessions": (
        "hook_order", "fail", "prepare_sessions.*returned None",
        """
        class Bot(Base):
            def prepare_sessions(self, types): types.sort()
        """,
    ),
    "reset hook": (
        "hook_order", "fail", r"finish_and_reset_session\(\) failed",
        """
        class Bot(Base):
            async def finish_and_reset_session(self, name): 1 / 0
        """,
    ),
    "cleanup": (
        "hook_order", "fail", r"cleanup\(\) failed",
        """
        class Bot(Base):
            async def cleanup(self): self.connection.close()
        """,
    ),
    "silent": (
        "reply", "fail", "says nothing",
        """
        class Bot(Base):
            async def generate_response(self, messages): return ""
        """,
    ),
    "remembers": (
        "reset", "fail", "session 2 knows the secret of session 1",
        """
        class Bot(Base):
            seen = []
            async def generate_response(self, messages):
                self.seen.append(messages[-1]["content"])
                return " / ".join(self.seen)
        """,
    ),
    "says that it remembers": (
        "reset", "warn", "it says that it keeps state",
        """
        class Bot(Base):
            seen = []
            stateful = True
            async def generate_response(self, messages):
                self.seen.append(messages[-1]["content"])
                return " / ".join(self.seen)
        """,
    ),
    "empty": (
        "empty", "fail", "IndexError",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                return "first word: " + messages[-1]["content"].split()[0]
        """,
    ),
    "says nothing to an empty one": (
        "empty", "warn", "says nothing to it",
        """
        class Bot(Base):
            async def generate_response(self, messages): return messages[-1]["content"]
        """,
    ),
    "long": (
        "long", "fail", "too long for me",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                if len(messages[-1]["content"]) > 100_000: raise ValueError("too long for me")
                return "fine"
        """,
    ),
    "crash": (
        "long", "fail", "exited with status 9",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                import os
                os._exit(9)
        """,
    ),
    "unicode": (
        "unicode", "fail", "'ascii' codec",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                return messages[-1]["content"].encode("ascii").decode()
        """,
    ),
    "surrogates": (
        "surrogates", "warn", "surrogates not allowed",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                return messages[-1]["content"].encode().decode()
        """,
    ),
    "control": (
        "control", "fail", "ParseError",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                import xml.etree.ElementTree as tree
                return tree.fromstring("<a>" + messages[-1]["content"] + "</a>").text
        """,
    ),
    "tool": (
        "tool_call", "fail", "look gave no result: tool_execution_exception",
        """
        def look(where: str) -> str:
            "Looks somewhere."
            raise KeyError(where)
        class Bot(Base):
            tools = [look]
            async def respond(self, request):
                if request.messages[-1]["role"] == "tool":
                    yield Delta(text="It failed.")
                else:
                    yield Delta(tool_calls=(ToolCallDelta(0, "c1", "look", '{"where": "x"}'),),
                                finish_reason="tool_calls")
        """,
    ),
    "tool not called": (
        "tool_call", "warn", "made no call of look",
        """
        def look(where: str) -> str:
            "Looks somewhere."
            return where
        class Bot(Base):
            tools = [look]
        """,
    ),
    "mixes conversations": (
        "two_at_once", "fail", "in another conversation at the same time",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                board = Path(__file__).with_name("board.txt")
                with board.open("a") as file: file.write(messages[-1]["content"] + "\\n")
                await asyncio.sleep(0.3)
                return board.read_text()
        """,
    ),
    "cannot be cancelled": (
        "cancel", "fail", "blocks the event loop",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                time.sleep(2.5)
                return "fine"
        """,
    ),
    "one call ever": (
        "cancel", "fail", "after a cancelled call: .*still busy",
        """
        class Bot(Base):
            busy = False
            async def generate_response(self, messages):
                if self.busy: raise RuntimeError("still busy")
                self.busy = True
                await asyncio.sleep(0.3)
                self.busy = False
                return "fine"
        """,
    ),
    "cannot be too late": (
        "timeout", "fail", "was not ended by a turn_timeout",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                time.sleep(0.8)
                return "fine"
        """,
    ),
    "cleanup after a failure": (
        "failed_call", "fail", "after a failed call: .*AttributeError",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                self.answered = True
                return "fine"
            async def cleanup(self): assert self.answered
        """,
    ),
    "hook on an empty reply": (
        "hooks_odd", "fail", "an empty reply: post_process_response.*IndexError",
        """
        class Bot(Base):
            def post_process_response(self, text): return text[0].upper() + text[1:]
        """,
    ),
    "hook on surrogates": (
        "hooks_odd", "fail", "lone surrogates: extract_signals.*surrogates",
        """
        class Bot(Base):
            def extract_signals(self, raw):
                raw.encode()
                return []
        """,
    ),
    "slow hook": (
        "hooks_odd", "warn", "a hook took 1.* s for a huge reply",
        """
        class Bot(Base):
            def post_process_response(self, text):
                if len(text) > 1_000_000: time.sleep(1.2)
                return text
        """,
    ),
    "hook that counts": (
        "hooks_same", "fail", "the shown text of the same reply differ",
        """
        class Bot(Base):
            count = 0
            def post_process_response(self, text):
                self.count += 1
                return f"{text} ({self.count})"
        """,
    ),
    "error text": (
        "error_text", "fail", "HTTP 503 Service Unavailable",
        """
        class Bot(Base):
            async def generate_response(self, messages): return "HTTP 503 Service Unavailable"
        """,
    ),
    "prints": (
        "output", "warn", "it prints: 'asked'",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                print("asked")
                return "fine"
        """,
    ),
    "breakpoint": (
        "breakpoint", "fail", r"breakpoint\(\) at .*bot.py:\d+ is left in",
        """
        class Bot(Base):
            async def generate_response(self, messages):
                breakpoint()
                return "fine"
        """,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_a_fault_is_found(tmp_path: Path, case: str) -> None:
    name, outcome, says, body = BAD[case]
    report = await tried(tmp_path, body, name)
    finding = one(report, name)
    assert finding.outcome == outcome, finding
    assert re.search(says, finding.says, re.DOTALL), finding.says
    assert report.failed is (outcome == "fail")
    if name != "load":
        assert finding.log is not None and finding.log.is_file()


async def test_a_failure_shows_the_developers_own_lines(tmp_path: Path) -> None:
    report = await tried(tmp_path, BAD["setup"][3])
    assert any("bot.py" in line for line in one(report, "setup").detail)
    # Probes that cannot run without setup() are reported as such.
    assert one(report, "cancel").outcome == "n/a"
    assert {f.probe for f in report.findings} == set(PROBES)


async def test_a_tool_that_works(tmp_path: Path) -> None:
    body = BAD["tool"][3].replace("raise KeyError(where)", "return where")
    finding = one(await tried(tmp_path, body, "tool_call"), "tool_call")
    assert (finding.outcome, finding.says) == ("pass", "look was called and gave a result")


async def test_a_signal_of_its_own_is_no_error_text(tmp_path: Path) -> None:
    body = """
    class Bot(Base):
        async def generate_response(self, messages): return "[[ERROR]] upstream"
        def should_discard_response(self, signals): return True
    """
    assert one(await tried(tmp_path, body, "error_text"), "error_text").outcome == "n/a"


async def test_a_spec_that_names_nothing_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as wrong:
        await report_of(tmp_path, f"{tmp_path / 'none.py'}:Bot")
    assert wrong.value.exit_code == 2


# Each engine imports litellm anew: the faults are shared out between the tests.
STOOD = ("net_429", "net_drop", "surrogates")
NOT_STOOD = ("net_500", "net_malformed", "net_slow")


async def test_a_litellm_model_stands_the_faults_of_a_network(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        report = await report_of(
            tmp_path, "openai/provider-1", *STOOD, api_base=server.url,
            set_=("provider.params.api_key=sk-none",),
        )  # fmt: skip
    assert {f.probe: f.outcome for f in report.findings} == dict.fromkeys(STOOD, "pass")
    says = {f.probe: f.says for f in report.findings}
    assert "RateLimited, tried again after 1 s" in says["net_429"]
    assert "StreamDropped" in says["net_drop"]
    assert says["surrogates"] == "it answers; U+FFFD was sent in their place"
    assert report.usage()["calls"] == 5


CARELESS = """
import urllib.request, urllib.error, json

class Bot(Base):
    def __init__(self, *, params=None):
        self.params = params or {}
    def generate_response(self, messages):
        body = json.dumps({"model": "provider-1", "messages": messages}).encode()
        url = self.params["api_base"] + "/chat/completions"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            text = urllib.request.urlopen(request).read().decode()
            return json.loads(text)["choices"][0]["message"]["content"]
        except %s as error:
            return f"{type(error).__name__}: {error}"
"""


async def test_an_error_that_comes_out_as_a_reply_is_found(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        report = await tried(tmp_path, CARELESS % "Exception", *NOT_STOOD, api_base=server.url)
    outcomes = {f.probe: f.outcome for f in report.findings}
    assert outcomes == {**dict.fromkeys(NOT_STOOD, "fail"), "net_slow": "pass"}
    assert "HTTPError: HTTP Error 500" in one(report, "net_500").says


async def test_own_code_that_raises_and_does_not_retry_is_reported(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        report = await tried(
            tmp_path, CARELESS % "ZeroDivisionError", "net_500", api_base=server.url
        )
    finding = one(report, "net_500")
    assert finding.outcome == "warn"
    assert "not tried again" in finding.says


def test_probes_are_chosen_by_name() -> None:
    assert chosen(()) is None
    assert chosen(("cancel,timeout", "load")) == ["cancel", "timeout", "load"]
    with pytest.raises(UsageError, match="there is no probe 'cancle', did you mean 'cancel'"):
        chosen(("cancle",))


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):\n  File ...",
        "openai.RateLimitError: Error code: 429",
        "HTTP 502",
        "Error: something",
        "[[ERROR]] upstream failed",
        '{"error": {"message": "no"}}',
        "503 Service Unavailable",
        "Internal Server Error",
        "Sorry, something went wrong.",
    ],
)
def test_the_text_of_an_error_is_known(text: str) -> None:
    assert error_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "You can fix the TypeError in line 3 by importing it.",
        "An error in the booking was corrected; 500 points were added.",
        "The status of order 404 is: sent.",
        "I would retry after the 429th call.",
    ],
)
def test_talk_of_errors_is_no_error(text: str) -> None:
    assert error_in(text) is None


async def test_the_handle_knows_what_is_armed_until_it_fired(tmp_path: Path) -> None:
    from convtui.analysis.probe.conversation import ProbeConversation
    from convtui.records.codec import RecordDict

    path = tmp_path / "bot.py"
    path.write_text(HEAD + "class Bot(Base): pass\n")
    scenario = merge_flags(None, {"provider": f"{path}:Bot", "persona": "demo"})
    seen: list[dict[str, Any]] = []

    async def before(conversation: ProbeConversation, hold: RecordDict) -> bool:
        if hold["reason"] == "human":
            await conversation.handle.command("inject", fault="429", count=2, seconds=0)
            seen.append(dict(conversation.handle.armed))
        return False

    def on_record(conversation: ProbeConversation, record: RecordDict) -> None:
        if record["type"] == "debug.injected":
            seen.append(dict(conversation.handle.armed))

    subject = Subject(scenario.for_engine(), tmp_path / "logs", patience=30)
    await ProbeConversation(subject, "armed", ["hello"], before=before, on_record=on_record).run()
    assert seen == [
        {"provider": {"fault": "429", "left": 2, "seconds": 0.0}},
        {"provider": {"fault": "429", "left": 1, "seconds": 0.0}},
        {},
    ]
