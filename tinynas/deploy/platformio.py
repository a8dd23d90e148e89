"""Running PlatformIO in a project folder: its own core, no telemetry, no network, nothing of the user's."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tinynas import paths
from tinynas.deploy.store import prepare_core


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run of PlatformIO ended; `said` is what it and the compiler wrote."""

    succeeded: bool
    said: str

    def tail(self) -> str:
        """The end of what was said, for an error message."""
        return self.said.strip()[-2000:] or "it said nothing"


def run_platformio(project: Path, *arguments: str, timeout_s: float) -> Outcome:
    """`pio run` in `project`. A run that takes longer than `timeout_s` seconds is ended and has not succeeded.

    Raises:
        ToolchainError: PlatformIO or SCons is not installed.
        InfrastructureError: PlatformIO's folder cannot be written.
    """
    core = prepare_core(paths.home() / "platformio")
    # -P: the project's own folder must not hide a Python package.
    command = [sys.executable, "-P", "-m", "platformio", "run", "-d", str(project), *arguments]
    process = subprocess.Popen(
        command,
        env=_environment(core),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return Outcome(succeeded=False, said=f"{_end(process)}\nended after {timeout_s:g} s")
    except BaseException:
        _end(process)
        raise
    return Outcome(succeeded=process.returncode == 0, said=said)


def _end(process: subprocess.Popen[str]) -> str:
    """Kill PlatformIO with SCons and the compilers that it started; returns what they said."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    said, _ = process.communicate()
    return said


def _environment(core: Path) -> dict[str, str]:
    # The user's own settings for PlatformIO are about the user's own projects.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PLATFORMIO_")}
    return {
        **inherited,
        "PLATFORMIO_CORE_DIR": str(core),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
    }
