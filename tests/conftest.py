"""What holds for every test: how it and the processes that it starts are set up."""

from __future__ import annotations

import os
import sys

# The suite starts some hundreds of interpreters of its own. Where compiling is told not to be
# kept, each would compile the program again: half of what a short one costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
