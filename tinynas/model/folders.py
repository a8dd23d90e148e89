"""Files sorted into one folder per class, and the groups that their names tell."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinynas.errors import ConfigError


def class_files(root: Path, suffixes: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """The class folders in `root`, in the order of their names, and their files (path, class), likewise ordered.

    Hidden folders do not count, nor do files with other suffixes; suffixes are compared in lower case.

    Raises:
        ConfigError: `root` is no folder, or holds no class folders, or one of them has no such file.
    """
    if not root.is_dir():
        raise ConfigError(
            f"{root} is no folder; a folder with one folder of {'/'.join(suffixes)} per class is expected"
        )
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise ConfigError(f"{root} has no folders; one folder of {'/'.join(suffixes)} files per class is expected")
    files: list[tuple[Path, int]] = []
    for label, folder in enumerate(folders):
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
        if not found:
            raise ConfigError(f"class {folder.name} has no samples: no {'/'.join(suffixes)} file is in {folder}")
        files += [(path, label) for path in found]
    return tuple(folder.name for folder in folders), files


def file_groups(names: Sequence[str], pattern: str | None) -> np.ndarray | None:
    """The group of each file, str (n,): the first parenthesised part of `pattern` where it is found in the name, or all
    that it matches. A name without a match is a group of its own. None without a pattern.

    Raises:
        ConfigError: the pattern is no regular expression, or is found in no name.
    """
    if pattern is None:
        return None
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"group_regex {pattern!r} is no regular expression: {error}") from error
    matches = [expression.search(name) for name in names]
    if not any(matches):
        raise ConfigError(f"group_regex {pattern!r} is found in no file name, not in {names[0]!r} for one")
    groups = [
        f"/{name}" if match is None else (match[1] if expression.groups and match[1] is not None else match[0])
        for name, match in zip(names, matches, strict=True)
    ]
    return np.array(groups)
