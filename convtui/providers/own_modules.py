"""Resolves module names where a file beside a provider shadows a package that convtui needs.

A provider's folder goes first on `sys.path`, so that the developer's code finds its own modules. A
file `mcp.py` or `statistics.py` there would also shadow the package for us, litellm or the standard
library, whenever they import it later. So the developer's code gets the file beside it, and all
other code the package.

The developer's modules are always compiled from their source: Python takes bytecode for that of any
source of the same size and second, and a file that was saved twice would stay what it was.
"""

from __future__ import annotations

import builtins
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader, all_suffixes
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from convtui.files.regular import is_file
from convtui.text.aliases import BESIDE

_OURS: Final = (
    "convtui", "litellm", "mcp", "httpx", "pydantic", "pyyaml", "python-dotenv",
    "platformdirs", "lark", "click", "filelock", "watchfiles",
)  # fmt: skip
"""Our requirements, for when our own metadata are not installed."""
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_REQUIREMENT: Final = re.compile(r"[A-Za-z0-9._-]+")


class OwnModules(MetaPathFinder):
    """Resolves names by the importing code; first in `sys.meta_path` once it is needed."""

    def __init__(self) -> None:
        self._path = list(sys.path)
        """The search path of all other code: `sys.path` without the developer's folders."""
        self._folders: list[str] = []
        self._beside: dict[str, set[str]] = {}
        """By folder of the developer's, the names of our packages that its files shadow."""
        self._protected: set[str] = set()
        self._theirs: set[str] = set()
        """The names of all modules in the developer's folders."""

    @classmethod
    def current(cls) -> OwnModules:
        """The finder of this process, installed on first use."""
        for finder in sys.meta_path:
            if isinstance(finder, cls):
                return finder
        made = cls()
        sys.meta_path.insert(0, made)
        return made

    def add(self, folder: Path, *, own: bool) -> None:
        """Puts a folder of the developer's first on `sys.path`.

        `own` marks the folder of the provider's file or package, whose modules also shadow the
        standard library for its code, as when Python runs the file.
        """
        text = str(folder)
        if text in sys.path:
            return
        sys.path.insert(0, text)
        if text not in self._folders:
            self._folders.append(text)
        for name in _modules_of(folder):
            self._theirs.add(name)
            standard = name in sys.stdlib_module_names
            if not standard and not self._is_needed(name, text):
                continue
            self._protected.add(name)
            if name != "convtui" and (own or not standard):
                self._beside.setdefault(text, set()).add(name)

    def _is_needed(self, name: str, folder: str) -> bool:
        """Whether convtui or one of its dependencies imports an installed package of this name."""
        spec = PathFinder.find_spec(name, self._path)
        if spec is None or spec.origin is None or spec.origin.startswith(folder):
            return False
        return name in self._needed

    @cached_property
    def _needed(self) -> frozenset[str]:
        return frozenset(_needed_modules())

    def protects(self, name: str) -> bool:
        """Whether other code must not get a developer's file under this name."""
        return name in self._protected

    def for_them(self, name: str, file: str) -> str:
        """The module name that a dotted name stands for in the code of `file`."""
        top, dot, rest = name.partition(".")
        # The innermost folder first.
        for folder in sorted(self._around(file), key=len, reverse=True):
            if top in self._beside.get(folder, ()):
                return f"{BESIDE}{self._folders.index(folder)}_{top}{dot}{rest}"
        return name

    def _around(self, file: str) -> list[str]:
        inside = [folder for folder in self._folders if file.startswith(f"{folder}{os.sep}")]
        return [] if _INSTALLED.intersection(Path(file).parts) else inside

    def adopted(self, spec: ModuleSpec) -> ModuleSpec:
        """The spec of a developer's module, with a loader that reads its source.

        Where names are shadowed, its imports look beside the module first.
        """
        loader = spec.loader
        if isinstance(loader, SourceFileLoader):
            spec.loader = (
                _TheirLoader(loader.name, loader.path, self)
                if self._beside
                else _FreshLoader(loader.name, loader.path)
            )
        return spec

    def _may_be_theirs(self, fullname: str, path: Sequence[str] | None) -> bool:
        if path is None:
            return fullname in self._theirs
        return any(self._around(f"{folder}{os.sep}") for folder in path)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The spec of a name that is shadowed, or the developer's; None leaves it to the others."""
        if not self._protected and not self._may_be_theirs(fullname, path):
            return None
        if path is None and fullname.startswith(BESIDE):
            number, _, name = fullname.removeprefix(BESIDE).partition("_")
            there = PathFinder.find_spec(name, [self._folders[int(number)]])
            if there is None or there.origin is None:
                return None
            spec = spec_from_file_location(
                fullname,
                there.origin,
                submodule_search_locations=there.submodule_search_locations,
            )
            return None if spec is None else self.adopted(spec)
        if path is None and fullname in self._protected:
            return PathFinder.find_spec(fullname, self._path)
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None:
            return None
        return self.adopted(spec) if self._around(spec.origin) else None


class _FreshLoader(SourceFileLoader):
    """Compiles a developer's module from its source, and keeps no bytecode of it."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Raises `OSError`: without a time no bytecode is looked for, and none is written."""
        raise OSError(f"{path}: bytecode is not used")


class _TheirLoader(_FreshLoader):
    """Loads a developer's module, whose imports look beside it first."""

    def __init__(self, fullname: str, path: str, modules: OwnModules) -> None:
        super().__init__(fullname, path)
        self._modules = modules

    def exec_module(self, module: ModuleType) -> None:
        def import_(
            name: str,
            globals: Mapping[str, Any] | None = None,
            locals: Mapping[str, Any] | None = None,
            fromlist: Sequence[str] = (),
            level: int = 0,
        ) -> ModuleType:
            if level == 0:
                name = self._modules.for_them(name, self.path)
            return builtins.__import__(name, globals, locals, fromlist, level)

        # An import statement uses the built-ins of its own module.
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": import_}
        super().exec_module(module)


def _modules_of(folder: Path) -> Iterator[str]:
    """Names of the modules and packages in a folder."""
    suffixes = tuple(all_suffixes())
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        name = entry.name.partition(".")[0]
        module = entry.name.endswith(suffixes)
        if name.isidentifier() and (module or is_file(entry / "__init__.py")):
            yield name


def _needed_modules() -> Iterator[str]:
    """Top-level modules of convtui's direct and indirect requirements."""
    modules: dict[str, list[str]] = {}
    for module, distributions in packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(_normal(distribution), []).append(module)
    waiting, seen = list(_OURS), set()
    while waiting:
        name = _normal(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        yield from modules.get(name, ())
        try:
            required = requires(name) or ()
        except PackageNotFoundError:
            continue
        for requirement in required:
            match = _REQUIREMENT.match(requirement)
            if match is not None:
                waiting.append(match[0])


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
