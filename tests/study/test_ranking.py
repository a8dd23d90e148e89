"""`tinynas proxies`: rank correlations of a study whose accuracies are made up."""

import json
import math
import subprocess
import sys
from dataclasses import asdict

import pytest

from tinynas.config import TaskSection, load_config
from tinynas.errors import ConfigError
from tinynas.model.data import load_task
from tinynas.space.genome import Genome
from tinynas.space.registry import load_space
from tinynas.study.ranking import rank, rank_proxies
from tinynas.study.store import Store, Trial

KEYS = ("1-8-8-8", "2-32-8-8", "1-96-8-8", "3-16-16-16", "2-64-64-8", "3-128-48-24")
GENOMES = [Genome.parse(f"mlp:{key}") for key in KEYS]


@pytest.fixture
def make_study(tmp_path):
    """A study of `count` multilayer perceptrons for digits; those with more weights are the more accurate ones."""

    def make(count=6, digest=None):
        config = load_config(None, {"task": {"name": "digits"}, "space": {"name": "mlp"}})
        task = load_task(TaskSection(name="digits"), 0)
        space = load_space("mlp", None)
        facts = {
            "config": config.model_dump(mode="json"),
            "task": {
                "name": "digits",
                "input_shape": list(task.input_shape),
                "class_names": list(task.class_names),
                "digest": digest or task.digest,
            },
        }
        with Store.create(tmp_path / "s.db", facts) as store:
            for number, genome in enumerate(GENOMES[:count]):
                network = space.decode(genome, task.input_shape, 10)
                weights = sum(layer.weights for layer in network.layers)
                layers = tuple(asdict(layer) for layer in network.layers)
                accuracy = 1 - 1 / (1 + math.log(weights))
                known = {"network": layers, "accuracy_int8_val": accuracy}
                store.add_trial(Trial(number=number, genome=genome.key, state="complete", **known), {})
            store.add_trial(Trial(number=count, genome="mlp:0-8-8-8", state="failed"), {})
        return tmp_path / "s.db"

    return make


def test_a_perfect_ranking_is_one_and_the_reverse_minus_one():
    accuracies = [0.5, 0.6, 0.7, 0.9, 0.95]
    straight = rank("size", [1, 2, 30, 400, 500], accuracies)
    assert (straight.spearman, straight.kendall) == pytest.approx((1, 1))
    assert rank("size", [9, 8, 7, 2, 1], accuracies).spearman == pytest.approx(-1)


def test_networks_without_a_score_rank_last_together():
    found = rank("naswot", [-math.inf, -math.inf, 3.0, 4.0, 5.0], [0.1, 0.1, 0.3, 0.4, 0.5])
    assert (found.spearman, found.degenerate) == (pytest.approx(1), 2)


def test_a_proxy_that_tells_nothing_apart_has_no_correlation():
    assert rank("synflow", [1.0] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]).spearman is None


def test_every_trained_network_is_scored_and_the_best_proxy_comes_first(make_study):
    command = [sys.executable, "-m", "tinynas", "proxies", str(make_study()), "--samples", "32", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    names = [each["proxy"] for each in found["proxies"]]
    assert sorted(names) == ["grad_norm", "jacov", "macs", "naswot", "parameters", "snip", "synflow"]
    by_name = {each["proxy"]: each for each in found["proxies"]}
    assert by_name["parameters"]["spearman"] == by_name["macs"]["spearman"] == pytest.approx(1)
    assert [each["spearman"] for each in found["proxies"]] == sorted(
        (each["spearman"] for each in found["proxies"]), reverse=True
    )
    assert (found["trained"], list(found["scores"])) == (6, list("012345"))


def test_too_few_networks_are_refused_with_the_next_command(make_study):
    with pytest.raises(ConfigError, match=r"4 trained networks.*at least 5.*tinynas resume"):
        rank_proxies(make_study(count=4), 32, lambda _: None)


def test_other_data_than_the_study_was_made_with_is_refused(make_study):
    with pytest.raises(ConfigError, match="its data differs"):
        rank_proxies(make_study(digest="another"), 32, lambda _: None)


def test_a_space_that_has_changed_since_is_refused(make_study):
    path = make_study()
    with Store.open_to_write(path) as store:
        genome = Genome("mlp", (3, 8, 8, 8))
        store.add_trial(Trial(number=9, genome=genome.key, state="complete", network=({"op": "input"},)), {})
    with pytest.raises(ConfigError, match="another network of mlp:3-8-8-8"):
        rank_proxies(path, 32, lambda _: None)
