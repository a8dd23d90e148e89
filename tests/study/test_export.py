"""Exports of every form: what they refuse, what they write, and that they write it whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tinynas.cost import Cost, Flash, Sram
from tinynas.errors import ConfigError, InfrastructureError, MalformedModelError
from tinynas.study.export import FORMS, MANIFEST, Provenance, export

HOSTILE = "x */ | `rm` <script>\n# owned"


def test_the_readme_tells_memory_cost_and_where_each_figure_comes_from(digits_network, tmp_path, exported):
    cost = Cost(
        latency_us=1234.0,
        latency_source="emulated",
        sram=Sram(static=0, arena=2048, stack=300),
        sram_source="emulated",
        flash=Flash(code=4000, constants=900),
        flash_source="emulated",
        energy_uj=160.0,
        energy_source="estimated",
        energy_basis="datasheet, table 20",
    )
    provenance = Provenance(
        origin="trial 3 of study digits",
        task="digits",
        board="netduinoplus2",
        class_names=("zero", "one"),
        accuracy_int8_val=0.912,
        accuracy_int8_test=0.905,
        cost=cost,
    )
    for to in ("c", "tflm"):
        written = exported(digits_network, tmp_path / to, to, provenance)
        text = (tmp_path / to / "README.md").read_text()
        assert "| Latency | 1.23 ms | emulated |" in text
        assert "| Energy | 160.0 µJ | estimated |" in text
        assert "datasheet, table 20" in text
        assert "91.2 % on the validation split, 90.5 % on the test split" in text
        assert f"{written['arena_bytes']:,} B" in text
        assert "0 = zero, 1 = one." in text


def test_texts_of_a_study_stay_text(digits_network, tmp_path, exported):
    provenance = Provenance(origin=HOSTILE, task=HOSTILE, board=HOSTILE, genome=HOSTILE, class_names=(HOSTILE,))
    for to in ("c", "tflm"):
        exported(digits_network, tmp_path / to, to, provenance)
        for path in (tmp_path / to).rglob("*"):
            if path.is_file() and path.name != MANIFEST:
                assert "owned" not in path.read_text() or path.name == "README.md"
        assert "\n# owned" not in (tmp_path / to / "README.md").read_text()
        assert "<script>" not in (tmp_path / to / "README.md").read_text()


def test_an_unknown_form_suggests_the_nearest_one(digits_network, tmp_path, exported):
    with pytest.raises(ConfigError, match="did you mean tflm"):
        exported(digits_network, tmp_path / "out", "tfml")


@pytest.mark.parametrize("name", ["Net", "1st", "a-b", "", "a" * 60, "x;y", "../x"])
def test_a_name_that_is_no_identifier_is_refused_and_nothing_is_written(digits_network, tmp_path, name, exported):
    with pytest.raises(ConfigError, match="cannot name a network"):
        exported(digits_network, tmp_path / "out", "c", name=name)
    assert not list(tmp_path.iterdir())


def test_a_foreign_folder_is_never_replaced_and_an_export_only_with_force(digits_network, tmp_path, exported):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(ConfigError, match="no export wrote"):
            exported(digits_network, tmp_path / "home", "c", force=force)
    (tmp_path / "empty").mkdir()
    exported(digits_network, tmp_path / "empty", "c")
    with pytest.raises(ConfigError, match="--force"):
        exported(digits_network, tmp_path / "empty", "tflm")
    exported(digits_network, tmp_path / "empty", "tflm", force=True)
    assert (tmp_path / "empty" / "network_model.cc").is_file()
    assert not (tmp_path / "empty" / "src").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "home"]


def test_a_file_in_the_way_is_refused(digits_network, tmp_path, exported):
    (tmp_path / "out").write_text("x")
    with pytest.raises(ConfigError, match="is a file"):
        exported(digits_network, tmp_path / "out", "c", force=True)


def test_a_failing_disk_leaves_the_earlier_export_and_no_draft(digits_network, tmp_path, monkeypatch, exported):
    exported(digits_network, tmp_path / "out", "c")
    before = (tmp_path / "out" / MANIFEST).read_bytes()
    write = Path.write_bytes

    def full(path, content):
        if path.name == "README.md":
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InfrastructureError, match="No space left"):
        exported(digits_network, tmp_path / "out", "tflm", force=True)
    assert (tmp_path / "out" / MANIFEST).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_manifest_lists_every_file(digits_network, tmp_path, exported):
    for to in ("c", "tflm"):
        written = exported(digits_network, tmp_path / to, to)
        on_disk = sorted(str(path.relative_to(tmp_path / to)) for path in (tmp_path / to).rglob("*") if path.is_file())
        assert written["files"] == on_disk
        record = json.loads((tmp_path / to / MANIFEST).read_text())
        assert sorted([*record["files"], MANIFEST]) == on_disk


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 0), (65, 10), (64, 20)])
def test_a_vector_of_the_wrong_size_is_refused_with_both_sizes(digits_network, tmp_path, inputs, outputs):
    with pytest.raises(ConfigError, match=f"{inputs} B of inputs and {outputs} B of outputs"):
        export(
            digits_network.tflite,
            to="c",
            folder=tmp_path / "out",
            inputs=bytes(inputs),
            outputs=bytes(outputs),
            provenance=Provenance(origin="a test"),
        )


@pytest.mark.parametrize("to", FORMS)
def test_bytes_that_are_no_model_are_refused(digits_network, to, tmp_path, exported):
    network = replace(digits_network, tflite=b"nothing")
    with pytest.raises((MalformedModelError, ConfigError)):
        exported(network, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


def test_a_platformio_export_without_a_board_is_refused(digits_network, tmp_path, exported):
    with pytest.raises(ConfigError, match="needs a board"):
        exported(digits_network, tmp_path / "out", "platformio")
