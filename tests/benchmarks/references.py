"""Does a search's front dominate the networks that people made? `python tests/benchmarks/references.py CASE [DATA]`.

CASE is `keywords` (DS-CNN; DATA is a folder of clips by word, Speech Commands' test set), `fashion` (MobileNetV1 at a
quarter of the width), `residual` (ResNet-8, on Fashion-MNIST, too) or `activities` (three convolutions over time; DATA
is a pattern of CSV files, one for each recording, such as 'DATA/s*/*_sw.csv'). Speakers and subjects lie in one split.

Reference and finalists are trained by one recipe on the same data and measured on the emulated default board. The
search is told of no latency above the reference's. Of the finalists with at most half of its latency, and of all, the
one that is best on validation is compared with it on the test split.

Goal: at half the latency no worse on the test split, at equal latency one point better.
"""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from reference_networks import NETWORKS

from tinynas.api import search

SPACE = Path(__file__).with_name("reference_networks.py")
STUDIES = Path("studies")

_KEYWORDS = {
    "task": {
        "kind": "audio",
        "sample_rate_hz": 8000,
        "mel_bands": 10,
        "frame_ms": 40,
        "hop_ms": 20,
        "group_regex": "([0-9a-f]{8})_nohash_",
    },
    "space": {"name": "image"},
    "train": {"epochs": 8, "samples": None, "val_samples": None, "shift": 3},
    "final": {"epochs": 60, "patience": 60, "count": 6},
}
_IMAGES = {
    "task": {"name": "fashion_mnist"},
    "space": {"name": "image"},
    "train": {"epochs": 5, "samples": 12000, "val_samples": 3000, "flip": True},
    "final": {"epochs": 20, "patience": 20, "count": 4},
}
_ACTIVITIES = {
    "task": {"kind": "series", "window": 128, "stride": 64, "group_regex": r"(s\d\d)_"},
    "space": {"name": "series"},
    "train": {"epochs": 8, "samples": None, "val_samples": None},
    "final": {"epochs": 40, "patience": 40, "count": 6},
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "keywords": ("ds_cnn", _KEYWORDS),
    "fashion": ("mobilenet", _IMAGES),
    "residual": ("resnet", _IMAGES),
    "activities": ("cnn_1d", _ACTIVITIES),
}


def finalists(path: Path, sections: dict[str, Any]) -> list[dict[str, Any]]:
    """The front of a new study, the most accurate on validation first."""
    for old in path.parent.glob(f"{path.stem}.*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    return search(path, **sections).front()


def reference(case: str, sections: dict[str, Any]) -> dict[str, Any]:
    """The network that people made, by the same recipe."""
    name = CASES[case][0]
    place = list(NETWORKS).index(name)
    changes = {"space": {"file": str(SPACE), "fix": {"network": place}}, "search": {"budget": 1}}
    # Its first training is for nothing but the finals' sake.
    changes["train"] = {**sections["train"], "epochs": 1}
    return finalists(STUDIES / f"reference_{name}.db", {**sections, **changes})[0]


def row(name: str, network: dict[str, Any]) -> str:
    return (
        f"{name:<22} {network['accuracy_int8_test']:8.2%} {network['accuracy_int8_val']:8.2%} "
        f"{network['latency_us'] / 1000:9.3f} {network['sram_bytes']['total']:9,} {network['flash_bytes']['total']:9,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("data", nargs="?", metavar="DATA")
    parser.add_argument("--minutes", type=float, default=30.0, help="for the search, without its finalists")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    name, sections = CASES[given.case]
    if given.data is not None:
        sections["task"]["path"] = str(Path(given.data).absolute())
    made = reference(given.case, sections)
    budget = {"budget": 10_000, "time": f"{given.minutes} min", "workers": given.workers}
    limits = {"latency": made["latency_us"]}
    started = time.monotonic()
    whole = {**sections, "search": budget, "limits": limits, "estimate": {"latency": "analytic"}}
    found = finalists(STUDIES / f"beside_{name}.db", whole)
    minutes = (time.monotonic() - started) / 60

    print(f"{'':<22} {'test':>8} {'valid.':>8} {'ms':>9} {'SRAM B':>9} {'flash B':>9}")
    print(row(name, made))
    for network in found:
        print(row(f"trial {network['trial']}", network))
    for part, points in ((0.5, 0.0), (1.0, 1.0)):
        fast = [network for network in found if network["latency_us"] <= part * made["latency_us"]]
        if not fast:
            print(f"at {part:.0%} of its latency: no network")
            continue
        gain = 100 * (fast[0]["accuracy_int8_test"] - made["accuracy_int8_test"])
        verdict = "reached" if gain >= points else "not reached"
        print(f"at {part:.0%} of its latency: {gain:+.2f} points, goal {points:+.0f}: {verdict}")
    print(f"search and finalists took {minutes:.0f} minutes")


if __name__ == "__main__":
    main()
