"""What `sqlite3` raises for a damaged file.

SQLite quotes names out of the file in its messages, and gives them as names of columns. Python
decodes both as UTF-8, whatever `text_factory` is: bytes that are none are a `UnicodeDecodeError`.
"""

from __future__ import annotations

import sqlite3
from typing import Final

SqliteError = sqlite3.Error | UnicodeDecodeError
SQLITE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""For `except` and `suppress()`."""


def text_of(error: SqliteError) -> str:
    """SQLite's message, where it is readable."""
    if isinstance(error, UnicodeDecodeError):
        return "a name in it is not UTF-8"
    return str(error) or type(error).__name__
