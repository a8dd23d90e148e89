"""A calibration is untrusted, and holds for one board, clock, toolchain, set of flags and firmware."""

import json
from dataclasses import replace

import pytest
from calibrations import VALIDITY, calibration

from tinynas.errors import ConfigError
from tinynas.estimate.calibration import read_calibration, require_valid


def changed(change):
    """The text of a calibration whose first network was changed."""
    record = json.loads(calibration(3, held_out=0).model_dump_json())
    change(record, record["networks"][0])
    return json.dumps(record)


HOSTILE = {
    "no JSON": "\x80\x04\x95",
    "not an object": "[1, 2]",
    "nested without end": "[" * 100_000,
    "of a later format": changed(lambda record, _: record.update(format=2)),
    "an unknown field": changed(lambda record, _: record.update(code="import os")),
    "no validity": changed(lambda record, _: record.pop("validity")),
    "negative cycles": changed(lambda _, network: network["layers"][0].update(cycles=-1)),
    "text for a number": changed(lambda _, network: network.update(cycles="__import__('os')")),
    "a count that is no number": changed(lambda _, network: network["layers"][0]["counts"].update(rows=float("nan"))),
    "a count beyond all bounds": changed(lambda _, network: network["layers"][0]["counts"].update(rows=1e300)),
    "a kind that is a path": changed(lambda _, network: network["layers"][0].update(kind="../../etc/passwd")),
    "no layers": changed(lambda _, network: network.update(layers=[])),
    "a latency of nothing": changed(lambda _, network: network.update(latency_us=0.0)),
    "a family that counts other loops": changed(lambda _, network: network["layers"][0].update(counts={"rows": 1.0})),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_content_is_refused(name, tmp_path):
    path = tmp_path / "board.json"
    path.write_text(HOSTILE[name], encoding="latin-1")
    with pytest.raises(ConfigError, match="is damaged or of another version"):
        read_calibration(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_calibration(tmp_path / "board.json")


def test_what_is_written_is_read_again(tmp_path):
    path, written = tmp_path / "board.json", calibration(3, held_out=2)
    path.write_text(written.model_dump_json(), encoding="utf-8")
    assert read_calibration(path) == written


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("board", "c", "run tinynas calibrate --board"),
        ("clock_hz", 5, r"leave out \[board\] clock"),
        ("toolchain", "gcc 2", "run tinynas calibrate --board"),
        ("flags", "-Os", "run tinynas calibrate --board"),
        ("firmware", "0" * 64, "run tinynas calibrate --board"),
    ],
)
def test_a_calibration_of_another_validity_is_refused(name, value, remedy, tmp_path):
    with pytest.raises(ConfigError, match=f"holds for {name} .*{remedy}"):
        require_valid(calibration(3), replace(VALIDITY, **{name: value}), tmp_path)
    require_valid(calibration(3), VALIDITY, tmp_path)
