"""The command line with foreign files: logs that name code and hosts, cloned folders."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.fakes.openai_server import OpenAIServerThread

MARKER = (
    "with open({!r}, 'a') as file: file.write('x')\n\ndef answer(messages):\n    return 'fine'\n"
)


@pytest.fixture
def server() -> Iterator[OpenAIServerThread]:
    """An endpoint that records its requests."""
    with OpenAIServerThread() as running:
        yield running


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that exists once any code or program that a log names has run."""
    return tmp_path / "marker"


@pytest.fixture
def own(convtui: Run, tmp_path: Path, marker: Path) -> Path:
    """A log of this account's own, of a provider in a file."""
    (tmp_path / "bot.py").write_text(MARKER.format(str(marker)))
    scenario = tmp_path / "talk.yaml"
    scenario.write_text(
        "persona: {name: A, script: [hi, there, bye]}\nprovider: bot.py:answer\n"
        "limits: {max_turns: 2}\n"
    )
    done = convtui("run", scenario, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    marker.unlink()
    return Path(done.err.splitlines()[-1])


def foreign(log: Path, marker: Path, url: str, **provider: Any) -> Path:
    """The log as somebody else could have written it: it names everything it can."""
    first, _, rest = log.read_text().partition("\n")
    header = json.loads(first)
    header["scenario"]["tools"] = [
        {"use": f"{marker.parent / 'bot.py'}:answer"},
        {"mcp": {"command": [sys.executable, "-c", f"open({str(marker)!r}, 'w')"]}},
        {"mcp": {"url": f"{url}/mcp", "headers": {"OPENAI_API_KEY": "[redacted]"}}},
    ]
    header["scenario"]["limits"] = {"max_turns": 4}
    header["scenario"]["provider"].update(provider)
    header["provider"].pop("sha256")
    evil = log.with_name("evil.jsonl")
    evil.write_text(json.dumps(header) + "\n" + rest)
    return evil


WAYS = {
    "run": ["run", "--resume"],
    "run in this process": ["run", "--in-process", "--resume"],
    "debug": ["debug", "--resume"],
    "compress": ["compress"],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", ["code", "model"])
def test_going_on_with_a_log_of_somebody_elses_runs_and_sends_nothing(
    way: str, provider: str, convtui: Run, own: Path, marker: Path, server: OpenAIServerThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-0123456789abcdef")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    model = {"use": "openai/m", "params": {"api_base": server.url}}
    evil = foreign(own, marker, server.url, **(model if provider == "model" else {}))
    before = set(evil.parent.iterdir())
    done = convtui(*WAYS[way], evil)
    assert done.code == 2
    assert not done.out
    for named in (
        "under another account, or changed",
        f"run the code of {marker.parent / 'bot.py'} (answer), a tool",
        "start the program ",
        f"call the tool server {server.url}/mcp\n",
        "Nothing was run",
        "--trust",
    ):
        assert named in done.err
    if provider == "model":
        assert f"send the provider's calls to {server.url}, with OPENAI_API_KEY" in done.err
        assert "ask the model openai/m" in done.err
    assert "sk-mine" not in done.err
    assert not marker.exists()
    assert not server.requests
    assert set(evil.parent.iterdir()) == before


def test_an_own_log_goes_on_in_silence_also_when_its_code_was_edited(
    convtui: Run, own: Path, marker: Path
) -> None:
    (marker.parent / "bot.py").write_text(MARKER.format(str(marker)) + "# edited\n")
    done = convtui("run", "--resume", own, "--max-turns", "4")
    assert done.code == 0, done.err
    assert marker.exists()


def test_the_key_goes_to_no_host_that_a_log_names(
    convtui: Run, own: Path, marker: Path, server: OpenAIServerThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # The worst of them: a provider of one's own choice, and the parameters of the log.
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-0123456789abcdef")
    evil = foreign(own, marker, server.url, params={"api_base": server.url})
    done = convtui("run", "--resume", evil, "--provider", "openai/m", "--set", "tools=[]")
    assert done.code == 2
    assert f"send the provider's calls to {server.url}, with OPENAI_API_KEY" in done.err
    assert "ask the model" not in done.err, "the user has named it"
    assert not server.requests


def test_what_the_command_names_needs_no_question(
    convtui: Run, own: Path, marker: Path, server: OpenAIServerThread, tmp_path: Path
) -> None:
    evil = foreign(own, marker, server.url)
    done = convtui("run", "--resume", evil, "--provider", "demo", "--set", "tools=[]")
    assert done.code == 0, done.err
    assert not marker.exists()
    done = convtui("run", tmp_path / "talk.yaml", "--resume", evil, "--max-turns", "4")
    assert done.code == 0, done.err
    assert marker.read_text() == "x", "the scenario's own provider, and no tool of the log's"
    assert not server.requests


class Terminal(io.StringIO):
    """A terminal at which one line is typed."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("flags", [(), ("--in-process",)])
def test_somebody_at_a_terminal_is_asked(
    flags: tuple[str, ...], convtui: Run, own: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, rest = own.read_text().partition("\n")
    header = json.loads(first)
    del header["seal"]
    own.write_text(json.dumps(header) + "\n" + rest)
    for answer in ("\n", "n\n", "what\n", ""):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        done = convtui("run", "--resume", own, "--max-turns", "4", *flags)
        assert done.code == 2
        assert "Do all that? [y/N] " in done.err
        assert "not agreed to, so nothing was run" in done.err
        assert not marker.exists()
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    done = convtui("run", "--resume", own, "--max-turns", "4", *flags)
    assert done.code == 0, done.err
    assert marker.exists()
    child = done.err.splitlines()[-1].rpartition("[y/N] ")[2]
    marker.unlink()
    monkeypatch.setattr("sys.stdin", Terminal(""))
    done = convtui("run", "--resume", child, "--max-turns", "6", *flags)
    assert "Do all that" not in done.err, "what was agreed to is the user's own from then on"
    assert done.code == 0, done.err


def test_trust_is_for_scripts(convtui: Run, own: Path, marker: Path) -> None:
    first, _, rest = own.read_text().partition("\n")
    header = json.loads(first)
    del header["seal"]
    own.write_text(json.dumps(header) + "\n" + rest)
    done = convtui("run", "--resume", own, "--max-turns", "4", "--trust")
    assert done.code == 0, done.err
    assert marker.exists()


# --- folders


@pytest.fixture
def cloned(tmp_path: Path) -> Path:
    """The working directory as a folder that was cloned."""
    file = tmp_path / "work" / "convtui.toml"
    file.write_text('api_base = "http://evil.example"\nspeed = 3\nout_dir = "../elsewhere"\n')
    return file


def value(convtui: Run, name: str) -> Any:
    """A setting, as `convtui config` has it."""
    return json.loads(convtui("config", "--json").out)[name]["value"]


def test_a_cloned_folder_counts_once_it_is_trusted(
    convtui: Run, cloned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert value(convtui, "api_base") is None
    assert value(convtui, "out_dir") is None
    assert value(convtui, "speed") == 3.0, "everything else counts"
    done = convtui("config")
    notice = f"{cloned}: left out: api_base, out_dir (this folder is not trusted)"
    assert done.err.count(notice) == 1
    for answer in (io.StringIO("y\n"), Terminal("n\n")):
        monkeypatch.setattr("sys.stdin", answer)
        done = convtui("trust")
        assert done.code == 2
        assert 'api_base = "http://evil.example"' in done.err
        assert value(convtui, "api_base") is None
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert convtui("trust").code == 0
    assert value(convtui, "api_base") == "http://evil.example"
    assert convtui("config").err == ""
    assert str(cloned.parent.resolve()) in convtui("where").out
    listed = json.loads(convtui("where", "--json").out)["trusted_folders"]
    assert listed == [{"path": str(cloned.parent.resolve()), "exists": True}]


def test_settings_that_change_ask_again(convtui: Run, cloned: Path) -> None:
    assert convtui("trust", "--yes").code == 0
    cloned.write_text(cloned.read_text().replace("speed = 3", "speed = 4"))
    assert value(convtui, "api_base") == "http://evil.example", "nothing that needs trust changed"
    cloned.write_text(cloned.read_text().replace("evil", "worse"))
    assert value(convtui, "api_base") is None
    assert "they changed since this folder was trusted" in convtui("config").err
    assert "changed: asks again" in convtui("trust", "--list").out


def test_trust_is_taken_back(convtui: Run, cloned: Path, tmp_path: Path) -> None:
    assert convtui("trust", "--list").out == "No folder is trusted.\n"
    assert convtui("trust", cloned.parent, "--yes").code == 0
    listed = json.loads(convtui("trust", "--list", "--json").out)
    assert listed == [{"path": str(cloned.parent.resolve()), "state": "trusted"}]
    assert "not trusted any more" in convtui("trust", cloned.parent, "--revoke").err
    assert "was not trusted" in convtui("trust", cloned.parent, "--revoke").err
    assert value(convtui, "api_base") is None
    cloned.unlink()
    assert "nothing to trust" in convtui("trust").err
    assert convtui("trust", tmp_path / "nowhere").code == 2


def test_what_is_left_out_is_said_once_in_a_run(convtui: Run, cloned: Path) -> None:
    done = convtui("run", "--provider", "demo", "--persona", "demo", "--max-turns", "2")
    assert done.code == 0
    assert done.err.count("left out") == 1
    assert not (cloned.parent.parent / "elsewhere").exists()


def test_a_link_leads_out_of_a_folder_too(convtui: Run, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    work = tmp_path / "work"
    (work / "runs").symlink_to(tmp_path / "outside")
    (work / "convtui.toml").write_text('out_dir = "runs"\nkeymap = "keys.yaml"\n')
    assert value(convtui, "out_dir") is None
    (work / "runs").unlink()
    assert value(convtui, "out_dir") == str(work / "runs")


def test_a_folder_is_trusted_by_its_real_path(
    convtui: Run, cloned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert convtui("trust", "--yes").code == 0
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "convtui.toml").write_text(cloned.read_text())
    monkeypatch.chdir(copy)
    assert value(convtui, "api_base") is None
    link = tmp_path / "link"
    link.symlink_to(cloned.parent)
    monkeypatch.chdir(link)
    assert value(convtui, "api_base") == "http://evil.example"
