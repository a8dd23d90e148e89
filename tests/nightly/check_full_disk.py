"""Searches whose disk fails: `python tests/nightly/check_full_disk.py`, and `--help` for smaller numbers.

A study is searched undisturbed, and the calls are counted that change files in its folder. Then a search is run for
each of some of these calls, spread evenly, in which the disk is full from that one on, or broken at it. Ends with 1
unless it stops with exit code 4 and names the next command, or does without what failed, the study is readable, and
ends as the undisturbed one when it is gone on with. `tests/study/test_full_disk.py` does so at every call of a short
study.
"""

import argparse
import errno
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))
import lives

CONFIG = """
[task]
name = "digits"
[space]
name = "mlp"
[search]
budget = 3
population = 2
workers = 1
[train]
epochs = 1
samples = 200
val_samples = 100
[final]
count = 1
epochs = 1
qat_points = 100
"""
LAYER = Path(__file__).parents[1] / "study" / "failing_files.c"


class Searches:
    """Searches of one study, each in a folder of its own, with a file layer that may fail."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._library, self._config = scratch / "failing_files.so", scratch / "study.toml"
        self._home = scratch / "home"
        self._config.write_text(CONFIG)
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self._library, LAYER, "-ldl"], check=True)

    def search(self, name: str, call: int, error: int) -> tuple[Path, int, str]:
        """The study, how a search of it ended whose disk fails at a call (0: at none), and what it said."""
        path = self._scratch / name / "a study.db"
        path.parent.mkdir()
        process = lives.tinynas(
            *("search", "--config", str(self._config), "--study", str(path)),
            TINYNAS_HOME=str(self._home),
            LD_PRELOAD=str(self._library),
            FAILING_FOLDER=str(path.parent),
            FAILING_CALL=str(call),
            FAILING_ERROR=str(error),
            FAILING_COUNT=str(self._scratch / "calls"),
        )
        _, said = process.communicate(timeout=600)
        return path, process.returncode, said

    def undisturbed(self) -> tuple[lives.Found, int]:
        """What the study ends with, and how many calls it takes."""
        path, code, said = self.search("undisturbed", 0, 0)
        if code:
            raise RuntimeError(said)
        return lives.found(path), int((self._scratch / "calls").read_text())

    def resume(self, path: Path) -> lives.Found:
        """What it ends with once the disk is in order."""
        command = (
            ("resume", str(path)) if path.exists() else ("search", "--config", str(self._config), "--study", str(path))
        )
        lives.finish(lives.tinynas(*command, TINYNAS_HOME=str(self._home)))
        return lives.found(path)


def check(searches: Searches, name: str, samples: int, expected: lives.Found, calls: int) -> bool:
    """Whether a study whose disk fails in this way ends as the undisturbed one."""
    fine, stopped = True, 0
    for index in range(samples):
        call = 1 + index * (calls - 1) // max(samples - 1, 1)
        path, code, said = searches.search(f"{name}-{call}", call, getattr(errno, name))
        last = said.strip().splitlines()[-1] if said.strip() else ""
        orderly = code == 0 or (code == 4 and ("tinynas resume" in last or "start the search again" in last))
        kept = lives.judged(path)
        same = searches.resume(path) == expected
        stopped += code == 4
        if not (orderly and same):
            fine = False
            print(
                f"{name} at call {call}: ended with {code}, {kept} verdicts kept, same end: {same}: {last}", flush=True
            )
    print(
        f"{name} at {samples} of {calls} calls: {stopped} searches stopped with the next command, "
        f"{'all' if fine else 'not all'} resumed to {expected.digest[:16]}",
        flush=True,
    )
    return fine


def main() -> int:
    """Run all checks and print their counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8, help="searches for each way to fail")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        searches = Searches(Path(scratch))
        expected, calls = searches.undisturbed()
        fine = [check(searches, name, arguments.samples, expected, calls) for name in ("ENOSPC", "EIO")]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
