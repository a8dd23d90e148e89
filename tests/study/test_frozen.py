"""Studies that earlier versions wrote, `frozen/`, named by their days: two trials and a finalist of digits and mlp."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tinynas.errors import ConfigError, StoreError
from tinynas.space.registry import load_space
from tinynas.study.reading import read_study
from tinynas.study.report import write_report
from tinynas.study.run import _require_same
from tinynas.study.start import starting_genomes
from tinynas.study.store import Store
from tinynas.study.summary import config_of, describe_trial, summary

FROZEN = Path(__file__).parent / "frozen"


@pytest.fixture(params=["2026-11-23", "2026-11-24"])
def path(request, tmp_path):
    """A copy: a writer changes the file's mode."""
    return Path(shutil.copy(FROZEN / f"{request.param}.db", tmp_path))


def test_it_is_shown_reported_and_begun_with(path):
    with Store.open_to_read(path) as store:
        found, study = summary(store), read_study(store)
        assert (found["evaluated"], found["trained"], found["finished"]) == (2, 2, True)
        assert all(point["latency_us"] > 0 and point["accuracy_int8_test"] > 0 for point in found["front"])
        assert len(study.finalists) == 1
        assert describe_trial(store, 1)["genome"] == store.trials()[1].genome
        write_report(store, path.with_suffix(".html"))
    assert starting_genomes((str(path),), load_space("mlp", None))


def test_it_is_gone_on_with_where_boards_and_firmware_are_the_same(path):
    with Store.open_to_write(path) as store:
        names = ("board", "task", "space", "validity", "bounds", "estimate", "also")
        now = {name: store.fact(name) for name in names}
        _require_same(store, now)
        assert config_of(store).search.budget == 2
        newer = {**now, "validity": {**now["validity"], "firmware": "another"}}
        with pytest.raises(ConfigError, match=r"its validity is firmware \w+ and is now firmware another"):
            _require_same(store, newer)


@pytest.mark.parametrize("schema", [0, 2])
def test_another_schema_is_refused_with_both_numbers(path, schema):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema}")
    for opened in (Store.open_to_read, Store.open_to_write):
        with pytest.raises(StoreError, match=f"has schema {schema}, this tinynas reads 1"):
            opened(path)
