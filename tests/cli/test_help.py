"""`convtui help`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from convtui.manual.pages import TOPICS, page
from tests.cli.conftest import Run


def test_without_a_topic_the_pages_are_listed(convtui: Run) -> None:
    code, out, err = convtui("help")
    assert (code, err) == (0, "")
    for topic, about in TOPICS.items():
        assert f"  {topic}" in out
        assert about in out
    assert all(len(line) <= 100 for line in out.splitlines())


@pytest.mark.parametrize("topic", list(TOPICS))
def test_every_page_is_printed(convtui: Run, topic: str) -> None:
    code, out, err = convtui("help", topic)
    assert (code, err) == (0, "")
    title = page(topic).splitlines()[0].removeprefix("# ")
    assert out.splitlines()[:2] == [title, "=" * len(title)]
    assert "\x1b" not in out
    assert "<!--" not in out


def test_it_is_wrapped_to_the_terminal(convtui: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    prose = page("security")
    for columns, most in ((50, 50), (10, 40), (300, 96)):
        monkeypatch.setenv("COLUMNS", str(columns))
        out = convtui("help", "security").out
        assert max(map(len, out.splitlines())) <= most
        assert len(out.split()) > len(prose.split()) * 0.9


def test_pages_that_are_linked_are_named_at_the_end(convtui: Run) -> None:
    last = " ".join(convtui("help", "warm-starts").out.splitlines()[-2:])
    assert last.endswith("See also (`convtui help TOPIC`): profiles.")


@pytest.mark.parametrize(
    ("topic", "near"),
    [
        ("provider", "'providers'"),
        ("profle", "'profile'"),
        ("simulated-user", "'simulated-users'"),
        ("hooks", "'sessions-and-hooks'"),
        ("zzz", "`convtui help` lists the pages"),
        ("../../README", "`convtui help` lists the pages"),
        ("\x1b[31m", "`convtui help` lists the pages"),
        ("", "`convtui help` lists the pages"),
    ],
)
def test_an_unknown_topic(convtui: Run, topic: str, near: str) -> None:
    code, out, err = convtui("help", topic)
    assert (code, out) == (2, "")
    assert near in err
    assert "\x1b" not in err


def test_a_command_prints_its_usage(convtui: Run) -> None:
    code, out, err = convtui("help", "probe")
    assert (code, err) == (0, "")
    assert out.startswith("Usage: convtui probe [OPTIONS] [SCENARIO]")
    assert "--only" in out
    # A page of the same name comes first.
    assert convtui("help", "rehook").out.startswith("Rehook\n======")


def test_your_own_keys_are_shown(convtui: Run, home: Path) -> None:
    keymap = home / "config" / "keymap.yaml"
    keymap.parent.mkdir(parents=True)
    keymap.write_text("run.toggle: f8\n")
    code, out, _ = convtui("help", "keys")
    assert code == 0
    row = next(line for line in out.splitlines() if "`run.toggle`" in line)
    assert row.startswith("`F8` ")


def test_settings_that_do_not_load_do_not_stop_it(convtui: Run, home: Path) -> None:
    config = home / "config"
    config.mkdir(parents=True)
    (config / "keymap.yaml").write_text("run.togle: z\n")
    code, out, err = convtui("help", "keys")
    assert code == 0
    assert "did you mean 'run.toggle'?" in err
    assert "`space`" in out
    (config / "config.toml").write_text("thme = 'dark'\n")
    code, out, err = convtui("help", "settings")
    assert code == 0
    assert "did you mean 'theme'?" in err
    assert out.startswith("Settings\n")


def test_colour_where_it_is_wanted(
    convtui: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("CONVTUI_COLOR", "always")
    out = convtui("help", "filters").out
    assert "\x1b[1;36mFilters\x1b[0m" in out
    # Code is in quotes only if colour does not mark it.
    assert "\x1b[36m~discard\x1b[0m" in out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in convtui("help", "filters").out


def test_topics_are_completed() -> None:
    from convtui.cli.help import command

    (argument,) = (p for p in command.params if isinstance(p, click.Argument))
    context = click.Context(command)
    names = [item.value for item in argument.shell_complete(context, "s")]
    assert names == [topic for topic in TOPICS if topic.startswith("s")]
    assert len(argument.shell_complete(context, "")) == len(TOPICS)
    assert argument.shell_complete(context, "x") == []
