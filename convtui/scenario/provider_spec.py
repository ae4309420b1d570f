"""Provider SPECs, by their syntax alone: nothing is imported, nothing is looked up.

demo                        the built-in provider
openai/gpt-4o               a litellm model
file.py:name                a function or class in a file
package.module:name         a function or class in a module: a file here, or an installed one
name                        an entry point of the group `convtui.providers`
recorded:LOG                answers from a log; recorded:LOG?strict only to what was asked then
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from convtui.errors import ProviderLoadError
from convtui.files.project import project_root
from convtui.files.regular import is_file, open_regular

SpecKind = Literal["demo", "litellm", "file", "module", "entry_point", "recorded"]

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_FILE = re.compile(r"(?P<path>.+\.pyi?w?)(?::(?P<name>.*))?", re.IGNORECASE | re.DOTALL)
_MODULE = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>.*)", re.DOTALL)
_PATH_LIKE = re.compile(r"\.{0,2}[/\\]|~|[A-Za-z]:[/\\]")
_ENTRY = re.compile(r"[A-Za-z_][\w.-]*")

# Bare model names that people type; litellm wants the provider's prefix.
_PREFIXES = (
    (re.compile(r"(?:gpt-|chatgpt|o[1-9](?:-|$)|text-davinci)", re.I), "openai"),
    (re.compile(r"claude-?\d|claude-(?:opus|sonnet|haiku)", re.I), "anthropic"),
    (re.compile(r"gemini-", re.I), "gemini"),
    (re.compile(r"(?:mistral|codestral|ministral)-[\w.-]*$", re.I), "mistral"),
    (re.compile(r"deepseek-", re.I), "deepseek"),
    (re.compile(r"grok-", re.I), "xai"),
    (re.compile(r"command-", re.I), "cohere"),
    (re.compile(r"(?:llama|qwen|phi|gemma)-?\d|(?:mistral|mixtral):", re.I), "ollama"),
)

MAX_SOURCE_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """What a SPEC names.

    `target` is the model, the file, the module, the entry point or the log (empty for `demo`) and
    `name` the function or class in a file or module, `strict` for a log that is to be followed
    strictly (None elsewhere).
    """

    kind: SpecKind
    target: str = ""
    name: str | None = None

    def __str__(self) -> str:
        if self.kind == "demo":
            return "demo"
        if self.kind == "recorded":
            return f"recorded:{self.target}" + (f"?{self.name}" if self.name else "")
        return f"{self.target}:{self.name}" if self.name else self.target

    def resolved(self, base: Path) -> ProviderSpec:
        """The same SPEC with its file or log made absolute, relative ones below `base`."""
        if self.kind not in ("file", "recorded"):
            return self
        return replace(self, target=str(absolute(self.target, base)))

    def located(self, base: Path) -> ProviderSpec:
        """As `resolved()`; a module becomes its file where there is one below `base`, below the
        root of its project, or below the working directory."""
        if self.kind != "module":
            return self.resolved(base)
        base = base.absolute()
        for folder in dict.fromkeys((base, project_root(base) or base, Path.cwd())):
            path = folder.joinpath(*self.target.split("."))
            for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
                if is_file(file):
                    return ProviderSpec("file", str(file), self.name)
        return self

    @property
    def short(self) -> str:
        """The SPEC for people: a file's name without its directories."""
        if self.kind in ("file", "recorded"):
            return str(replace(self, target=re.split(r"[/\\]", self.target)[-1]))
        return str(self)


def absolute(text: str, base: Path) -> Path:
    """`text` as an absolute path: `~` expanded, relative paths below `base`, `..` folded."""
    import os

    path = Path(text)
    if text.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError:
            path = Path(text)
    return Path(os.path.abspath(base / path))  # noqa: PTH100  (resolve() would follow links)


def parse_provider_spec(text: str, base: Path | None = None) -> ProviderSpec:
    """What the provider SPEC `text` names.

    `base` is the directory against which a mistaken SPEC is looked up for advice (by default the
    working directory). Raises `ProviderLoadError` with what to write instead.
    """
    text = text.strip()
    base = Path.cwd() if base is None else base
    if not text:
        raise ProviderLoadError(
            "a provider SPEC is empty; write demo, openai/gpt-4o or my_provider.py:Bot"
        )
    if text == "demo":
        return ProviderSpec("demo")
    if text.startswith("recorded:"):
        log = text.removeprefix("recorded:").strip()
        log, mark, how = log.rpartition("?") if log.endswith(("?strict", "?positional")) else (
            log, "", ""
        )  # fmt: skip
        if not log:
            raise ProviderLoadError("recorded: names no log; write recorded:LOG.jsonl")
        return ProviderSpec("recorded", log, "strict" if mark and how == "strict" else None)
    file = _FILE.fullmatch(text)
    if file:
        return _file(text, file, base)
    if _PATH_LIKE.match(text) or "\\" in text:
        raise ProviderLoadError(_not_python(text))
    if "/" in text:
        return _model(text, base)
    if ":" in text:
        return _module(text)
    return _bare(text, base)


def _file(text: str, match: re.Match[str], base: Path) -> ProviderSpec:
    path, name = match["path"], match["name"]
    if name and _NAME.fullmatch(name):
        return ProviderSpec("file", path, name)
    names = source_names(absolute(path, base))
    what = f"{name!r} is not a Python name" if name else f"{text!r} does not say what to use in it"
    raise ProviderLoadError(f"{what}; write {path}:NAME{_listed(names, path)}")


def _listed(names: list[str] | None, path: str) -> str:
    if names is None:
        return ""
    if not names:
        return f" ({path} defines no function or class at top level)"
    return f", where NAME is one of: {', '.join(names)}"


def source_names(path: Path) -> list[str] | None:
    """Public functions and classes at the top level of a Python file, classes first.

    The file is parsed, never imported; None when it is missing or not Python.
    """
    defined = _defined(path)
    if defined is None:
        return None
    public = [(name, kind) for name, kind in defined if name[:1] != "_"]
    public.sort(key=lambda each: each[1] != "class")
    return list(dict.fromkeys(name for name, _ in public))


def defines(path: Path, name: str) -> Literal["function", "class"] | None:
    """What a Python file defines as `name` at its top level; None if that is not certain, as
    under a decorator."""
    kinds = {kind for defined, kind in _defined(path, plain=True) or () if defined == name}
    return kinds.pop() if len(kinds) == 1 else None


def _defined(
    path: Path, *, plain: bool = False
) -> list[tuple[str, Literal["function", "class"]]] | None:
    try:
        written = path.stat()
    except (OSError, ValueError):
        return None
    known = _definitions(path, (written.st_mtime_ns, written.st_size))
    if known is None:
        return None
    return [(name, kind) for name, kind, decorated in known if not (plain and decorated)]


@lru_cache(maxsize=64)
def _definitions(
    path: Path, _written: tuple[int, int]
) -> list[tuple[str, Literal["function", "class"], bool]] | None:
    """The functions and classes of a file as it was written then, and whether each is decorated.

    Many scenarios with one provider ask for the same.
    """
    import ast
    import warnings

    try:
        with open_regular(path) as file:
            source = file.read(MAX_SOURCE_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (
            node.name,
            "function" if isinstance(node, functions) else "class",
            bool(node.decorator_list),
        )
        for node in tree.body
        if isinstance(node, (*functions, ast.ClassDef))
    ]


def _not_python(text: str) -> str:
    if text.lower().endswith((".jsonl", ".json")):
        return f"{text!r} looks like a log; write recorded:{text}"
    if text.lower().endswith((".yaml", ".yml")):
        return f"{text!r} looks like a scenario; give it without --provider"
    drive = text[:2] if re.match(r"[A-Za-z]:", text) else ""
    stem, _, name = text[len(drive) :].partition(":")
    return f"{text!r} is no Python file; write {drive}{stem.rstrip('/')}.py:{name or 'NAME'}"


def _model(text: str, base: Path) -> ProviderSpec:
    if text.lower().endswith((".jsonl", ".json", ".yaml", ".yml")):
        raise ProviderLoadError(_not_python(text))
    if re.search(r"\s", text) or text.endswith("/"):
        raise ProviderLoadError(
            f"{text!r} is no litellm model; write PROVIDER/MODEL, as in openai/gpt-4o"
        )
    stem, _, name = text.partition(":")
    if is_file(absolute(f"{stem}.py", base)):
        raise ProviderLoadError(
            f"{text!r} would be a litellm model; did you mean {stem}.py:{name or 'NAME'}?"
        )
    return ProviderSpec("litellm", text)


def _module(text: str) -> ProviderSpec:
    match = _MODULE.fullmatch(text)
    if match and _NAME.fullmatch(match["name"]):
        return ProviderSpec("module", match["module"], match["name"])
    prefix = _prefix(text)
    if prefix:
        raise ProviderLoadError(
            f"{text!r} is no litellm model without its provider; did you mean {prefix}/{text}?"
        )
    if match and not match["name"]:
        raise ProviderLoadError(
            f"{text!r} does not say what to use in the module; write {match['module']}:NAME"
        )
    raise ProviderLoadError(
        f"{text!r} names no provider; write file.py:name, package.module:name or PROVIDER/MODEL"
    )


def _bare(text: str, base: Path) -> ProviderSpec:
    prefix = _prefix(text)
    if prefix:
        raise ProviderLoadError(
            f"{text!r} is no litellm model without its provider; did you mean {prefix}/{text}?"
        )
    if text.lower().endswith((".jsonl", ".json", ".yaml", ".yml")):
        raise ProviderLoadError(_not_python(text))
    names = source_names(base / f"{text}.py")
    if names is not None:
        raise ProviderLoadError(
            f"{text!r} names no provider; write {text}.py:NAME{_listed(names, text + '.py')}"
        )
    if not _ENTRY.fullmatch(text):
        raise ProviderLoadError(
            f"{text!r} names no provider; write demo, PROVIDER/MODEL, file.py:name,"
            " package.module:name or the name of an installed provider"
        )
    return ProviderSpec("entry_point", text)


def _prefix(text: str) -> str | None:
    return next((prefix for pattern, prefix in _PREFIXES if pattern.match(text)), None)
