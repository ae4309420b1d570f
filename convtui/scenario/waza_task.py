"""Task and eval files of waza, read as scenarios.

A task's prompt is what the user says first, its responder or follow-up prompts what the user says
after that. What convtui has no place for (graders, files, a workspace ...) is left out and named in
`notes`. Everything in these files is data: they name no code that convtui would run.
"""

from __future__ import annotations

import glob
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from convtui.errors import (
    DataFileError,
    FileError,
    Problem,
    ProviderLoadError,
    UsageError,
    did_you_mean,
    listed,
)
from convtui.files.yaml import Document, dotted, line_of, load_yaml, read_text, validate
from convtui.scenario.provider_spec import parse_provider_spec
from convtui.scenario.scenario import Scenario
from convtui.scenario.waza_keys import (
    CONFIG_READ,
    EVAL_READ,
    INPUTS_READ,
    TASK_READ,
    ConfigKeys,
    EvalKeys,
    TaskKeys,
    waza_kind,
)

MAX_TASKS = 1000
"""Task files that an eval may name."""
MAX_TRIALS = 10_000
"""Trials of each task that are taken at their word."""
_MOST_NOTES = 8
USER = "user"
"""The name of the persona that a task becomes; waza has none for it."""


@dataclass(frozen=True, slots=True)
class WazaTask:
    """One task: what its user says, and what of its file is left out.

    `id` is how `--task` names it, `timeout` is in seconds, `model` is the responder's.
    """

    path: Path
    id: str
    name: str
    prompt: str
    follow_ups: tuple[str, ...]
    responder: Mapping[str, Any] | None
    model: str | None
    timeout: int | None
    enabled: bool
    left_out: str | None

    def scenario(self, *, demo: bool = False) -> Scenario:
        """The scenario of this task, without a provider; `demo` when the demo will be that.

        The timeout becomes `limits.turn_timeout`, the seconds of one model call: a turn of waza is
        one call here. `limits.max_turns` leaves room for every follow-up, so that the budget of
        follow-ups and not the number of turns ends the conversation.
        """
        persona: dict[str, Any] = {"name": USER, "task": self.prompt}
        followups = len(self.follow_ups)
        if self.responder is None:
            persona |= {"simulator": "scripted", "script": [self.prompt]}
        else:
            followups = self.responder["max_followups"]
            persona |= {"simulator": "responder", "opening": self.prompt}
            persona["responder"] = dict(self.responder)
            if self.model:
                persona["responder"]["model"] = self.model
        limits: dict[str, Any] = {}
        if followups > 8:
            limits["max_turns"] = 2 * (followups + 2)
        if self.timeout is not None:
            limits["turn_timeout"] = float(self.timeout)
        data: dict[str, Any] = {"name": self.id, "persona": persona, "limits": limits}
        if self.follow_ups:
            data["follow_up_prompts"] = list(self.follow_ups)
        if demo:
            # The demo fails once to show a discarded turn; it is asked again, or it would end.
            data["on_discard"] = "retry 2"
        return Scenario.from_data(data, path=self.path)

    def notes(self) -> list[str]:
        """Notes for the user who runs this task."""
        notes = [self.left_out] if self.left_out else []
        if not self.enabled:
            notes.append(f"{self.path}: enabled: false, so waza would leave out task {self.id!r}")
        return notes

    def model_note(self) -> str | None:
        """Advice when litellm may not know the responder's model."""
        if self.responder is None or self.model is None:
            return None
        advice = f"write --user-model PROVIDER/{self.model}"
        try:
            if parse_provider_spec(self.model).kind == "litellm":
                return None
        except ProviderLoadError as error:
            if "did you mean" in str(error):
                advice = f"{str(error).partition('; ')[2]} Say so with --user-model."
        return f"{self.path}: the responder's model {self.model!r} names no provider; {advice}"


@dataclass(frozen=True, slots=True)
class WazaFile:
    """The tasks of a task or eval file, in order, and what of an eval is left out."""

    path: Path
    kind: Literal["task", "eval"]
    tasks: tuple[WazaTask, ...]
    left_out: str | None = None
    name: str | None = None
    trials: int | None = None
    """How often an eval wants each task run; None where it does not say a number."""

    @property
    def enabled(self) -> tuple[WazaTask, ...]:
        """The tasks that waza would run; a task that is named by its own file always is one."""
        return tuple(task for task in self.tasks if task.enabled or self.kind == "task")

    def chosen(self, wanted: str | None = None) -> ChosenTasks:
        """The task `wanted`, else all that are enabled. Raises `UsageError` where there is none."""
        alone = wanted is not None or not self.enabled
        return ChosenTasks(self, (self.task(wanted),) if alone else self.enabled)

    def task(self, wanted: str | None = None) -> WazaTask:
        """The task with the id (or else the name) `wanted`; without one the only enabled task.

        Raises `UsageError` when there is none, or more than one.
        """
        if wanted is None:
            if len(self.enabled) == 1:
                return self.enabled[0]
            what = "which task?" if self.enabled else "every task is disabled;"
            all_of_them = f" (`convtui batch {self.path}` runs them all)" if self.enabled else ""
            ids = ", ".join(self._ids())
            raise UsageError(f"{self.path}: {what} Say --task ID, one of: {ids}{all_of_them}")
        for key in ("id", "name"):
            tasks = [task for task in self.tasks if getattr(task, key) == wanted]
            if len(tasks) > 1:
                files = ", ".join(str(task.path) for task in tasks)
                raise UsageError(f"{self.path}: several tasks have the {key} {wanted!r}: {files}")
            if tasks:
                return tasks[0]
        near = did_you_mean(wanted, [task.id for task in self.tasks]) or "."
        has = f"It has {listed(self._ids())}."
        raise UsageError(f"{self.path}: there is no task {wanted!r}{near} {has}")

    def notes(self, *tasks: WazaTask) -> list[str]:
        """What is left out or disabled, of some tasks or, where none is given, of all."""
        notes = [self.left_out] if self.left_out else []
        skipped = [other.id for other in self.tasks if not other.enabled and other not in tasks]
        if skipped and tasks:
            notes.append(f"{self.path}: disabled tasks (enabled: false): {', '.join(skipped)}")
        return [*notes, *(note for task in tasks or self.tasks for note in task.notes())]

    def _ids(self) -> list[str]:
        return [task.id if task.enabled else f"{task.id} (disabled)" for task in self.tasks]


def provider_note(path: Path, provider: str | None) -> str:
    """Which provider a file gets that names none; `provider` is that of the settings."""
    taken = f"{provider}, from the settings" if provider else "the built-in demo"
    return f"{path}: a waza task names no provider; this is {taken}; --provider SPEC takes another"


@dataclass(frozen=True, slots=True)
class ChosenTasks:
    """The tasks of a file that run together."""

    file: WazaFile
    tasks: tuple[WazaTask, ...]

    def notes(self, *, models: bool = True) -> list[str]:
        """What is left out, at most so many lines; with `models` also of those that have no
        provider."""
        notes = self.file.notes(*self.tasks)
        if models:
            notes += filter(None, (task.model_note() for task in self.tasks))
        more = len(notes) - _MOST_NOTES
        if more > 1:
            notes[_MOST_NOTES:] = [f"and {more} more notes: `convtui check {self.file.path}`"]
        return notes


def read_waza(path: Path, *, many: bool = False) -> WazaFile:
    """A task file, or an eval file and all of its tasks.

    With `many`, what an eval says about several runs is read and not left out. Raises `FileError`,
    or `DataFileError` with every mistake in these files.
    """
    document = load_yaml(path)
    if waza_kind(document.data) != "eval":
        return WazaFile(path, "task", (_task(document, path, ConfigKeys()),))
    parsed = validate(EvalKeys, document.data, document.lines, path, what="waza eval")
    config = parsed.config or ConfigKeys()
    tasks: list[WazaTask] = []
    problems: list[Problem] = []
    for file in _files(parsed, document, path):
        try:
            tasks.append(_task(load_yaml(file), file, config))
        except DataFileError as error:
            problems += error.problems
        except FileError as error:
            problems.append(Problem(str(error)))
    if problems:
        raise DataFileError(problems)
    # Its model is the responders'; where there is none, it is the agent's alone.
    unused = set() if any(task.responder for task in tasks) else {"model"}
    trials = _trials(config) if many else None
    config_read = (CONFIG_READ - unused) | ({"trials_per_task"} if trials is not None else set())
    left_out = _left_out(document, path, {(): EVAL_READ, ("config",): config_read})
    return WazaFile(path, "eval", tuple(tasks), left_out, parsed.name, trials)


def _trials(config: ConfigKeys) -> int | None:
    trials = config.trials_per_task
    usable = isinstance(trials, int) and not isinstance(trials, bool) and 1 <= trials <= MAX_TRIALS
    return trials if usable else None


def _files(parsed: EvalKeys, document: Document, path: Path) -> list[Path]:
    """The task files of an eval, sorted, without duplicates; patterns are relative to it."""
    if parsed.tasks_from:
        line = line_of(document.lines, ("tasks_from",))
        message = "tasks from a table are not supported; name their files in 'tasks'"
        raise DataFileError([Problem(message, path=path, line=line, key="tasks_from")])
    if not parsed.tasks:
        message = "an eval needs the key 'tasks' with patterns of task files"
        line = line_of(document.lines, ("tasks",))
        raise DataFileError([Problem(message, path=path, line=line, key="tasks")])
    files: dict[Path, None] = {}
    problems: list[Problem] = []
    for number, pattern in enumerate(parsed.tasks):
        message = ""
        names: list[str] = []
        try:
            names = sorted(islice(_matches(pattern, path.parent), MAX_TASKS + 1))
        except (OSError, ValueError) as error:
            message = f"{pattern!r} is no pattern of files: {error}"
        if not message and not names:
            message = f"no file matches {pattern!r} (relative to {path.name})"
        if len(names) > MAX_TASKS:
            message = f"{pattern!r} matches more than {MAX_TASKS:,} files"
        if message:
            where = ("tasks", number)
            line = line_of(document.lines, where)
            problems.append(Problem(message, path=path, line=line, key=dotted(where)))
        files |= dict.fromkeys(path.parent / name for name in names)
    if problems:
        raise DataFileError(problems)
    return list(files)


def _matches(pattern: str, base: Path) -> Iterator[str]:
    # Path.glob() knows no absolute patterns, and `**` is one level here, as it is for waza.
    return glob.iglob(pattern, root_dir=base)  # noqa: PTH207


def _task(document: Document, path: Path, config: ConfigKeys) -> WazaTask:
    data = document.data if isinstance(document.data, dict) else {}
    label = str(data.get("id") or data.get("name") or path.stem)
    context = {"test_case": f'test case "{label}": '}
    parsed = validate(
        TaskKeys, document.data, document.lines, path, what="waza task", context=context
    )
    inputs = parsed.inputs
    prompt = inputs.prompt or ""
    if inputs.prompt_file is not None:
        prompt = _prompt(inputs.prompt_file, document, path)
    responder = inputs.responder
    return WazaTask(
        path=path,
        id=label,
        name=parsed.name or label,
        prompt=prompt,
        follow_ups=tuple(inputs.follow_up_prompts or ()),
        responder=None if responder is None else responder.model_dump(exclude={"model"}),
        model=None if responder is None else responder.model or config.model,
        timeout=parsed.timeout_seconds or config.timeout_seconds,
        enabled=parsed.enabled is not False,
        left_out=_left_out(document, path, {(): TASK_READ, ("inputs",): INPUTS_READ}),
    )


def _prompt(name: str, document: Document, path: Path) -> str:
    where = ("inputs", "prompt_file")
    message = "this file is empty"
    try:
        text = read_text(path.parent / name)
        if text.strip():
            return text
    except FileError as error:
        message = str(error)
    line = line_of(document.lines, where)
    raise DataFileError([Problem(message, path=path, line=line, key=dotted(where))])


def _left_out(
    document: Document, path: Path, read: Mapping[tuple[str, ...], Collection[str]]
) -> str | None:
    """One sentence about the keys of a file that are not supported, with their lines."""
    left_out: list[tuple[int, str]] = []
    for parent, known in read.items():
        part = document.data
        for key in parent:
            part = part.get(key)
        for key, value in (part or {}).items():
            if key not in known and value is not None:
                where = (*parent, key)
                left_out.append((line_of(document.lines, where) or 0, dotted(where) or ""))
    if not left_out:
        return None
    keys = ", ".join(f"{key} (line {line})" for line, key in sorted(left_out))
    return f"{path}: not supported and left out: {keys}"


def load_scenario(
    path: Path, task: str | None = None, *, demo: bool = False
) -> tuple[Scenario, WazaTask | None, list[str]]:
    """The scenario in a file: convtui's own, or the one that a waza task becomes.

    With it the waza task it came from, None for a scenario of our own, and what to tell about it.
    `task` picks one of an eval's tasks; `demo` says that the demo will be the provider. Raises
    `UsageError`, `FileError` or `DataFileError`.
    """
    kind = waza_kind(load_yaml(path).data)
    if kind is None:
        if task is not None:
            raise UsageError(f"--task {task}: {path} is a scenario; only a waza eval has tasks")
        return Scenario.load(path), None, []
    file = read_waza(path)
    chosen = file.task(task)
    return chosen.scenario(demo=demo), chosen, file.notes(chosen)
