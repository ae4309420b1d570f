"""Flags of the command line over a plan: they replace what it says, breakpoints are added.

Flags that a scenario has as well (`--model`, `--set`, ...) hold for every cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from convtui.batch.plan import CellFlags, Plan
from convtui.errors import UsageError
from convtui.files.regular import is_file
from convtui.files.validation import KeyPath
from convtui.scenario.flags import keys_set_by
from convtui.scenario.provider_spec import absolute
from convtui.secrets.names import is_harmless_name, is_secret_name
from convtui.secrets.shapes import REDACTED

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "runs": ("runs",),
    "concurrency": ("concurrency",),
    "workers": ("workers",),
    "order": ("order",),
    "isolation": ("isolation",),
    "on_pause": ("on_pause",),
    "budget_tokens": ("budget", "tokens"),
    "budget_cost": ("budget", "cost"),
    "stop_after": ("stop_after", "failed"),
    "attempts": ("attempts", "max"),
    "persona_template": ("persona_template",),
    "persona_context_template": ("persona_context_template",),
    "persona_reminder": ("persona_reminder",),
}
_PATHS: Final = ("persona_template", "persona_context_template", "persona_reminder")
_LISTS: Final = ("persona", "provider", "sessions", "break")
_SPEC_FILE: Final = re.compile(r"(?P<file>.*\.(?:tsv|csv|pyi?w?))(?P<rest>:.*)?", re.I | re.S)
_OPEN: Final = ("provider.params.", "provider.options.", "persona.params.")
"""Keys below which names are free."""
_TOKENS: Final = "budget.tokens"
"""The one key whose name is like that of a secret."""


def with_flags(
    plan: Plan,
    flags: Mapping[str, Any],
    *,
    cwd: Path | None = None,
    defaults: Mapping[str, str] | None = None,
    runs: Sequence[Path] = (),
) -> Plan:
    """The plan with flags applied.

    `flags` maps names (`max_turns` or `max-turns`) to values, None and empty lists mean "not
    given". `persona`, `provider` and `sessions` are lists. Relative paths in them are below `cwd`.
    `defaults` are `user_model`, `api_base` and `user_api_base` for the cells that have a use for
    them and name none, `runs` the folders of saved runs. Raises `UsageError`.
    """
    cwd = Path.cwd() if cwd is None else cwd
    given = {
        name.replace("-", "_").rstrip("_"): value
        for name, value in flags.items()
        if _is_given(value)
    }
    data = plan.model_dump(exclude_unset=True)
    places: dict[KeyPath, str] = {}
    for name, key in _KEYS.items():
        if name in given:
            value = given[name]
            if name == "concurrency" and str(value).isdecimal():
                value = int(value)
            _put(data, key, str(absolute(value, cwd)) if name in _PATHS else value)
            places[key] = _flag(name)
    vary = dict(data.get("vary") or {})
    for name in ("persona", "provider"):
        if name in given:
            vary[name] = [_located(text, cwd) for text in given[name]]
            _mark(places, ("vary", name), given[name], _flag(name))
    if "sessions" in given:
        vary["sessions"] = [
            [each.strip() for each in text.split(",")] for text in given["sessions"]
        ]
        _mark(places, ("vary", "sessions"), given["sessions"], "--sessions")
    if vary:
        data["vary"] = vary
    if "break" in given:
        before = list(data.get("breakpoints") or [])
        data["breakpoints"] = [*before, *given["break"]]
        places["breakpoints",] = "--break"
    rest = {k: value for k, value in given.items() if k not in _KEYS and k not in _LISTS}
    _refuse_both(plan, rest)
    return plan.changed(data, places, CellFlags(rest, cwd, dict(defaults or {}), runs))


def public_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags as a manifest may keep them: values of `--set` that may be secret are masked."""
    public = {name: value for name, value in flags.items() if _is_given(value)}
    for name in ("set", "set_"):
        if name in public:
            public[name] = [_public_setting(item) for item in public[name]]
    return {name: list(each) if isinstance(each, tuple) else each for name, each in public.items()}


def _public_setting(item: str) -> str:
    key, _, value = item.partition("=")
    last = key.strip().rsplit(".", 1)[-1]
    free = key.strip().startswith(_OPEN)
    number = re.fullmatch(r"\s*(-?[\d.]+|true|false)\s*", value)
    hidden = is_secret_name(last) or (free and not number and not is_harmless_name(last))
    hidden = hidden and key.strip() != _TOKENS
    return f"{key}={REDACTED}" if hidden else item


def are_whole(flags: Mapping[str, Any]) -> bool:
    """Whether flags that a manifest kept have all of their values."""
    return not any(REDACTED in str(value) for value in flags.values())


def _put(data: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    if len(key) == 1:
        data[key[0]] = value
        return
    data[key[0]] = {**(data.get(key[0]) or {}), key[1]: value}


def _mark(places: dict[KeyPath, str], key: KeyPath, values: Iterable[str], flag: str) -> None:
    places[key] = flag
    for number, value in enumerate(values):
        places[*key, number] = f"{flag} {value}"


def _located(text: str, cwd: Path) -> str:
    """A SPEC with its path made absolute; names and models stay as they are."""
    text = text.strip()
    if text.startswith("recorded:"):
        log = text.removeprefix("recorded:")
        return f"recorded:{absolute(log, cwd)}" if re.search(r"[/\\]|\.jsonl", log) else text
    file = _SPEC_FILE.fullmatch(text)
    if file:
        return f"{absolute(file['file'], cwd)}{file['rest'] or ''}"
    looks_like_one = re.search(r"\.ya?ml$|[*?]", text, re.I) or is_file(cwd / text)
    return str(absolute(text, cwd)) if looks_like_one else text


def _refuse_both(plan: Plan, flags: Mapping[str, Any]) -> None:
    """Raises `UsageError` for a flag that sets for all cells what the plan varies."""
    keys = keys_set_by(flags)
    for number, entry in enumerate(plan.vary.set or ()):
        for key in entry:
            if key in keys:
                problem = plan.places.problem(
                    ("vary", "set", number, key),
                    f"the plan varies {key}, and a flag sets it for all cells; leave one out",
                )
                raise UsageError(str(problem))


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value not in ((), [])


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
