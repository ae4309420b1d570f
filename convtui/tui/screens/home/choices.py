"""What the picker offers: personas, providers, templates, and the check of a choice. Blocking."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convtui.errors import ConvtuiError, FieldError, UsageError
from convtui.text.boundary import visible_line

if TYPE_CHECKING:
    from convtui.config.settings import Config
    from convtui.scenario.scenario import Scenario

MAX_FILES = 40
"""Python files of the working directory that are searched for providers."""


@dataclass(slots=True, frozen=True)
class Offer:
    """An option to choose: its SPEC and a description."""

    spec: str
    about: str

    @property
    def label(self) -> str:
        """The option as one line."""
        name = visible_line(Path(self.spec).name if "/" in self.spec else self.spec, 40)
        return f"{name}  ({self.about})" if self.about else name


def personas(cwd: Path, own: Path | None) -> list[Offer]:
    """Built-in personas, those in ./personas, and the user's; broken files are labelled."""
    from convtui.scenario.persona import Persona, builtin_personas

    offers: list[Offer] = []
    sources = [(item.name, item.path, "built in") for item in builtin_personas()]
    for folder, origin in ((cwd / "personas", "./personas"), (own, "yours")):
        if folder is None:
            continue
        try:
            files = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml"))
        except OSError:
            continue
        sources += [(str(path), path, origin) for path in files]
    for spec, path, origin in sources:
        try:
            simulator = Persona.load(path).simulator
        except ConvtuiError:
            simulator = "cannot be read"
        offers.append(Offer(spec, f"{simulator}, {origin}"))
    return offers


def providers(cwd: Path) -> list[Offer]:
    """The demo, installed entry points, and what Python files in `cwd` define."""
    from importlib.metadata import entry_points

    from convtui.scenario.provider_spec import source_names

    offers = [Offer("demo", "built in")]
    offers += [Offer(entry.name, "installed") for entry in entry_points(group="convtui.providers")]
    try:
        files = sorted(cwd.glob("*.py"))[:MAX_FILES]
    except OSError:
        files = []
    for path in files:
        for name in (source_names(path) or [])[:8]:
            offers.append(Offer(f"{path.name}:{name}", "this folder"))
    return offers


@dataclass(slots=True, frozen=True)
class Template(Offer):
    """A warm template to choose."""

    slots: tuple[str, ...] = ()
    """The names of its slots, required or optional."""


def templates(folder: Path) -> list[Template]:
    """The user's warm templates; broken files are labelled."""
    from convtui.warm.store import WarmStore
    from convtui.warm.templates import slots_of

    listing = WarmStore(folder).listing()
    offers = []
    for stored in listing.templates:
        count = len(stored.template.patterns)
        about = f"{count} pattern{'s' * (count != 1)}"
        if stored.template.description:
            about += f", {visible_line(stored.template.description, 40)}"
        offers.append(Template(stored.name, about, tuple(slots_of(stored.template))))
    broken = [Path(str(problem.path)).stem for problem in listing.problems if problem.path]
    offers += [Template(name, "cannot be read") for name in broken]
    return sorted(offers, key=lambda offer: offer.spec)


def slot_flags(text: str) -> list[str]:
    """Converts `who=Ada; day=Monday` to values of `--set`. Raises `UsageError`."""
    flags = []
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not part.strip():
            continue
        if not equals or not name.strip():
            raise UsageError(f"slots: write slot=value; other=value, not {part.strip()!r}")
        # Always text, whatever it looks like.
        flags.append(f"warm.slots.{name.strip()}={json.dumps(value.strip())}")
    return flags


def check(flags: dict[str, Any], cwd: Path, config: Config | None = None) -> Scenario:
    """The scenario of a choice; what is left open comes from the settings.

    Raises `FieldError`, or `UsageError`, with what is wrong.
    """
    from convtui.scenario.provider_spec import absolute, parse_provider_spec
    from convtui.scenario.scenario import merge_flags

    try:
        spec = parse_provider_spec(flags["provider"], cwd)
    except ConvtuiError as error:
        raise FieldError("provider", str(error)) from None
    if spec.kind == "file" and not absolute(spec.target, cwd).is_file():
        raise FieldError("provider", f"{spec.target}: no such file")
    if spec.kind == "litellm":
        _check_model("provider", flags["provider"], flags.get("api_base"))
    if flags.get("user_model"):
        _check_model("user_model", flags["user_model"], flags.get("user_api_base"))
    defaults = _defaults(flags, cwd, config) if config is not None else {}
    scenario = merge_flags(None, {**flags, **defaults}, cwd=cwd, strict=True)
    if scenario.warm is not None:
        from convtui.warm.store import chosen_context

        chosen_context(scenario.warm, config.paths.warm_dir if config is not None else None)
    return scenario


def _defaults(flags: dict[str, Any], cwd: Path, config: Config) -> dict[str, Any]:
    """The settings that fill what `flags` leave open, for the sides that have a use for them."""
    from convtui.scenario.scenario import merge_flags
    from convtui.scenario.unused_settings import takes_params

    scenario = merge_flags(None, flags, cwd=cwd, ready=False)
    uses = {
        "api_base": takes_params(scenario.provider.spec, scenario.base),
        "user_api_base": bool(scenario.persona.kind.model_keys),
        "user_model": scenario.persona.needs_model,
    }
    return {
        name: getattr(config, name)
        for name, used in uses.items()
        if used and flags.get(name) is None and getattr(config, name)
    }


def _check_model(field: str, name: str, api_base: str | None) -> None:
    from convtui.scenario.model_names import model_problem

    problem = model_problem(name, {"api_base": api_base} if api_base else None)
    if problem is not None:
        raise FieldError(field, problem)
