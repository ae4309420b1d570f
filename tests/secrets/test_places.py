"""One package decides what is secret, and everything that is written goes through it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.builders.source_trees import PACKAGE, source_trees

DIRECTLY = "it takes secrets out itself"
FROM_LOG = "what it writes was read from the copy of `masked_log()`"
WRITERS: dict[str, str] = {
    "log/writer.py": DIRECTLY,
    "log/wire_writer.py": DIRECTLY,
    "log/locking.py": "nothing: the file is empty",
    "log/notes.py": DIRECTLY,
    "cli/crash.py": DIRECTLY,
    "analysis/report/html.py": DIRECTLY,
    "analysis/report/junit.py": DIRECTLY,
    "batch/manifest_writer.py": DIRECTLY,
    "batch/ray/cluster.py": "a random mark, by which a node sees that a folder is shared",
    "batch/ray/shards.py": "copies of the user's own files, gone when they have been read",
    "batch/ray/shipping.py": "pieces of logs that a worker's `log/writer.py` wrote",
    "share/masked_log.py": DIRECTLY,
    "share/sharing.py": FROM_LOG,
    "share/bundle.py": "what a bundle brings; what it writes is zipped from `masked_log()`",
    "log/formats/openai/export.py": FROM_LOG,
    "log/tool_results.py": "`clean` is the journal's, which is the log's redactor",
    "log/wire.py": "only exchanges that `RawExchange.masked()` made",
    "log/formats/oharness/export.py": FROM_LOG,
    "log/formats/vera/export.py": FROM_LOG,
    "log/formats/rath/files.py": FROM_LOG,
    "log/formats/hermes/trajectory_export.py": FROM_LOG,
    "log/folding/store.py": "what logs say, which is without secrets",
    "library/index.py": "what logs say, which is without secrets",
    "library/trash.py": "where a log was, and when it was moved",
    "config/paths.py": "callers: warm templates (mined by a `CarefulRedactor`), what a user edits",
    "tui/screens/dialogs/questions.py": "a text in the user's own editor, in a folder of its own",
    "scenario/starter.py": "files that come with the program",
    "analysis/rehook/rehook_process.py": "two numbers",
    "engine/rehook/replayed_hooks.py": "two numbers",
    "log/descriptor.py": "callers: modules that call `open_private()` are listed here themselves",
    "log/formats/export_fold.py": "callers: modules that call `new_file()` are listed, too",
    "files/replacing.py": "callers: modules that call `replace_file()` are listed, too",
    "log/formats/hermes/database.py": "reads only",
    "files/processes.py": "no file: a helper process answers through its pipe",
}
"""Every module that writes a file, and why no secret gets into it."""


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    """All calls in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node


def writes(call: ast.Call) -> bool:
    """Whether a call opens a file for writing, or writes one."""
    name = ast.unparse(call.func)
    words = " ".join(ast.unparse(word) for word in (*call.args, *(k.value for k in call.keywords)))
    if name.endswith((".write_text", ".write_bytes", ".mkstemp", "NamedTemporaryFile")):
        return True
    if name in ("open_private", "new_file", "replace_file"):
        return True
    if name == "os.open":
        return ("O_WRONLY" in words and "devnull" not in words) or "O_RDWR" in words
    if name == "sqlite3.connect":
        return "ro" not in words
    modes = [ast.unparse(word) for word in call.args[:2]]
    modes += [ast.unparse(k.value) for k in call.keywords if k.arg == "mode"]
    opens = name == "open" or name.endswith((".open", ".fdopen"))
    opens = opens and "devnull" not in words
    return opens and any(re.fullmatch(r"'[rb]*[wax+][bt+]*'", mode) for mode in modes)


def test_every_place_that_writes_is_known() -> None:
    found = {name for name, tree in source_trees().items() if any(map(writes, calls(tree)))}
    assert found == set(WRITERS)


@pytest.mark.parametrize("name", [name for name, why in WRITERS.items() if why is DIRECTLY])
def test_a_place_that_writes_uses_the_package(name: str) -> None:
    text = (PACKAGE / name).read_text(encoding="utf-8")
    assert "convtui.secrets" in text
    assert re.search(r"[rR]edactor", text)


def test_exports_are_read_without_secrets() -> None:
    sharing = (PACKAGE / "share/sharing.py").read_text(encoding="utf-8")
    assert "SharingRedactor(Redactor.of_process(), sharing.patterns)" in sharing
    assert "with masked_log(log, redactor, wire=sharing.wire) as opened:\n        files" in sharing
    # Whoever writes in a format of another tool gets that copy.
    export = (PACKAGE / "cli/export.py").read_text(encoding="utf-8")
    assert "share_with(log, out, sharing, write)" in export
    assert "open_log" not in export
    others = [
        name
        for name in source_trees()
        if re.search(r"by_name\(\w+\)\.write|\.write\(opened", text := _source(name))
        and name != "cli/export.py"
        and "masked_log" not in text
    ]
    assert others == []


def _source(name: str) -> str:
    return (PACKAGE / name).read_text(encoding="utf-8")
