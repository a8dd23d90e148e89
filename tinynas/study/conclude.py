"""What stands at the end of a search: the report, and networks exported from a study or a file."""

from pathlib import Path
from typing import Any

from tinynas.errors import ConfigError
from tinynas.study.export import Provenance, export
from tinynas.study.report import write_report
from tinynas.study.single import read_inputs, read_model, reference, tflm_arena_bytes
from tinynas.study.store import Store
from tinynas.study.summary import front


def conclude(path: Path) -> dict[str, Path]:
    """Write the report and export the most accurate network as a C library, beside the study."""
    page, folder = path.with_suffix(".html"), path.with_suffix(".export")
    with Store.open_to_read(path) as store:
        write_report(store, page)
    export_trial(path, None, to="c", folder=folder, name="network", force=True)
    return {"report": page, "exported": folder}
