"""What a command found, for a person or for a program."""

import json
from typing import Any

import typer


def print_found(found: Any, *, as_json: bool) -> None:
    """As one JSON object, or as a line for each key."""
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif isinstance(found, dict):
        for key, value in found.items():
            typer.echo(f"{key}: {_plain(value)}")
    else:
        typer.echo(str(found))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    if value is None:
        return "-"
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        return "".join(f"\n  {_plain(each)}" for each in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
