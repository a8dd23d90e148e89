"""Running PlatformIO in a project folder: its own core, no telemetry, no network, nothing of the user's."""

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tinynas.deploy.stage import HeldProject
from tinynas.deploy.store import core_folder, environment, prepare_core
from tinynas.errors import InfrastructureError

_GUARD = Path(__file__).with_name("guard.py")
_TAIL = 4000
_END_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run of PlatformIO ended; `said` is what it and the compiler wrote."""

    succeeded: bool
    said: str

    def tail(self) -> str:
        """The end of what was said, for an error message."""
        return self.said.strip()[-_TAIL:] or "it said nothing"


def run_platformio(project: HeldProject, *arguments: str, timeout_s: float) -> Outcome:
    """`pio run` in a project. A run that takes longer than `timeout_s` seconds is ended and has not succeeded.

    Raises:
        ToolchainError: SCons is not installed.
        InfrastructureError: a folder cannot be written, or the disk is full.
    """
    core = core_folder()
    prepare_core(core)
    try:
        outcome = _run(project, core, arguments, timeout_s)
    except OSError as error:
        raise InfrastructureError(f"PlatformIO cannot run in {project.folder}: {error}") from error
    if "No space left on device" in outcome.said:
        raise InfrastructureError(f"the disk is full: PlatformIO could not write to {project.folder}")
    return outcome


def _run(project: HeldProject, core: Path, arguments: tuple[str, ...], timeout_s: float) -> Outcome:
    # SCons keeps its record of what was built from what in memory until the end. After a run that was killed the record
    # tells of other files than those that lie there, and an image could be linked from two networks. From PlatformIO's
    # exit status nobody can tell a SCons that was killed from one that failed.
    unfinished = project.folder / ".unfinished"
    if unfinished.exists():
        shutil.rmtree(project.folder / ".pio", ignore_errors=True)
    unfinished.touch()
    # A file, because PlatformIO must be able to end in order when nobody is left to read a pipe.
    said = project.folder / "platformio.log"
    with said.open("wb") as stream:
        guard = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid())]
        process = subprocess.Popen(
            # -P: the folder that tinynas was called in must not hide a Python package.
            [*guard, sys.executable, "-P", "-m", "platformio", "run", "-d", str(project.folder), *arguments],
            env=environment(core),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            pass_fds=project.locks,
            start_new_session=True,
        )
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        _end(process)
        return Outcome(succeeded=False, said=f"{_text(said)}\nended after {timeout_s:g} s")
    except BaseException:
        _end(process)
        raise
    succeeded = process.returncode == 0
    if succeeded:
        unfinished.unlink()
    return Outcome(succeeded=succeeded, said=_text(said))


def _text(said: Path) -> str:
    return said.read_text(encoding="utf-8", errors="backslashreplace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End PlatformIO with SCons and the compilers or flashers that it started; its guard does so."""
    process.terminate()
    # A flasher that the kernel cannot end keeps its guard, and so the locks.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
