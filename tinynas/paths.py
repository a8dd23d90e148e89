"""Where things lie: the folders that travel with tinynas, and the one that it may write to."""

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).resolve().parent
CHECKOUT = _PACKAGE.parent


def _travelling(name: str) -> Path:
    """A checkout keeps `firmware/` and `boards/` beside the package; a wheel carries them inside it."""
    inside = _PACKAGE / "_bundled" / name
    return inside if inside.is_dir() else CHECKOUT / name


FIRMWARE = _travelling("firmware")
BOARDS = _travelling("boards")


def home() -> Path:
    """The folder for everything that tinynas writes outside a study: PlatformIO's core, builds, emulated boards.

    `$TINYNAS_HOME`, else `.tinynas` in a checkout, else the user's cache folder.
    """
    chosen = os.environ.get("TINYNAS_HOME")
    if chosen:
        return Path(chosen).expanduser().resolve()
    if (CHECKOUT / "pyproject.toml").is_file():
        return CHECKOUT / ".tinynas"
    return Path(platformdirs.user_cache_dir("tinynas"))
