"""The list of operators for people is the compiler's list."""

import re
from pathlib import Path

from tinynas.compiler import SUPPORTED

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"


def test_the_page_on_operators_names_each_that_is_supported_and_no_other() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    named = [name for row in rows for name in re.findall(r"[A-Z][A-Z0-9_]+", row)]
    assert sorted(named) == sorted(SUPPORTED)
