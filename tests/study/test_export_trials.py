"""Trials of a study as tables and as a study of Optuna: every figure is there, and others read the same front."""

import csv
import json
import random
from dataclasses import replace

import optuna
import pyarrow.parquet
import pytest

from tinynas.config import Config
from tinynas.cost import Cost, Flash, Sram, Validity
from tinynas.errors import ConfigError, InfrastructureError, StoreError
from tinynas.study.export import require_form
from tinynas.study.export_trials import export_trials
from tinynas.study.store import Finalist, Store, Trial
from tinynas.study.summary import search_front
from tinynas.study.trial_table import read_trial_table

MAIN, FURTHER = "netduinoplus2", "mps2_an386"
FACTS = {
    "config": Config().model_dump(mode="json"),
    "board": MAIN,
    "task": {
        "name": "digits",
        "input_shape": [8, 8, 1],
        "class_names": ["0", "1"],
        "digest": "0" * 64,
        "source": "scikit-learn",
        "sizes": [1000, 400, 397],
    },
    "space": {
        "name": "mlp",
        "axes": [{"name": "depth", "choices": [0, 1, 2]}, {"name": "units", "choices": list(range(100))}],
    },
    "seed": 3,
    "bounds": {"latency_us": 2000.0, "sram_bytes": 9000.0},
    "tinynas": "0.1.0",
    "finished": False,
}


def cost_on(board, latency_us, arena):
    return Cost(
        latency_us=latency_us,
        latency_source="emulated",
        latency_iqr_us=0.5,
        instructions=1000,
        cycles=1200,
        wait_cycles=30,
        sram=Sram(static=4, arena=arena, stack=100),
        sram_source="emulated",
        flash=Flash(code=5000, constants=3000),
        flash_source="emulated",
        energy_uj=latency_us * 0.1,
        energy_source="estimated",
        validity=Validity(board=board, clock_hz=168_000_000, toolchain="gcc", flags="-O2", firmware="f"),
    )


def trials_of(count):
    """Two in five are refused, one of them before it was built, or went wrong."""
    draw = random.Random(5)
    for number in range(count):
        cost = cost_on(MAIN, draw.uniform(100, 2000), draw.randrange(500, 8000))
        bound = Cost(latency_us=90.0, latency_source="estimated")
        seconds = {"convert": 1.0, "measure": 0.5}
        trial = Trial(number=number, genome=f"mlp:{number % 3}-{number}", state="failed", estimate=bound)
        trial = replace(trial, seconds=seconds, finished_at=1_800_000_000.0 + number)
        if number % 5 == 3:
            yield replace(trial, state="infeasible", stage="limits", reason="needs 1, at most 0", violation=0.5)
        elif number % 5 == 4:
            yield replace(trial, stage="verify", reason='3 bytes "differ",\nfirst 0')
        else:
            accuracy = round(draw.uniform(0.5, 0.95), 4)
            yield replace(
                trial,
                state="complete",
                violation=0.0,
                cost=cost,
                accuracy_int8_val=accuracy,
                accuracy_float_val=accuracy + 0.01,
                epochs=2,
                curve=(accuracy - 0.1, accuracy),
                deployment={"optimize": "speed", "fast_bytes": 0, "clock_hz": None},
                seconds={**seconds, "train": 3.25},
            )


def finalist_of(trial):
    return Finalist(
        trial=trial.number,
        method="qat",
        accuracy_float_val=0.9,
        accuracy_ptq_val=0.88,
        accuracy_int8_val=0.89,
        accuracy_int8_test=0.87,
        epochs=9,
        cost=replace(trial.cost, latency_us=1234.5),
        seconds={"train": 30.0},
    )


@pytest.fixture
def make(tmp_path):
    """Write a study, whose first complete trial is a finalist."""

    def write(trials, facts=FACTS):
        trials = list(trials)
        with Store.create(tmp_path / "a study.db", facts) as store:
            for trial in trials:
                store.add_trial(trial, {})
            for trial in [trial for trial in trials if trial.state == "complete"][:1]:
                store.put_finalist(finalist_of(trial), {})
        return tmp_path / "a study.db"

    return write


def test_a_csv_table_has_a_row_for_each_trial_with_genes_verdicts_costs_and_sources(make, tmp_path):
    study = make(trials_of(20))
    written = export_trials(study, to="csv")
    assert written["file"] == str(tmp_path / "a study.csv")
    with (tmp_path / "a study.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (written["trials"], written["columns"]) == (20, len(rows[0]))
    trials = list(trials_of(20))
    for row, trial in zip(rows, trials, strict=True):
        assert (row["number"], row["state"], row["reason"]) == (str(trial.number), trial.state, trial.reason or "")
        assert (row["gene_depth"], row["gene_units"]) == (str(trial.number % 3), str(trial.number))
        assert float(row["estimate_latency_us"]) == 90.0
        if trial.cost is None:
            assert {row["latency_us"], row["latency_source"], row["accuracy_int8_val"], row["train_s"]} == {""}
            continue
        assert (float(row["latency_us"]), row["latency_source"]) == (trial.cost.latency_us, "emulated")
        assert int(row["sram_bytes"]) == trial.cost.sram.total == int(row["sram_arena_bytes"]) + 104
        assert (row["energy_source"], row["deployment_optimize"]) == ("estimated", "speed")
        assert (float(row["accuracy_int8_val"]), row["train_s"]) == (trial.accuracy_int8_val, "3.25")
    final = [row for row in rows if row["final_method"]]
    assert [(row["number"], row["final_accuracy_int8_test"], row["final_latency_us"]) for row in final] == [
        ("0", "0.87", "1234.5")
    ]
    chosen = {point.trial.number for point in search_front(trials, ("error", "latency_us"))}
    assert {int(row["number"]) for row in rows if row["on_front"] == "true"} == chosen


def test_a_parquet_table_has_the_same_cells_with_types(make, tmp_path):
    study = make(trials_of(20))
    export_trials(study, to="parquet", path=tmp_path / "t.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "t.parquet")
    with Store.open_to_read(study) as store:
        assert found.to_pylist() == read_trial_table(store).rows
    types = {name: str(found.schema.field(name).type) for name in ("gene_units", "on_front", "train_s", "final_method")}
    assert types == {"gene_units": "int64", "on_front": "bool", "train_s": "double", "final_method": "string"}


def test_on_several_boards_each_has_columns_beside_the_worst(make, tmp_path):
    trials = [
        replace(trial, also_cost={FURTHER: cost_on(FURTHER, 5000.0, 100)})
        for trial in trials_of(5)
        if trial.state == "complete"
    ]
    further = {"validity": trials[0].also_cost[FURTHER].validity.__dict__, "estimate": None}
    config = Config.model_validate({"also": {FURTHER: {}}}).model_dump(mode="json")
    study = make(trials, {**FACTS, "config": config, "also": {FURTHER: further}, "bounds": {}})
    export_trials(study, to="parquet", path=tmp_path / "t.parquet")
    for row, trial in zip(pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pylist(), trials, strict=True):
        assert row["latency_us"] == row[f"latency_us@{FURTHER}"] == 5000.0
        assert row[f"latency_us@{MAIN}"] == trial.cost.latency_us
        assert row["sram_bytes"] == row[f"sram_bytes@{MAIN}"] > row[f"sram_bytes@{FURTHER}"]
        assert row[f"clock_hz@{FURTHER}"] == 168_000_000


@pytest.mark.parametrize("to", ["csv", "parquet", "optuna"])
def test_a_study_without_a_trial_has_columns_and_no_row(make, to):
    study = make([])
    written = export_trials(study, to=to)
    assert written["trials"] == 0
    if to == "csv":
        assert study.with_suffix(".csv").read_text().startswith("number,genome,gene_depth,gene_units,state,")


@pytest.mark.parametrize("objectives", [("error", "latency_us"), ("error",)])
def test_optuna_finds_the_front_that_the_search_found_and_its_tools_take_the_study(make, objectives):
    config = Config.model_validate({"search": {"objectives": objectives}}).model_dump(mode="json")
    trials = list(trials_of(20))
    written = export_trials(make(trials, {**FACTS, "config": config}), to="optuna")
    study = optuna.load_study(study_name="a study", storage=f"sqlite:///{written['file']}")
    chosen = [point.trial.number for point in search_front(trials, objectives)]
    assert sorted(trial.user_attrs["number"] for trial in study.best_trials) == sorted(chosen)
    assert study.metric_names == list(objectives)
    assert study.user_attrs["bounds"] == FACTS["bounds"]
    if len(objectives) == 2:
        assert len(chosen) > 1
        assert sum(len(trace.x) for trace in optuna.visualization.plot_pareto_front(study).data) == 12
    else:
        assert optuna.importance.get_param_importances(study).keys() == {"depth", "units"}


def test_optuna_has_genes_states_reasons_constraints_and_learning_curves(make):
    trials = list(trials_of(10))
    written = export_trials(make(trials), to="optuna")
    found = optuna.load_study(study_name="a study", storage=f"sqlite:///{written['file']}").trials
    states = {"complete": "COMPLETE", "infeasible": "PRUNED", "failed": "FAIL"}
    for each, trial in zip(found, trials, strict=True):
        assert each.state.name == states[trial.state]
        assert each.params == {"depth": trial.number % 3, "units": trial.number}
        assert each.user_attrs.get("reason") == trial.reason
        assert each.datetime_complete.timestamp() == pytest.approx(trial.finished_at)
        assert each.duration.total_seconds() == pytest.approx(sum(trial.seconds.values()))
    first = trials[0]
    assert found[0].values == [1 - first.accuracy_int8_val, first.cost.latency_us]
    assert found[0].constraints["latency_us"] == pytest.approx(first.cost.latency_us / 2000 - 1)
    assert found[0].intermediate_values == pytest.approx({1: 1 - first.curve[0], 2: 1 - first.curve[1]})
    assert found[0].user_attrs["final_accuracy_int8_test"] == 0.87


def test_what_is_there_is_replaced_only_by_force_and_nothing_half_written_stays(make, tmp_path):
    study = make(trials_of(3))
    target = tmp_path / "t.csv"
    target.write_text("precious")
    with pytest.raises(ConfigError, match="there already"):
        export_trials(study, to="csv", path=target)
    assert target.read_text() == "precious"
    export_trials(study, to="csv", path=target, force=True)
    assert target.read_text().startswith("number,")
    with pytest.raises(ConfigError, match="there already"):
        export_trials(study, to="csv", path=study, force=True)
    with pytest.raises(InfrastructureError, match="cannot be written"):
        export_trials(study, to="csv", path=target / "inside.csv")
    assert sorted(path.name for path in tmp_path.iterdir() if "t.csv" in path.name or ".inside" in path.name) == [
        "t.csv"
    ]


@pytest.mark.parametrize("to", ["csv", "parquet", "optuna"])
@pytest.mark.parametrize(
    "changes",
    [
        {"genome": "mlp:1"},
        {"genome": "mlp:9-1"},
        {"genome": "<script>"},
        {"cost": replace(cost_on(MAIN, 5.0, 1), instructions=1 << 70)},
        {"deployment": {"fast_bytes": "many"}},
    ],
)
def test_a_damaged_trial_is_refused_or_stays_text(make, tmp_path, changes, to):
    study = make([replace(next(trials_of(1)), **changes)])
    target = tmp_path / "out"
    if "genome" in changes or to == "parquet":
        with pytest.raises(StoreError, match="damaged"):
            export_trials(study, to=to, path=target)
        assert not target.exists()
    else:
        export_trials(study, to=to, path=target)
        assert str(1 << 70) in target.read_text(errors="replace") or "many" in target.read_text(errors="replace")


def test_axes_of_one_name_are_refused(make):
    axes = [{"name": "depth", "choices": [0]}, {"name": "depth", "choices": [0]}]
    study = make([], {**FACTS, "space": {"name": "mlp", "axes": axes}})
    with pytest.raises(StoreError, match="one name"):
        export_trials(study, to="csv")


def test_unknown_forms_and_missing_packages_are_named(make, monkeypatch):
    study = make([])
    with pytest.raises(ConfigError, match="did you mean parquet"):
        export_trials(study, to="parquett")
    with pytest.raises(ConfigError, match="takes the trials of a study"):
        require_form("csv")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs pyarrow: pip install 'tinynas\[parquet\]'"):
        export_trials(study, to="parquet")


def test_the_command_line_exports_trials_and_refuses_what_one_network_takes(make, tmp_path, capsys, monkeypatch):
    from tinynas import cli

    study = make(trials_of(3))
    for arguments, code in ((["--to", "csv", "--json"], 0), (["2", "--to", "csv"], 2), (["--to", "optuna"], 0)):
        monkeypatch.setattr("sys.argv", ["tinynas", "export", str(study), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
    shown = capsys.readouterr()
    assert json.loads(shown.out.partition("}")[0] + "}")["trials"] == 3
    assert "leave a trial out" in shown.err
    assert {path.name for path in tmp_path.iterdir()} >= {"a study.csv", "a study.optuna.sqlite3"}
