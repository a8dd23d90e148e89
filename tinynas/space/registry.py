"""Spaces by name, or from a user's own Python file."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from tinynas.boards import nearest
from tinynas.errors import ConfigError
from tinynas.space import cell, image, mlp, mobilenet, series
from tinynas.space.genome import Axis, Space

_SPACES: dict[str, Space] = {
    space.name: space for space in (image.SPACE, mobilenet.SPACE, cell.SPACE, series.SPACE, mlp.SPACE)
}


def space_names() -> list[str]:
    """Names of the builtin spaces, sorted."""
    return sorted(_SPACES)


def load_space(name: str, file: Path | None = None) -> Space:
    """A builtin space, or the SPACE that a user's `file` defines. The file is run: it is the user's own code.

    Raises:
        ConfigError: no space has that name (the nearest one is suggested).
        ConfigError: the file cannot be run, or defines no SPACE with `name`, `axes`, `decode` and `canonical`.
    """
    if file is not None:
        return _from_file(file)
    if name not in _SPACES:
        raise ConfigError(f"space {name!r} is not known: {nearest(name, space_names())}")
    return _SPACES[name]


def _from_file(file: Path) -> Space:
    if not file.is_file():
        raise ConfigError(f"space file {file} does not exist")
    spec = importlib.util.spec_from_file_location(f"tinynas_user_space_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"space file {file} is no Python file: name it *.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"space file {file} fails: {type(error).__name__}: {error}") from error
    return _checked(file, module)


def _checked(file: Path, module: ModuleType) -> Space:
    space = getattr(module, "SPACE", None)
    missing = [part for part in ("name", "axes", "decode", "canonical") if not hasattr(space, part)]
    if space is None or missing:
        raise ConfigError(f"space file {file} must define SPACE with name, axes, decode and canonical: lacks {missing}")
    if not space.axes or not all(isinstance(axis, Axis) for axis in space.axes):
        raise ConfigError(f"space file {file}: SPACE.axes must be a tuple of Axis, not {space.axes!r}")
    found: Space = space
    return found
