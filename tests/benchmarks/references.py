"""Does a search's front dominate the networks that people made? `python tests/benchmarks/references.py CASE [DATA]`.

CASE is `keywords` (DS-CNN; DATA is a folder of clips by word, Speech Commands' test set), `fashion` (MobileNetV1 at a
quarter of the width), `residual` (ResNet-8, on Fashion-MNIST, too) or `activities` (three convolutions over time; DATA
is a pattern of CSV files, one for each recording, such as 'DATA/s*/*_sw.csv'). Speakers and subjects lie in one split.

Reference and finalists are trained by one recipe on the same data and measured on the emulated default board. One
search looks for the most accurate network at half of the reference's latency, a second, begun with what the first one
found, at all of it. The finalist that is best on validation is compared with the reference on the test split.

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

# Searches begin with the network that people made, in the genes nearest to it, and with stacks of plain convolutions,
# of which a multiply-accumulate takes least time.
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
    "search": {
        "start": [
            "ds_cnn",
            "image:1-16-3-1-1-0-3-24-2-2-1-0-3-32-2-2-1-0-3-48-1-2-0-0-3-8-1-2-0-0",
            "image:1-16-3-1-1-0-3-24-2-2-1-0-3-32-1-2-1-0-3-48-2-2-1-0-3-64-1-2-0-0",
        ]
    },
    "train": {"epochs": 20, "patience": 20, "samples": None, "val_samples": None, "shift": 3},
    "final": {"epochs": 60, "patience": 60, "count": 3},
}
_IMAGES = {
    "task": {"name": "fashion_mnist"},
    "space": {"name": "image"},
    "search": {
        "start": [
            "mobilenet",
            "image:1-16-3-2-1-0-3-24-2-2-1-0-3-32-1-2-0-0-3-8-1-2-0-0-3-8-1-2-0-0",
            "image:1-8-3-1-1-0-3-12-2-2-1-0-3-16-2-2-3-0-3-24-1-2-0-0-3-8-1-2-0-0",
        ]
    },
    "train": {"epochs": 6, "patience": 6, "samples": 15000, "val_samples": 6000, "flip": True, "shift": 1},
    "final": {"epochs": 30, "patience": 30, "count": 2},
}
_RESIDUAL = {
    **_IMAGES,
    "search": {
        "start": [
            "resnet",
            "image:1-12-3-1-1-0-3-16-2-2-1-0-3-24-1-2-1-0-3-32-2-2-2-0-3-48-1-2-0-0",
            "image:1-16-3-1-1-0-3-24-2-2-2-0-3-32-1-2-2-0-3-48-2-2-1-0-3-64-1-2-0-0",
        ]
    },
    "final": {"epochs": 8, "patience": 8, "count": 2},
}
_ACTIVITIES = {
    "task": {"kind": "series", "window": 128, "stride": 64, "group_regex": r"(s\d\d)_"},
    "space": {"name": "series"},
    "search": {"start": ["ds_cnn"]},
    "train": {"epochs": 8, "samples": None, "val_samples": None},
    "final": {"epochs": 40, "patience": 40, "count": 3},
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "keywords": ("ds_cnn", _KEYWORDS),
    "fashion": ("mobilenet", _IMAGES),
    "residual": ("resnet", _RESIDUAL),
    "activities": ("cnn_1d", _ACTIVITIES),
}


def best(path: Path, sections: dict[str, Any]) -> dict[str, Any]:
    """The finalist of a new study that is best on validation."""
    for old in path.parent.glob(f"{path.stem}.*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    return search(path, **sections).front()[0]


def reference(name: str, sections: dict[str, Any]) -> dict[str, Any]:
    """The network that people made, by the same recipe."""
    space = {"file": str(SPACE), "fix": {"network": list(NETWORKS).index(name)}}
    # Its first training is for nothing but the finals' sake.
    train = {**sections["train"], "epochs": 1}
    changes = {"space": space, "search": {"budget": 1}, "train": train}
    return best(STUDIES / f"reference_{name}.db", {**sections, **changes})


def found(path: Path, sections: dict[str, Any], latency_us: float, start: list[str], **search: Any) -> dict[str, Any]:
    """The most accurate network of at most this latency."""
    how = {"strategy": "local", "population": 6, "objectives": ["error"], "budget": 10_000, "start": start, **search}
    changes = {"search": how, "limits": {"latency": latency_us}, "estimate": {"latency": "analytic"}}
    return best(path, {**sections, **changes})


def row(name: str, network: dict[str, Any]) -> str:
    return (
        f"{name:<22} {network['accuracy_int8_test']:8.2%} {network['accuracy_int8_val']:8.2%} "
        f"{network['latency_us'] / 1000:9.3f} {network['sram_bytes']['total']:9,} {network['flash_bytes']['total']:9,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("data", nargs="?", metavar="DATA")
    parser.add_argument("--minutes", type=float, default=30.0, help="for both searches, without their finalists")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    name, sections = CASES[given.case]
    if given.data is not None:
        sections["task"]["path"] = str(Path(given.data).absolute())
    made = reference(name, sections)
    print(f"{'':<22} {'test':>8} {'valid.':>8} {'ms':>9} {'SRAM B':>9} {'flash B':>9}")
    print(row(name, made), flush=True)
    started, start = time.monotonic(), list(sections["search"]["start"])
    how = {"time": f"{given.minutes / 2} min", "workers": given.workers}
    for which, part, points in (("half", 0.5, 0.0), ("all", 1.0, 1.0)):
        path = STUDIES / f"beside_{name}_{which}.db"
        network = found(path, sections, part * made["latency_us"], start, **how)
        gain = 100 * (network["accuracy_int8_test"] - made["accuracy_int8_test"])
        verdict = "reached" if gain >= points else "not reached"
        print(row(f"trial {network['trial']}", network))
        print(f"at {part:.0%} of its latency: {gain:+.2f} points, goal {points:+.0f}: {verdict}", flush=True)
        start.append(str(path))
    print(f"searches and finalists took {(time.monotonic() - started) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
