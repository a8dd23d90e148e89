"""Modules are found by name: tests are no packages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# Models written by hand are at home with the compiler's tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "compiler"))
