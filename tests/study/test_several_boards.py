"""A study on several boards: each one's limits apply, and its costs are kept apart. What boards say is made up."""

from types import SimpleNamespace

import numpy as np
import pytest
from benchmark_networks import classifier

from tinynas.boards import load_board
from tinynas.config import TaskSection, load_config
from tinynas.cost import Cost, Costs, Flash, Sram, Validity
from tinynas.errors import ConfigError, WrongOutputError
from tinynas.search.fitness import fitness
from tinynas.space.genome import smallest
from tinynas.space.registry import load_space
from tinynas.study import evaluate, session, testbed
from tinynas.study.lab import open_lab
from tinynas.study.work import Quantized, TaskFacts, Trained, Vectors

MAIN, FURTHER = "netduinoplus2", "mps2_an386"
SPACE = load_space("mlp", None)
GENOME = smallest(SPACE)
TASK = TaskFacts(
    name="t", input_shape=(8, 8, 1), class_names=tuple("0123456789"), digest="", source="", sizes=(1, 1, 1)
)


def cost_on(board, latency_us, source="emulated"):
    return Cost(
        latency_us=latency_us,
        latency_source=source,
        sram=Sram(static=0, arena=500, stack=None),
        flash=Flash(code=100, constants=2000),
        validity=Validity(board=board, clock_hz=1, toolchain="", flags="", firmware=""),
    )


class Children:
    """Converts and trains without doing so."""

    def call(self, what, timeout_s, function, *args):
        tflite = classifier(64, 10)
        vectors = Vectors(inputs=np.zeros((1, 64), np.int8), outputs=np.zeros((1, 10), np.int8))
        if function.__name__ == "convert_untrained":
            return Quantized(tflite=tflite, vectors=vectors)
        return Trained(
            tflite=tflite,
            vectors=vectors,
            method="ptq",
            accuracy_float_val=0.75,
            accuracy_ptq_val=0.75,
            accuracy_int8_val=0.75,
            epochs=1,
            curve=(0.75,),
            stopped=False,
            seconds={},
        )


@pytest.fixture
def boards(monkeypatch):
    """What the boards say: a cost or an error by board, and which of them were asked."""
    says = {MAIN: cost_on(MAIN, 100.0), FURTHER: cost_on(FURTHER, 700.0)}
    asked = []

    def measured_cost(lab, compiled, watch):
        board = compiled.testbed.board.name
        asked.append(board)
        if isinstance(says[board], Exception):
            raise says[board]
        return says[board]

    monkeypatch.setattr(evaluate, "measured_cost", measured_cost)
    return SimpleNamespace(says=says, asked=asked)


def open_lab_with(bounds):
    testbeds = [
        testbed.Testbed(board=load_board(name), pool=None, gathering=None, validity=None, also=also)
        for name, also in ((MAIN, None), (FURTHER, FURTHER))
    ]
    return testbed.Lab(
        config=load_config(None, {"also": {FURTHER: {}}}),
        testbeds=tuple(testbeds),
        space=SPACE,
        task=TASK,
        data=TaskSection(),
        crew=Children(),
        workshop=None,
        cache=None,
        bounds=bounds,
        places=testbed.Places(training=1, boards=2),
    )


def judge(bounds):
    lab = open_lab_with(bounds)
    trial, _ = evaluate.judge(lab, 0, GENOME, lambda stage: None)
    return lab, trial


def test_a_candidate_within_all_limits_has_a_cost_on_each_board(boards):
    lab, trial = judge({f"latency_us@{MAIN}": 150.0, f"latency_us@{FURTHER}": 800.0})
    assert trial.state == "complete"
    assert trial.costs == Costs(main=boards.says[MAIN], also={FURTHER: boards.says[FURTHER]})
    assert set(trial.seconds) >= {"estimate", "convert", "compile"}
    # The worst latency is what a strategy is told, and each board's where that is an objective.
    assert fitness(("error", "latency_us"), lab.bounds, trial.judged_on, trial.error).objectives == (0.25, 700.0)
    each = (f"latency_us@{MAIN}", f"latency_us@{FURTHER}")
    assert fitness(each, lab.bounds, trial.judged_on, trial.error).objectives == (100.0, 700.0)


def test_one_broken_limit_on_a_further_board_makes_a_candidate_infeasible_by_its_name(boards):
    lab, trial = judge({f"latency_us@{MAIN}": 150.0, f"latency_us@{FURTHER}": 500.0})
    assert (trial.state, boards.asked) == ("infeasible", [MAIN, FURTHER])
    assert trial.reason.startswith(f"needs 700 us on {FURTHER}, at most 500 allowed")
    assert trial.violation == pytest.approx(0.4)
    assert fitness(("error", "latency_us"), lab.bounds, trial.judged_on, trial.error).violation == trial.violation
    assert trial.also_cost == {FURTHER: boards.says[FURTHER]}


def test_a_limit_that_the_main_board_breaks_leaves_the_further_ones_alone(boards):
    _, trial = judge({f"latency_us@{MAIN}": 50.0, f"latency_us@{FURTHER}": 800.0})
    assert (trial.state, boards.asked) == ("infeasible", [MAIN])
    assert f"on {MAIN}" in trial.reason
    assert trial.cost == boards.says[MAIN]
    assert (trial.also_cost, set(trial.also_estimate)) == ({}, {FURTHER})


@pytest.mark.parametrize("bound", [{f"latency_us@{FURTHER}": 1.0}, {f"flash_bytes@{FURTHER}": 600.0}])
def test_what_a_plan_for_a_further_board_refuses_reaches_no_board(boards, bound):
    _, trial = judge(bound)
    assert (trial.state, boards.asked) == ("infeasible", [])
    assert f"on {FURTHER}" in trial.reason


def test_a_wrong_output_on_a_further_board_fails_the_candidate(boards):
    boards.says[FURTHER] = WrongOutputError("1 of 160 output bytes differ")
    _, trial = judge({})
    assert (trial.state, trial.cost) == ("failed", boards.says[MAIN])


def test_a_survivor_is_measured_where_it_was_estimated(boards):
    lab, trial = judge({})
    estimated = cost_on(FURTHER, 650.0, "estimated")
    trial = trial.costing(estimated, FURTHER)
    assert trial.unmeasured
    boards.asked.clear()
    measured = evaluate.measure_survivor(lab, trial, classifier(64, 10), lambda stage: None)
    assert boards.asked == [FURTHER]
    assert not measured.unmeasured
    assert measured.costs.on(FURTHER) == boards.says[FURTHER]
    assert measured.judged_on == Costs(main=boards.says[MAIN], also={FURTHER: estimated})


def test_a_candidate_is_suspect_when_any_of_its_boards_is():
    testbeds = [SimpleNamespace(pool=SimpleNamespace(suspects=lambda name=name: {name})) for name in "ab"]
    made = session.Session(
        store=None, lab=SimpleNamespace(testbeds=testbeds), clock=None, threads=None, notify=None, ahead=1
    )
    assert made.suspects() == {"a", "b"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"also": {"mps2_an387": {}}}, "did you mean mps2_an386"),
        (
            {"also": {"lm3s6965evb": {}}, "space": {"hardware": ["fast_memory"]}},
            r"0, 4, 16, 64 on .* 0, 4, 16 on lm3s6965evb",
        ),
    ],
)
def test_further_boards_that_do_not_go_with_the_study_are_refused_before_any_work(settings, message):
    with pytest.raises(ConfigError, match=message), open_lab(load_config(None, settings)):
        pass
