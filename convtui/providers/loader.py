"""Turns a provider SPEC into a provider, with errors a newcomer understands."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from convtui.errors import HookError, ProviderLoadError, did_you_mean, listed, misspelled
from convtui.files.near import no_file
from convtui.files.project import project_root
from convtui.files.regular import is_dir, is_file
from convtui.models.base import ModelClients
from convtui.providers.base import Provider
from convtui.providers.call_shape import CallShape, read_call_shape
from convtui.providers.construct import Accepted, Construction
from convtui.providers.declared import accepts, check_declared, give_models, model_of, put
from convtui.providers.function import FunctionProvider
from convtui.providers.imported import FILES
from convtui.providers.own_modules import OwnModules
from convtui.providers.settings import ProviderSettings
from convtui.providers.signatures import check_signatures
from convtui.providers.vera import adapter, interface
from convtui.providers.vera import hooks as vera_hooks
from convtui.providers.vera import loader as vera_loader
from convtui.scenario.provider_hooks import HOOKS, METHODS
from convtui.scenario.provider_spec import ProviderSpec, source_names
from convtui.text.aliases import PROVIDER
from convtui.text.boundary import one_line
from convtui.text.causes import describe, repr_of
from convtui.text.relocation import path_at_home, path_here
from convtui.text.tracebacks import location, own_frames

ENTRY_POINTS = "convtui.providers"


_MODULES = 100
_FOREIGN = frozenset({"site-packages", "dist-packages", ".venv", "venv", "__pycache__"})


def modules_beside(file: Path) -> list[Path]:
    """The files imported from the folder of a provider's file, without that file; at most 100."""
    return _modules_beside(file, len(sys.modules))


@lru_cache(maxsize=8)
def _modules_beside(file: Path, known: int) -> list[Path]:
    """As `modules_beside()`, looked at again when there are more modules than `known`."""
    home = file.resolve().parent
    inside = f"{home}{os.sep}"
    files: set[Path] = set()
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        # There are thousands of modules: paths are made only of the few that qualify.
        if not isinstance(name, str) or not name.startswith(inside) or not name.endswith(".py"):
            continue
        path = Path(name)
        if not _FOREIGN.intersection(path.relative_to(home).parts):
            files.add(path)
    files.discard(file.resolve())
    return sorted(files)[:_MODULES]


@dataclass(slots=True)
class Loaded:
    """A provider and where it came from."""

    provider: Provider
    spec: ProviderSpec
    kind: str
    """demo, litellm, recorded, function, class or vera (a class written for VERA-MH)."""
    hooks: dict[str, str] = field(default_factory=dict)
    """Hook name to `yours` or `default`."""
    file: Path | None = None
    sha256: str | None = None
    near_names: list[tuple[str, str]] = field(default_factory=list)
    """Methods that look like a misspelled hook: `(theirs, hook)`."""
    construction: Construction | None = None
    """The constructor's arguments; None if no class was instantiated."""

    @property
    def call(self) -> CallShape | None:
        """How the provider's function is called; None if that does not depend on a signature."""
        provider = self.provider
        if isinstance(provider, (FunctionProvider, adapter.VeraProvider)):
            return provider.shape
        simple = self.kind == "class" and owner(provider, "respond") == "default"
        return read_call_shape(provider.generate_response, names_decide=False) if simple else None

    def doubts(self) -> list[str]:
        """Assumptions about the provider, and what will be refused, in sentences."""
        shape = self.call
        if shape is None:
            return []
        name = "generate_response()" if self.kind != "function" else f"{self.provider.name}()"
        texts = [*shape.notes, *([shape.useless_reply] if shape.useless_reply else [])]
        return [f"{name}: {text}" for text in texts]

    def identity(self) -> dict[str, Any]:
        """The provider's entry in the header of a log."""
        data: dict[str, Any] = {
            "spec": str(self.spec),
            "name": self.provider.name,
            "kind": self.kind,
        }
        if self.file is not None:
            data["file"] = path_at_home(str(self.file))
            data["sha256"] = self.sha256
            others = modules_beside(self.file)
            if others:
                data["modules"] = [path_at_home(str(path)) for path in others]
        model = model_of(self.provider)
        if model is not None:
            data["model"] = model
        return data


def load_provider(
    spec: ProviderSpec,
    settings: ProviderSettings,
    *,
    models: ModelClients | None = None,
) -> Loaded:
    """Loads the provider that a SPEC names and makes a new instance of it.

    Raises `ProviderLoadError` with the developer's own frames if importing or constructing
    fails, and with the nearest known name if there is none of that name.
    """
    loaded = _load(spec, settings)
    provider = loaded.provider
    try:
        check_declared(provider)
    except HookError as error:
        raise ProviderLoadError(
            f"{spec.short}: {error}",
            frames=error.frames,
            location=None if error.__cause__ is None else location(error.__cause__),
        ) from error
    give_models(provider, models)
    if settings.system_prompt is not None and not provider.system_prompt:
        _put(provider, "system_prompt", settings.system_prompt, spec)
    if not provider.name:
        _put(provider, "name", type(provider).__name__, spec)
    known = vera_hooks.NAMES if loaded.kind == "vera" else [hook.name for hook in METHODS]
    loaded.hooks = {hook: owner(provider, hook) for hook in known}
    return loaded


def _put(provider: Provider, name: str, value: str, spec: ProviderSpec) -> None:
    """Sets what a provider leaves empty. Raises `ProviderLoadError`."""
    if not put(provider, name, value):
        raise ProviderLoadError(
            f"{spec.short}: {name} is empty and cannot be set to {value!r:.60}; give it a value,"
            " or let it be set"
        )


def _load(spec: ProviderSpec, settings: ProviderSettings) -> Loaded:
    if spec.kind == "demo":
        from convtui.providers.demo import DemoProvider

        return Loaded(DemoProvider(speed=settings.speed), spec, "demo")
    if spec.kind == "litellm":
        from convtui.providers.litellm import LitellmProvider

        return Loaded(LitellmProvider(spec.target, params=settings.params), spec, "litellm")
    if spec.kind == "recorded":
        from convtui.providers.recorded import RecordedProvider

        recorded = RecordedProvider(
            path_here(spec.target),
            strict=spec.name == "strict",
            speed=settings.speed,
            system_prompt=settings.system_prompt,
        )
        return Loaded(recorded, spec, "recorded")
    interface.offer()
    module: ModuleType | None
    if spec.kind == "file":
        path = Path(path_here(spec.target))
        module = import_file(path)
        thing = pick(module, spec.name or "", str(path))
        if FILES.is_taken(thing, path, spec.name or ""):
            # Each conversation has an object of its own, as the file makes it.
            module = import_file(path, anew=True)
            thing = pick(module, spec.name or "", str(path))
    elif spec.kind == "module":
        module = import_module(spec.target)
        thing = pick(module, spec.name or "", spec.target)
        thing = FILES.own(thing, spec.target, spec.name or "")
    else:
        thing, module = _entry_point(spec.target)
        thing = FILES.own(thing, spec.kind, spec.target)
    file = _file_of(thing, module)
    provider, kind, made = instantiate(thing, settings, spec)
    loaded = Loaded(provider, spec, kind, file=file, construction=made)
    if file is not None:
        loaded.sha256 = FILES.digest(file)
    if kind == "class":
        if not isinstance(thing, Provider):
            check_signatures(provider, spec.short)
        loaded.near_names = near_names(type(provider))
    elif isinstance(provider, adapter.VeraProvider):
        loaded.near_names = vera_loader.near_names(type(provider.client))
    return loaded


def load_function(spec: ProviderSpec) -> Callable[..., Any]:
    """The function that a `file.py:name` or `module:name` names, for tools.

    Raises `ProviderLoadError`.
    """
    if spec.kind == "file":
        thing = pick(import_file(Path(path_here(spec.target))), spec.name or "", spec.target)
    else:
        thing = pick(import_module(spec.target), spec.name or "", spec.target)
    if not callable(thing):
        raise ProviderLoadError(f"{spec.short} is a {type(thing).__name__}; a tool is a function")
    function: Callable[..., Any] = thing
    return function


def import_file(path: Path, *, anew: bool = False) -> ModuleType:
    """Imports a Python file; one inside a package as `package.module`.

    A process that hosts many conversations imports it once, unless `anew`.

    Its folder and the project's root go on `sys.path`. Modules there that are named like packages
    we need are visible only to its code. Raises `ProviderLoadError`.
    """
    known = None if anew else FILES.module(path)
    if known is not None:
        return known
    if is_dir(path):
        raise ProviderLoadError(f"{path}: this is a folder; write {path}/FILE.py:NAME")
    if not is_file(path):
        raise ProviderLoadError(no_file(path))
    FILES.importing(path)
    module = _import_new(path.resolve())
    if not anew:
        FILES.imported(path, module)
    return module


def _import_new(path: Path) -> ModuleType:
    package_root = path.parent
    parts = [] if path.stem == "__init__" else [path.stem]
    while is_file(package_root / "__init__.py") and package_root.parent != package_root:
        parts.insert(0, package_root.name)
        package_root = package_root.parent
    modules = OwnModules.current()
    modules.add(package_root, own=True)
    root = project_root(path.parent)
    if root is not None:
        modules.add(root, own=False)
    if is_file(path.parent / "__init__.py"):
        return import_module(modules.for_them(".".join(parts), str(path)), path)
    name = path.stem
    known = sys.modules.get(name)
    taken = known is not None and getattr(known, "__file__", None) != str(path)
    if taken or name in sys.stdlib_module_names or modules.protects(name):
        # Other code must not get the developer's `json.py` or `mcp.py` for that name.
        name = f"{PROVIDER}{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    loader = modules.adopted(spec).loader if spec is not None else None
    if spec is None or loader is None:
        raise ProviderLoadError(f"{path}: this is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module

    def run() -> None:
        loader.exec_module(module)

    try:
        _importing(run, path_at_home(str(path)))
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def import_module(name: str, path: Path | None = None) -> ModuleType:
    """Imports a module by its dotted name. Raises `ProviderLoadError`."""
    modules: list[ModuleType] = []
    _importing(lambda: modules.append(importlib.import_module(name)), str(path or name))
    return modules[0]


def _importing(run: Callable[[], object], what: str) -> None:
    process, leave = os.getpid(), os._exit
    try:
        try:
            run()
        finally:
            if os.getpid() != process:
                # The file forked while it was imported: the child must not go on as an engine.
                leave(0)
    except SystemExit as error:
        raise ProviderLoadError(
            f"{what}: calls sys.exit({repr_of(error.code)}) while it is imported; put that under"
            ' `if __name__ == "__main__":`',
            frames=own_frames(error),
            location=location(error),
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ProviderLoadError(
            f"{what}: cannot be imported",
            frames=own_frames(error),
            location=location(error),
        ) from error


def pick(module: ModuleType, name: str, where: str) -> Any:
    """The object under a (dotted) name in a module. Raises `ProviderLoadError`."""
    thing: Any = module
    for part in name.split("."):
        if not hasattr(thing, part):
            file = getattr(module, "__file__", None)
            names = source_names(Path(file)) if file else None
            known = names or [n for n in vars(module) if not n.startswith("_")]
            has = listed(known) if known else "nothing that could be a provider"
            raise ProviderLoadError(
                f"{where}: there is no {name!r} in it{did_you_mean(name, known) or '.'}"
                f" It has {has}."
            )
        thing = getattr(thing, part)
    return thing


def _entry_point(name: str) -> tuple[Any, ModuleType | None]:
    from importlib.metadata import entry_points

    installed = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in installed:
        raise ProviderLoadError(
            f"{name!r} is no installed provider{did_you_mean(name, installed) or '.'} Installed"
            f" (entry points of the group {ENTRY_POINTS}): {listed(sorted(installed))}. A file is"
            " named as file.py:name, a model as PROVIDER/MODEL."
        )
    things: list[Any] = []
    _importing(lambda: things.append(installed[name].load()), f"entry point {name!r}")
    return things[0], sys.modules.get(installed[name].module)


def _file_of(thing: Any, module: ModuleType | None) -> Path | None:
    with contextlib.suppress(TypeError, OSError):
        source = inspect.getsourcefile(inspect.unwrap(thing) if callable(thing) else type(thing))
        if source:
            return Path(source)
    file = getattr(module, "__file__", None)
    return Path(file) if file else None


def instantiate(
    thing: Any, settings: ProviderSettings, spec: ProviderSpec
) -> tuple[Provider, str, Construction | None]:
    """A provider made from a class, a function or an instance, with its kind and construction.

    Raises `ProviderLoadError` for anything else and for constructors that fail.
    """
    if isinstance(thing, Provider):
        _refuse_unused(settings, spec, "is made already")
        return thing, "class", None
    if vera_loader.is_vera(thing if inspect.isclass(thing) else type(thing)):
        adapted, made = vera_loader.adapt(thing, settings, spec.short)
        return adapted, "vera", made
    if inspect.isclass(thing):
        provider, made = _construct(thing, settings, spec)
        return provider, "class", made
    if callable(thing):
        _check_function(thing, spec)
        _refuse_unused(settings, spec, "is a function, which gets the messages alone")
        return FunctionProvider(thing), "function", None
    raise ProviderLoadError(
        f"{spec.short}: {spec.name} is a {type(thing).__name__}; a provider is a function"
        " (messages -> str) or a class"
    )


def _refuse_unused(settings: ProviderSettings, spec: ProviderSpec, what: str) -> None:
    """Raises `ProviderLoadError` for options of what takes none."""
    if settings.options:
        names = ", ".join(str(name) for name in settings.options)
        raise ProviderLoadError(
            f"{spec.short} {what}: the options {names} are keyword arguments of a class; take them"
            " out, or make it one"
        )


def _construct(
    cls: type, settings: ProviderSettings, spec: ProviderSpec
) -> tuple[Provider, Construction]:
    if not issubclass(cls, Provider) and not any(
        callable(getattr(cls, name, None)) for name in ("generate_response", "respond")
    ):
        close = [
            f"{theirs} (did you mean {ours}?)"
            for theirs, ours in near_names(cls)
            if ours in ("generate_response", "respond")
        ]
        raise ProviderLoadError(
            f"{spec.short}: class {cls.__name__} cannot answer: define"
            " generate_response(self, messages) or respond(self, request)"
            + (f"; it has {', '.join(close)}" if close else "")
        )
    kind = cls
    if not issubclass(cls, Provider):
        # What the class does not define comes from Provider; what it defines is its own.
        try:
            kind = type(cls.__name__, (cls, Provider), {"__module__": cls.__module__})
        except Exception as error:
            raise ProviderLoadError(
                f"{spec.short}: no class can be derived from {cls.__name__} and convtui.Provider"
                f" ({one_line(describe(error), 200)}); name a function that calls it"
            ) from error
    accepted = Accepted(cls)
    keywords = dict(settings.options)
    accepted.refuse_unknown(keywords, spec.short, "option")
    offered = {
        "system_prompt": settings.system_prompt,
        "model": settings.model,
        "params": dict(settings.params) or None,
    }
    for name, value in offered.items():
        if value is not None and accepted.takes(name):
            keywords.setdefault(name, value)
    provider = accepted.construct(keywords, spec.short, kind)
    assert isinstance(provider, Provider)
    left_out = [
        name
        for name, value in offered.items()
        if value is not None
        and name not in keywords
        and name != "system_prompt"
        and not (accepts(provider, name, value) and put(provider, name, value))
    ]
    return provider, Construction(tuple(keywords), tuple(left_out))


def _check_function(function: Any, spec: ProviderSpec) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    shape = read_call_shape(function, names_decide=False)
    positional, named = ([[]], {}) if shape.unusable else shape.bind("", [])
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        name = getattr(function, "__name__", spec.name)
        raise ProviderLoadError(
            f"{spec.short}: {name}{signature} cannot be called with the messages alone ({error});"
            f" a provider function is `def {name}(messages): ...`",
        ) from error


def owner(provider: Provider, hook: str) -> str:
    """Whether a hook is the developer's (`yours`) or ours (`default`)."""
    if isinstance(provider, adapter.VeraProvider):
        return provider.hook_owner(hook)
    theirs = getattr(type(provider), hook, None)
    ours = getattr(Provider, hook, None)
    return "default" if theirs is None or theirs is ours else "yours"


def near_names(cls: type) -> list[tuple[str, str]]:
    """Methods of a class that are named almost like a hook it lacks: `(theirs, hook)`."""
    near: list[tuple[str, str]] = []
    wanted = [hook.name for hook in HOOKS]
    for name in dir(cls):
        if name.startswith("__") or name in wanted or hasattr(Provider, name):
            continue
        hook = misspelled(name, wanted)
        if hook is not None:
            near.append((name, hook))
    return near
