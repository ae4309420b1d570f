"""What the home screen offers: personas, providers, templates. Blocking."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from convtui.errors import ConvtuiError, UsageError
from convtui.text.boundary import visible_line

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
