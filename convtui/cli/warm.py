"""`convtui warm`: templates of what earlier sessions have learned."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convtui.cli.common import Group, echo, example, json_flag, print_json, say, table
from convtui.cli.warm_build import build, user_store
from convtui.errors import UsageError
from convtui.files.regular import read_regular
from convtui.printing.wording import made_on, message_words
from convtui.text.boundary import visible, visible_line
from convtui.text.counts import counted

if TYPE_CHECKING:
    from convtui.warm.templates import WarmTemplate


@click.group(
    "warm",
    cls=Group,
    invoke_without_command=True,
    epilog=example(
        "convtui warm build refunds runs/ --tag desk",
        "convtui warm show refunds --messages",
        "convtui run scenario.yaml --warm refunds",
    ),
)
@click.pass_context
def command(ctx: click.Context) -> int | None:
    """Warm templates: tool calls that worked, put before a new conversation's history.

    Without a command: the list.
    """
    if ctx.invoked_subcommand is None:
        return print_list(as_json=False)
    return None


command.add_command(build)


@command.command(
    "list",
    short_help="All templates.",
    epilog=example("convtui warm list", "convtui warm list --json"),
)
@json_flag
def list_(*, as_json: bool) -> int:
    """Lists the templates; files that cannot be read are named on standard error."""
    return print_list(as_json=as_json)


def print_list(*, as_json: bool) -> int:
    """Prints the list of `convtui warm list`; returns the exit code."""
    store = user_store()
    listing = store.listing()
    for problem in listing.problems:
        say(f"convtui: left out: {problem}")
    if as_json:
        print_json(
            {
                "folder": str(store.folder),
                "templates": [stored.about() for stored in listing.templates],
                "problems": [
                    {"path": str(problem.path or ""), "message": str(problem)}
                    for problem in listing.problems
                ],
            }
        )
        return 0
    if not listing.templates:
        say(f"no warm templates in {store.folder}; `convtui warm build NAME` makes one")
        return 0
    rows = [["NAME", "PATTERNS", "MADE", "TAGS", "DESCRIPTION"]]
    for stored in listing.templates:
        template = stored.template
        rows.append(
            [
                stored.name,
                str(len(template.patterns)),
                made_on(template.created_at),
                ", ".join(template.tags),
                template.description,
            ]
        )
    table(rows)
    return 0


@command.command(
    "show",
    short_help="A template, or exactly what it injects.",
    epilog=example("convtui warm show refunds", "convtui warm show refunds --messages --json"),
)
@click.argument("name")
@click.option("--messages", is_flag=True, help="Exactly what it puts before the history.")
@click.option("--set", "set_", multiple=True, metavar="SLOT=VALUE", help="Fills a slot.")
@click.option("--max-patterns", type=click.IntRange(0), metavar="N", help="By default 15.")
@json_flag
def show(
    *, name: str, messages: bool, set_: tuple[str, ...], max_patterns: int | None, as_json: bool
) -> int:
    """Shows a template, by NAME or a path: its patterns, or what it injects."""
    from convtui.warm.names import MAX_PATTERNS

    stored = user_store().find(name)
    most = MAX_PATTERNS if max_patterns is None else max_patterns
    if messages:
        slots = dict(_slot(text) for text in set_)
        context = stored.context(slots, most)
        if as_json:
            print_json(context.record())
            return 0
        if context.addendum:
            _message("system", f"(after the provider's own prompt)\n{context.addendum}")
        for message in context.messages:
            _message(str(message["role"]), message_words(message, ids=True))
        left = f", {context.left_out} left out" if context.left_out else ""
        shown = (
            f"{counted(len(context.messages), 'message')} of {counted(context.patterns, 'pattern')}"
        )
        say(f"{shown}{left}")
        return 0
    if set_ or max_patterns is not None:
        raise UsageError("--set and --max-patterns go with --messages")
    if as_json:
        print_json(stored.template.data())
        return 0
    _print_template(stored.template, stored.path, most)
    return 0


def _slot(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"--set {text}: write slot=value")
    name = name.strip()
    return name.removeprefix("warm.").removeprefix("slots."), value


def _message(role: str, text: str) -> None:
    echo(f"{role}:")
    for line in visible(text).split("\n"):
        echo(f"  {line}".rstrip())


def _print_template(template: WarmTemplate, path: Path, most: int) -> None:
    from convtui.warm.templates import slots_of

    slots = [
        name if default is None else f"{name} ({default})"
        for name, default in slots_of(template).items()
    ]
    metrics, sources = template.metrics, template.source_session_ids
    gain = metrics.get("avg_proficiency_gain")
    rows = [
        ["name", template.name],
        ["file", str(path)],
        ["description", template.description],
        ["tags", ", ".join(template.tags)],
        ["made", f"{made_on(template.created_at)}, of {counted(len(sources), 'run')}"],
        ["mean gain", f"{gain:+g}" if isinstance(gain, (int, float)) else ""],
        ["slots", ", ".join(slots)],
        ["system prompt", template.system_prompt_addendum],
    ]
    table([row for row in rows if row[1]])
    if not template.patterns:
        return
    echo()
    head = ["", "TIMES", "TOOL", "TYPES", "ARGUMENTS"]
    lines = [head]
    for number, pattern in enumerate(template.patterns, 1):
        shown = ", ".join(f"{key}={value}" for key, value in pattern.arguments.items())
        lines.append(
            [
                str(number),
                str(pattern.success_count),
                pattern.tool_name,
                ", ".join(pattern.session_types),
                visible_line(shown, 60),
            ]
        )
    table(lines)
    if len(template.patterns) > most:
        say(f"the first {most} are injected")


@command.command(
    "edit", short_help="Open a template in $EDITOR.", epilog=example("convtui warm edit refunds")
)
@click.argument("name")
def edit(*, name: str) -> int:
    """Opens a template in $EDITOR; it is kept as it was where what comes back is no template."""
    import os

    from convtui.config.paths import write_private
    from convtui.errors import DataFileError

    path = user_store().path(name)
    try:
        before = read_regular(path)
    except FileNotFoundError:
        user_store().load(name)
        raise
    program = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not program:
        raise UsageError(f"no editor is set: set VISUAL or EDITOR, or edit {path} yourself")
    draft = path.with_name(f"{name}.edited")
    write_private(draft, before.decode("utf-8", "replace"))
    try:
        done = subprocess.run([*shlex.split(program), str(draft)], check=False)
    except (OSError, ValueError) as error:
        draft.unlink(missing_ok=True)
        raise UsageError(f"{program}: cannot be started: {error}") from None
    try:
        after = draft.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"{name} is as it was: {program} left no draft ({error.strerror or error})"
        ) from None
    if done.returncode or after.encode() == before:
        draft.unlink(missing_ok=True)
        say(f"{name} is as it was" + (f" ({program} failed)" if done.returncode else ""))
        return 0
    try:
        user_store().rewrite(name, after, draft)
    except (DataFileError, UsageError) as error:
        raise UsageError(f"{error}\n{name} is as it was; what you wrote is in {draft}") from None
    draft.unlink(missing_ok=True)
    say(f"saved as {name}: {path}")
    return 0


@command.command(
    "delete", short_help="Delete a template.", epilog=example("convtui warm delete refunds --yes")
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_flag
def delete(*, name: str, yes: bool, as_json: bool) -> int:
    """Deletes a template; asks first."""
    store = user_store()
    path = store.path(name)
    if path.exists() and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"delete {path}: nobody to ask here; give --yes")
        if not click.confirm(f"Delete {path}?", err=True):
            say(f"{name} is kept")
            return 1
    deleted = store.delete(name)
    if as_json:
        print_json({"name": name, "deleted": str(deleted)})
    else:
        say(f"deleted {deleted}")
    return 0
