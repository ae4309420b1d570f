"""The keys of waza's task and eval files.

Keys that convtui does nothing with may hold anything; the sets at the end name the others. A key
that is like none of these is one that waza has added since, and is left out as well; one that is
like them is misspelt.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from convtui.errors import did_you_mean
from convtui.scenario.parts import StrictModel, at_key
from convtui.scenario.persona import Persona
from convtui.scenario.scenario import Scenario
from convtui.scenario.simulators.responder import Instructions, MaxFollowups, whole_brief


def _name(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str | None, BeforeValidator(_name)]
Seconds = Annotated[int, Field(ge=1, le=10**9)]


class ResponderKeys(StrictModel):
    """A task's responder."""

    instructions: Instructions
    max_followups: MaxFollowups
    model: str | None = None

    _whole = model_validator(mode="before")(whole_brief)


class OpenModel(StrictModel):
    """Keys of a file, to which later versions of waza may add others."""

    @model_validator(mode="before")
    @classmethod
    def _without_later_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = cls.model_fields
        return {
            key: value
            for key, value in data.items()
            if key in _PLACED or did_you_mean(str(key), known)
        }


class InputsKeys(OpenModel):
    """What a task's user says."""

    prompt: str | None = None
    prompt_file: str | None = None
    responder: ResponderKeys | None = None
    follow_up_prompts: list[str] | None = None
    context: Any = None
    files: Any = None
    repos: Any = None
    workdir: Any = None
    environment: Any = None

    @field_validator("follow_up_prompts")
    @classmethod
    def _said(cls, value: list[str] | None) -> list[str] | None:
        if any(not item.strip() for item in value or ()):
            raise ValueError("a follow-up prompt must not be empty")
        return value

    @model_validator(mode="after")
    def _one_of_each(self, info: ValidationInfo) -> InputsKeys:
        if self.responder is not None and self.follow_up_prompts:
            test_case = (info.context or {}).get("test_case", "")
            raise at_key(
                "follow_up_prompts",
                f"{test_case}inputs.responder and inputs.follow_up_prompts are mutually exclusive;"
                " use one or the other",
            )
        if self.prompt is not None and self.prompt_file is not None:
            raise at_key("prompt_file", "prompt and prompt_file exclude each other; keep one")
        if self.prompt_file is None and not (self.prompt or "").strip():
            raise at_key("prompt", "the prompt is what the user says first; it must not be empty")
        return self


class TaskKeys(OpenModel):
    """A task file."""

    id: Name = None
    name: Name = None
    description: Any = None
    inputs: InputsKeys
    timeout_seconds: Seconds | None = None
    enabled: bool | None = None
    tags: Any = None
    expected: Any = None
    graders: Any = None
    checkpoints: Any = None
    golden: Any = None
    group: Any = None
    context_dir: Any = None
    first_event_timeout_seconds: Any = None
    skill_directories: Any = None
    instruction_files: Any = None


class ConfigKeys(OpenModel):
    """How an eval is run."""

    model: str | None = None
    timeout_seconds: Seconds | None = None
    trials_per_task: Any = None
    first_event_timeout_seconds: Any = None
    parallel: Any = None
    workers: Any = None
    fail_fast: Any = None
    executor: Any = None
    reasoning_effort: Any = None
    max_attempts: Any = None
    group_by: Any = None
    judge_model: Any = None
    judge_reasoning_effort: Any = None
    skill_directories: Any = None
    instruction_files: Any = None
    inject_skill_body: Any = None
    trigger_skill_routing: Any = None
    disabled_skills: Any = None
    required_skills: Any = None
    mcp_servers: Any = None


class EvalKeys(OpenModel):
    """An eval file."""

    name: Name = None
    description: Any = None
    version: Any = None
    schemaVersion: Any = None  # noqa: N815 - as the file spells it
    config: ConfigKeys | None = None
    tasks: list[str] | None = None
    skill: Any = None
    scenario: Any = None
    hooks: Any = None
    mcp_mocks: Any = None
    command_mocks: Any = None
    inputs: Any = None
    tasks_from: Any = None
    range: Any = None
    graders: Any = None
    metrics: Any = None
    baseline: Any = None


_PLACED = {
    key
    for model in (TaskKeys, InputsKeys, ResponderKeys, ConfigKeys, EvalKeys)
    for key in model.model_fields
}
"""Keys that have a place: in another one they are misplaced."""

# Keys that are used, or that say something about the file alone.
TASK_READ = {"id", "name", "description", "inputs", "timeout_seconds", "enabled"}
INPUTS_READ = {"prompt", "prompt_file", "responder", "follow_up_prompts"}
EVAL_READ = {"name", "description", "version", "schemaVersion", "config", "tasks"}
CONFIG_READ = {"model", "timeout_seconds"}


def waza_kind(data: object) -> Literal["task", "eval"] | None:
    """Whether YAML data are a waza task or eval, by their keys."""
    if not isinstance(data, dict):
        return None
    keys = {str(key) for key in data} - {"name", "description"}
    ours = len(keys & {*Scenario.model_fields, *Persona.model_fields})
    task, eval_ = (len(keys & set(model.model_fields)) for model in (TaskKeys, EvalKeys))
    is_eval = bool(keys & {"tasks", "tasks_from"}) or eval_ > max(task, 1)
    is_task = "inputs" in keys or task > 1
    if not (is_eval or is_task) or ours >= max(task, eval_):
        return None
    return "eval" if is_eval else "task"
