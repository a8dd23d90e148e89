"""The store's invariants, on real files."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tinynas.cost import Cost, Flash, Sram, Validity
from tinynas.errors import ConfigError, StoreError
from tinynas.study.store import Finalist, Store, Trial

COST = Cost(
    latency_us=1234.5,
    latency_source="emulated",
    latency_iqr_us=0.5,
    repeats=3,
    instructions=207_396,
    cycles=180_000,
    wait_cycles=27_396,
    sram=Sram(static=0, arena=4096, stack=312),
    sram_source="emulated",
    flash=Flash(code=8000, constants=20_000, image=34_000),
    flash_source="emulated",
    energy_uj=400.0,
    energy_source="estimated",
    energy_basis="datasheet",
    validity=Validity(board="b", clock_hz=168_000_000, toolchain="gcc", flags="-O2", firmware="f"),
)
TRIAL = Trial(
    number=0,
    genome="mlp:1-2",
    state="complete",
    violation=0.0,
    accuracy_int8_val=0.875,
    cost=COST,
    layers=({"op": "CONV_2D"},),
    seconds={"train": 1.5},
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a study.db"


@pytest.fixture
def store(path):
    with Store.create(path, {"seed": 7}) as store:
        yield store


def test_what_is_written_is_read_back(store):
    store.add_trial(TRIAL, {"model.tflite": b"\0abc"})
    finalist = Finalist(
        trial=0,
        method="qat",
        accuracy_float_val=0.9,
        accuracy_ptq_val=0.88,
        accuracy_int8_val=0.89,
        epochs=9,
        cost=COST,
    )
    store.put_finalist(finalist, {"final.tflite": b"final"})
    store.put_finalist(replace(finalist, accuracy_int8_test=0.91), {})
    assert store.trials() == [TRIAL]
    assert store.finalists() == [replace(finalist, accuracy_int8_test=0.91)]
    assert store.artifact(0, "model.tflite") == b"\0abc"
    assert store.artifact(0, "final.tflite") == b"final"
    assert store.artifact(1, "model.tflite") is None
    assert (store.fact("seed"), store.fact("absent")) == (7, None)


def test_a_genome_has_at_most_one_trial_and_a_refused_trial_leaves_no_artifact(store):
    store.add_trial(TRIAL, {})
    with pytest.raises(StoreError, match="UNIQUE"):
        store.add_trial(replace(TRIAL, number=1), {"model.tflite": b"x"})
    assert store.artifact(1, "model.tflite") is None


def test_an_existing_study_is_not_overwritten(store, path):
    with pytest.raises(ConfigError, match="tinynas resume"):
        Store.create(path, {})


def test_a_missing_study_is_a_configuration_error(path):
    with pytest.raises(ConfigError, match="does not exist"):
        Store.open_to_read(path)


def test_a_second_writer_is_refused_with_the_first_ones_process(store, path):
    with pytest.raises(StoreError, match=f"process {os.getpid()} on "):
        Store.open_to_write(path)


def test_a_reader_sees_verdicts_while_the_writer_is_open(store, path):
    with Store.open_to_read(path) as reader:
        assert reader.trials() == []
        store.add_trial(TRIAL, {})
        assert reader.trials() == [TRIAL]


def test_a_reader_cannot_write(store, path):
    with Store.open_to_read(path) as reader, pytest.raises(StoreError, match="readonly"):
        reader.set_fact("seed", 8)


# Mounts a folder once more, read-only and for its own children alone, and runs a command.
READ_ONLY = """
mount --bind "$1" "$2" && mount -o remount,ro,bind "$2" || exit 77
shift 2
exec "$@"
"""
READ = """
import sys
from pathlib import Path
from tinynas.study.store import Store
with Store.open_to_read(Path(sys.argv[1])) as store:
    print([trial.genome for trial in store.trials()])
"""


@pytest.mark.parametrize("killed", [False, True])
def test_a_study_on_a_disk_that_cannot_be_written_is_read(path, tmp_path, killed):
    folder, mounted = tmp_path / "studies", tmp_path / "mounted"
    folder.mkdir()
    mounted.mkdir()
    with Store.create(path, {"seed": 7}) as store:
        store.add_trial(TRIAL, {})
        if killed:
            # As a search leaves it that is killed: the trial is in the log, which lies beside it.
            for each in tmp_path.glob(f"{path.name}*"):
                shutil.copy(each, folder)
    if not killed:
        shutil.copy(path, folder)
    read = [sys.executable, "-c", READ, str(mounted / path.name)]
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh", str(folder), str(mounted)]
    try:
        found = subprocess.run([*unshare, *read], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if found.returncode == 77 or "unshare:" in found.stderr:
        pytest.skip(f"this machine mounts nothing for us: {found.stderr}")
    assert found.stdout == f"['{TRIAL.genome}']\n", found.stderr


def test_another_schema_is_refused_by_number(store, path):
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="schema 99"):
        Store.open_to_read(path)


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + bytes(4000)])
def test_a_file_that_is_no_study_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(StoreError):
        Store.open_to_read(path)


def rewrite(store, path, change):
    """Let `change` edit the record of the only trial as another version of tinynas would have written it."""
    store.add_trial(TRIAL, {})
    store.close()
    record = TRIAL.to_json()
    change(record)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE trials SET record = ?", (json.dumps(record),))
    connection.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda record: record.update(colour="red"),
            "does not know, colour: use the tinynas that wrote",
        ),
        (lambda record: record.pop("genome"), "genome"),
        (lambda record: record.update(also_cost=[1]), "damaged"),
    ],
)
def test_a_record_with_foreign_or_missing_fields_is_refused(store, path, change, message):
    rewrite(store, path, change)
    with Store.open_to_read(path) as reader, pytest.raises(StoreError, match=message):
        reader.trials()


def test_a_record_from_before_there_were_further_boards_is_read(store, path):
    rewrite(store, path, lambda record: [record.pop(name) for name in ("also_cost", "also_estimate")])
    with Store.open_to_read(path) as reader:
        assert reader.trials() == [TRIAL]


def test_costs_on_further_boards_are_read_back(store):
    further = replace(COST, latency_us=99.0)
    trial = replace(TRIAL, also_cost={"other": further}, also_estimate={"other": COST})
    finalist = Finalist(
        trial=0,
        method="ptq",
        accuracy_float_val=0.9,
        accuracy_ptq_val=0.9,
        accuracy_int8_val=0.9,
        epochs=1,
        cost=COST,
        also_cost={"other": further},
    )
    store.add_trial(trial, {})
    store.put_finalist(finalist, {})
    assert store.trials() == [trial]
    assert store.finalists() == [finalist]


def test_a_full_disk_names_the_next_command_and_keeps_what_was_judged(store):
    store.add_trial(TRIAL, {})
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match=r"disk is full.*tinynas resume"):
        store.add_trial(replace(TRIAL, number=1, genome="mlp:2"), {"model.tflite": bytes(100_000)})
    assert store.trials() == [TRIAL]


def test_killed_writers_lose_no_acknowledged_trial_and_leave_no_unreadable_store(tmp_path):
    killed_writer = Path(__file__).parent / "killed_writer.py"
    ended = subprocess.run(
        [sys.executable, str(killed_writer), str(tmp_path), "40", "1"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counts = json.loads(ended.stdout)
    assert counts["kills"] == 40
    assert counts["acknowledged"] > 40
