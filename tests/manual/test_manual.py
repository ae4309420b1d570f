"""The manual and the README say what the program does: commands, flags, keys, files and filters."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from convtui.actions.registry import CONTEXTS, Keymap, actions, key_table_markdown, read_keymap
from convtui.batch.plan import Plan
from convtui.cli import commands
from convtui.errors import FilterError
from convtui.filters.atoms import ATOMS
from convtui.filters.breaks import parse_breakpoint
from convtui.filters.filter import parse
from convtui.log.formats.registry import NAMES
from convtui.manual.layout import lay_out, plain_text, topics_linked
from convtui.manual.pages import TOPIC_OF_CONTEXT, TOPICS, page, page_file, replace_block, topic_of
from convtui.records.codec import STAGES
from convtui.scenario.provider_hooks import HOOKS
from convtui.scenario.scenario import Persona, Scenario
from convtui.share.sharing import KINDS
from tests.make_manual import BLOCKS, made
from tests.places import ROOT

README = ROOT / "README.md"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
PAGES = [page_file(topic) for topic in TOPICS]
DOCUMENTS = [README, CONTRIBUTING, *PAGES]
ALL = pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)


@cache
def text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def fenced(file: Path, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(file), re.DOTALL | re.MULTILINE)


def inline(file: Path) -> list[str]:
    """The inline code outside of code blocks."""
    text = re.sub(r"^```.*?^```", "", text_of(file), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]


# --- pages


def test_every_topic_has_a_page_and_every_page_a_topic() -> None:
    assert {file.stem for file in page_file("start").parent.glob("*.md")} == set(TOPICS)
    for file in PAGES:
        assert re.match(r"# \S", text_of(file)), file
        assert len(re.findall(r"^# ", re.sub(r"(?ms)^```.*?^```", "", text_of(file)), re.M)) == 1


def test_the_generated_parts_are_up_to_date() -> None:
    for topic in BLOCKS:
        assert page(topic) == made(topic, page(topic)), f"{topic}: run `make manual`"
    blocks = {
        (file.stem, name) for file in PAGES for name in re.findall(r"<!-- ([a-z]+)", text_of(file))
    }
    assert blocks == {(topic, name) for topic, names in BLOCKS.items() for name in names}


def test_the_keys_page_has_the_key_table() -> None:
    text = page("keys")
    start, end = text.index("<!-- keys -->"), text.index("<!-- /keys -->")
    table = text[start + len("<!-- keys -->") : end].strip()
    assert table == key_table_markdown().strip()


def test_the_keys_page_shows_the_keys_in_use() -> None:
    text = page("keys", Keymap({"run.toggle": ("z",)}))
    assert "| `z` | Pause or continue the run. | `run.toggle` |" in text
    assert "`space` | Pause the run" not in text
    assert "`run.step_turn`" in text


def test_a_block_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no block called 'keys'"):
        replace_block("# Keys\n", "keys", "")
    # What is put in is not a pattern.
    assert replace_block("<!-- a -->\nold<!-- /a -->", "a", r"\1\g<2>") == (
        r"<!-- a -->" + "\n" + r"\1\g<2><!-- /a -->"
    )


def test_every_context_has_a_page() -> None:
    assert set(TOPIC_OF_CONTEXT) == set(CONTEXTS)
    assert set(TOPIC_OF_CONTEXT.values()) <= set(TOPICS)
    assert topic_of(("search", "live")) == "filters"
    assert topic_of(("held",)) == "debugging"
    assert topic_of(()) == "start"


def test_the_readme_is_short_and_links_every_page() -> None:
    assert README.stat().st_size <= 6000
    linked = re.findall(r"\(convtui/manual/([a-z-]+)\.md\)", text_of(README))
    assert linked == list(TOPICS)


# --- what the pages say


@ALL
def test_links_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text_of(file)):
        if "://" not in target:
            assert (file.parent / target.partition("#")[0]).exists(), target


def command_lines(file: Path) -> Iterator[list[str]]:
    """The words after `convtui` of each command, in code blocks and in text."""
    blocks = "\n".join(fenced(file, "sh")).replace("\\\n", " ")
    quoted = [code for code in inline(file) if code.startswith("convtui ")]
    for line in [*blocks.splitlines(), *quoted]:
        for part in re.split(r" && | \| ", line):
            words = shlex.split(part, comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            if words[:1] == ["convtui"]:
                yield words[1:]


@ALL
def test_commands_and_their_flags_exist(file: Path) -> None:
    for words in command_lines(file):
        if not words or words[0] in ("--version", "COMMAND"):
            continue
        command: click.Command | None = commands
        arguments = list(words)
        context = click.Context(commands)
        while isinstance(command, click.Group) and arguments:
            command = command.get_command(context, arguments.pop(0))
            assert command is not None, words
            context = click.Context(command, parent=context)
        assert command is not None
        for word in arguments:
            if word.startswith("--") and word != "--":
                assert word.partition("=")[0] in flags_of(command), words


def flags_of(command: click.Command) -> set[str]:
    """The flags of a command and, for a group, of its commands."""
    context = click.Context(command)
    found = {
        flag
        for parameter in command.get_params(context)
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            found |= flags_of(inner) if inner is not None else set()
    return found


@ALL
def test_flags_in_the_text_exist(file: Path) -> None:
    known = flags_of(commands) | {"--version", "--snapshot-update"}
    for code in inline(file):
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code):
            assert flag in known, code


_PATH = re.compile(r"(?:[a-z_.]+/)*[a-z_.]+\.py|(?:[a-z_]+/)+")


def test_files_and_folders_of_the_program_exist() -> None:
    named = {
        code
        for file in (CONTRIBUTING, page_file("maintainers"))
        for code in inline(file)
        if _PATH.fullmatch(code)
    }
    assert len(named) > 40
    within = (ROOT, ROOT / "convtui", ROOT / "convtui/tui", ROOT / "convtui/engine",
              ROOT / "convtui/analysis", ROOT / "convtui/log")  # fmt: skip
    assert [path for path in named if not any((folder / path).exists() for folder in within)] == []


@ALL
def test_python_compiles(file: Path) -> None:
    for block in fenced(file, "python"):
        ast.parse(block) if "async for" not in block else compile(
            block, str(file), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )


@ALL
def test_names_imported_from_convtui_exist(file: Path) -> None:
    import convtui

    for block in fenced(file, "python"):
        for names in re.findall(r"from convtui import (.+)", block):
            for name in names.split(","):
                assert name.strip() in convtui.__all__


@ALL
def test_yaml_is_a_scenario_a_plan_a_persona_or_a_keymap(file: Path) -> None:
    for block in fenced(file, "yaml"):
        data = yaml.safe_load(block)
        if all(key in actions() for key in data):
            assert read_keymap(data, {}, None)[1] == []
        elif "responder" in data or "script" in data:
            assert Persona.model_validate(data).name
        elif set(data) & (set(Plan.model_fields) - set(Scenario.model_fields)):
            assert Plan.model_validate(data) is not None
        else:
            assert scenario_problems(data) == []


def scenario_problems(data: dict[str, Any]) -> list[str]:
    """What is wrong with a scenario, but for files that are not there."""
    data = {key: value for key, value in data.items() if key != "persona"}
    try:
        Scenario.model_validate(data)
    except ValidationError as error:
        return [str(error)]
    for expression in data.get("breakpoints", []):
        parse_breakpoint(expression)
    return []


@ALL
def test_filters_in_the_text_parse(file: Path) -> None:
    for code in inline(file):
        if not re.match(r"!?\(?~[a-z]", code) or " drift" in code:
            continue
        expression = code.replace("\\|", "|")
        for name in re.findall(r"~([a-z]+)", expression):
            assert name in ATOMS, code
        if not re.search(r"[A-Z]{2}|\[|provider\|harness|persona\|provider", expression):
            try:
                parse(expression)
            except FilterError as error:
                # An atom that is only named, without its argument.
                assert re.fullmatch(r"~[a-z]+", expression), error


@ALL
def test_make_targets_exist(file: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    quoted = [*inline(file), *"\n".join(fenced(file, "sh")).splitlines()]
    for code in quoted:
        for target in re.findall(r"^make ([a-z]+)", code):
            assert target in targets


def test_every_hook_is_documented() -> None:
    section = page("sessions-and-hooks").split("## Hooks")[1].split("\n## ")[0]
    rows = "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(?:async )?([a-z_]+)", rows))
    assert named == {hook.name for hook in HOOKS}


def test_every_stage_is_documented_in_order() -> None:
    section = page("sessions-and-hooks").split("## The stages of a turn")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `([a-z_]+)`", section, re.MULTILINE)) == STAGES


def test_every_format_is_documented() -> None:
    formats, share = page("formats").split("\n## Share\n")
    row = re.compile(r"^\| `([a-z-]+)` \|", re.MULTILINE)
    assert tuple(row.findall(formats)) == NAMES
    # The first row is the head of the table.
    assert row.findall(share) == ["--to", *KINDS]


# --- layout


@pytest.mark.parametrize("topic", list(TOPICS))
@pytest.mark.parametrize("width", [80, 96])
def test_no_line_is_wider_than_the_terminal(topic: str, width: int) -> None:
    lines = plain_text(lay_out(page(topic), width, ticks=True)).splitlines()
    assert [line for line in lines if len(line) > width] == []


@pytest.mark.parametrize("topic", list(TOPICS))
def test_no_word_is_lost(topic: str) -> None:
    """Every word of a page is there, in order, whatever its block is laid out as."""
    source = re.sub(r"<!--.*?-->", "", page(topic))
    paragraphs = [
        part for part in re.split(r"\n\s*\n", re.sub(r"(?ms)^```.*?^```", "", source))
        if part.strip() and part.strip()[0] not in "#|-1"
    ]  # fmt: skip
    shown = " ".join(plain_text(lay_out(page(topic), 80, ticks=True)).split())
    for part in paragraphs:
        words = re.sub(r"\[([^\]`]*)\]\([^)]*\)", r"\1", part).replace("**", "")
        assert " ".join(words.split()) in shown


def test_blocks_of_a_page() -> None:
    markdown = (
        "# Title\n\nOne `word` and\n**two words**, [a page](filters.md).\n"
        "## Part\n<!-- a -->\n"
        "- first item that goes on\n  here\n  - inner\n1. numbered\n\n"
        "| name | what |\n|---|---|\n| `a \\| b` | first |\n| c | a text that has to wrap |\n\n"
        "```sh\nls   --long\n\n# two\n```\n"
    )
    assert plain_text(lay_out(markdown, 24)).splitlines() == [
        "Title",
        "=====",
        "",
        "One word and two words,",
        "a page.",
        "",
        "Part",
        "----",
        "",
        "  - first item that goes",
        "    on here",
        "    - inner",
        "  1. numbered",
        "",
        "name   what",
        "-----  -----------------",
        "a | b  first",
        "c      a text that has",
        "       to wrap",
        "",
        "    ls   --long",
        "",
        "    # two",
    ]


def test_styles_of_a_line() -> None:
    (line,) = lay_out("One `word`, **two [words](filters.md)**.", 80)
    styled = [(piece.text, piece.style) for piece in line if piece.style]
    assert styled == [("word", "code"), ("two", "strong"), ("words", "link")]
    (line,) = lay_out("One `word`.", 80, ticks=True)
    assert "".join(piece.text for piece in line) == "One `word`."
    assert plain_text(lay_out("`` a`b `` [site](https://example.org)", 80)) == (
        "a`b site <https://example.org>\n"
    )


def test_hostile_text_is_made_visible() -> None:
    shown = plain_text(lay_out("a \x1b[31mred\x1b[0m \u202eword `\x07`", 80))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\x07" not in shown
    assert "red" in shown


@given(st.text(alphabet="ab `*[]()|#-\n1.<!>\\", max_size=120), st.integers(-3, 60))
def test_any_text_can_be_laid_out(text: str, width: int) -> None:
    for line in lay_out(text, width):
        assert all("\n" not in piece.text for piece in line)


def test_links_to_other_pages() -> None:
    markdown = "[a](filters.md) [b](keys.md#run) [c](https://x.org/y.md) [d](filters.md)"
    assert topics_linked(markdown) == ["filters", "keys"]
