"""The report: what it says, that it says it of damaged and hostile studies safely, and that a browser shows it."""

import json
import re
from dataclasses import replace

import plotly.graph_objects
import pytest
from like_a_search import FACTS, HOSTILE, LAYERS, NETWORK, VALIDITY, finalist_of, trials_like_a_search, write_study

from tinynas.config import Config
from tinynas.errors import ConfigError, InfrastructureError, StoreError
from tinynas.study import charts
from tinynas.study.reading import read_study
from tinynas.study.report import write_report
from tinynas.study.store import Store
from tinynas.study.summary import front


@pytest.fixture
def make(tmp_path):
    """Make a study from trials; the best of them become finalists when `finalists` is positive."""

    def make_study(trials, facts=FACTS, finalists=0):
        return Store.open_to_read(write_study(tmp_path / "study.db", trials, facts, finalists))

    return make_study


def written_report(store, tmp_path):
    path = tmp_path / "out" / "report.html"
    with store:
        write_report(store, path)
    return path.read_text(encoding="utf-8")


def outside_plotly(page):
    """The page without Plotly's own script, which names hosts that it would only ask for maps."""
    scripts = re.findall(r"<script>.*?</script>", page, re.DOTALL)
    return page.replace(max(scripts, key=len), "")


def test_a_report_tells_board_task_sources_and_the_front(make, tmp_path):
    page = outside_plotly(written_report(make(trials_like_a_search(30), finalists=3), tmp_path))
    assert "<title>study: digits on netduinoplus2</title>" in page
    assert '<span class="source emulated">emulated</span>' in page
    assert "an emulator stands in for the board" in page
    assert "Energy: 40 mA at 3.3 V: STM32F405 datasheet, table 20" in page
    with Store.open_to_read(tmp_path / "study.db") as store:
        points = front(store)
    assert points
    for point in points:
        assert f'<a href="#trial-{point.trial.number}">' in page
        assert f"<b>{100 * point.accuracy_int8_test:.1f} %</b>" in page
        for part in ("instructions", "cycles", "wait cycles"):
            figure = getattr(point.cost, part.replace(" ", "_"))
            assert re.search(
                rf'<th scope="row">{part}</th>(<td class="number">[0-9,–]+</td>)*<td [^>]*>{figure:,}</td>', page
            )


def test_a_finalist_is_shown_with_the_layers_that_it_has_now(make, tmp_path):
    (trial,) = [each for each in trials_like_a_search(8) if each.state == "complete"][:1]
    pruned = tuple({**each, "macs": each["macs"] // 4} for each in trial.layers)
    make([trial]).close()
    with Store.open_to_write(tmp_path / "study.db") as store:
        store.put_finalist(replace(finalist_of(trial, "pruned"), layers=pruned), {})
    page = outside_plotly(written_report(Store.open_to_read(tmp_path / "study.db"), tmp_path))
    assert ">7,056</td>" in page
    assert ">28,224</td>" not in page


def test_a_learning_curve_is_drawn_from_its_least_to_its_most(make, tmp_path):
    first, second = [each for each in trials_like_a_search(9) if each.state == "complete"][:2]
    trials = [replace(first, curve=(0.2, 0.6, 0.5)), replace(second, curve=(0.7,))]
    page = outside_plotly(written_report(make(trials), tmp_path))
    assert re.findall(r'<polyline points="([^"]*)"', page) == ["0.0,68.0 150.0,2.0 300.0,18.5"]
    assert "after each of 3 epochs: 20.0 % after the first, 60.0 % at best" in page


def test_a_report_on_several_boards_names_each_ones_figures(make, tmp_path):
    slow = replace(VALIDITY, board="slow<b>", clock_hz=25_000_000)
    facts = {
        **FACTS,
        "config": Config.model_validate({"also": {"slow<b>": {}}}).model_dump(mode="json"),
        "also": {"slow<b>": {"validity": slow.__dict__, "estimate": None}},
        "bounds": {"latency_us@netduinoplus2": 20_000.0, "latency_us@slow<b>": 400_000.0},
    }
    trials = [
        replace(trial, also_cost={"slow<b>": replace(trial.cost, latency_us=314_000.0, validity=slow)})
        for trial in trials_like_a_search(8)
        if trial.state == "complete"
    ]
    page = outside_plotly(written_report(make(trials, facts), tmp_path))
    assert "<title>study: digits on netduinoplus2 and slow&lt;b&gt;</title>" in page
    assert "Latency on slow&lt;b&gt; 400.00 ms" in page
    # The worst in the table of all candidates, and each board's beside it.
    assert page.count('data-value="314000.0">314.00 ms') == len(trials)
    assert page.count('<th class="number">candidate, slow&lt;b&gt;</th>') == len(trials)
    assert "slow&lt;b&gt; at 25 MHz" in page
    assert "slow<b>" not in page


def test_every_refused_candidate_stands_there_with_its_reason(make, tmp_path):
    trials = list(trials_like_a_search(30))
    page = outside_plotly(written_report(make(trials), tmp_path))
    refused = [trial for trial in trials if trial.reason]
    assert len(refused) > 5
    assert all(page.count(trial.reason) >= 1 and page.count(trial.genome) >= 2 for trial in refused)


def test_an_unfinished_study_says_that_no_test_accuracy_is_known(make, tmp_path):
    page = written_report(make(trials_like_a_search(20), {**FACTS, "finished": False}), tmp_path)
    assert "The search is not finished" in page


@pytest.mark.parametrize("objectives", [("error",), ("error", "flash_bytes"), ("latency_us", "error", "energy_uj")])
def test_any_objectives_are_reported(make, tmp_path, objectives):
    config = Config.model_validate({"search": {"objectives": objectives}})
    facts = {**FACTS, "config": config.model_dump(mode="json"), "bounds": {}}
    assert "All candidates" in written_report(make(trials_like_a_search(20), facts), tmp_path)


def test_an_empty_study_says_so(make, tmp_path):
    page = written_report(make([], {**FACTS, "finished": False}), tmp_path)
    assert page.count("No candidate has been judged yet") == 2


def test_a_study_where_all_were_refused_says_what_to_do(make, tmp_path):
    trials = [trial for trial in trials_like_a_search(40) if trial.state != "complete"]
    page = written_report(make(trials, {**FACTS, "finished": False}), tmp_path)
    assert "No candidate met the limits" in page


def test_a_failed_finalist_is_named(make, tmp_path):
    facts = {**FACTS, "finalist_failures": {"4": "training ran out of time"}}
    assert "Finalist 4 could not be finished: training ran out of time" in written_report(make([], facts), tmp_path)


def test_texts_of_a_study_never_become_markup(make, tmp_path):
    network = ({**NETWORK[0], "op": HOSTILE, "name": HOSTILE}, {**NETWORK[1], "activation": HOSTILE})
    layers = tuple({**each, "op": HOSTILE, "comment": HOSTILE, "name": HOSTILE} for each in LAYERS)
    complete = next(trial for trial in trials_like_a_search(20) if trial.state == "complete")
    hostile = {"genome": HOSTILE, "stage": HOSTILE, "reason": HOSTILE, "network": network, "layers": layers}
    cost = replace(complete.cost, energy_basis=HOSTILE)
    facts = {**FACTS, "board": HOSTILE, "task": {**FACTS["task"], "name": HOSTILE, "source": HOSTILE}}
    facts |= {"finalist_failures": {HOSTILE: HOSTILE}, "tinynas": HOSTILE, "space": {"name": HOSTILE}}
    trial = replace(complete, **hostile, cost=cost, seconds={HOSTILE: 3.0})
    page = written_report(make([trial], facts, finalists=1), tmp_path)
    assert "<img" not in outside_plotly(page)
    assert page.count("<script") == page.count("</script") == 3
    figures = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)[1]
    texts = [text for trace in json.loads(figures)["front"]["data"] for text in trace.get("text", [])]
    assert texts
    assert not any("<img" in text or "<script" in text for text in texts)


@pytest.mark.parametrize(
    "changes",
    [
        {"accuracy_int8_val": "much"},
        {"layers": ({"index": "x"},)},
        {"network": ({"name": "n", "op": "conv", "inputs": [5], "shape": [1]},)},
        {"cost": None},
        {"seconds": {"train": "long"}},
        {"number": 0, "state": "complete", "accuracy_int8_val": None},
    ],
)
def test_a_damaged_trial_is_an_error_not_a_wrong_report(make, tmp_path, changes):
    complete = next(trial for trial in trials_like_a_search(20) if trial.state == "complete")
    with make([replace(complete, **changes)], {**FACTS, "finished": False}) as store:
        with pytest.raises(StoreError, match="damaged"):
            write_report(store, tmp_path / "report.html")
        assert not (tmp_path / "report.html").exists()


def test_a_missing_fact_is_an_error_that_names_it(make, tmp_path):
    facts = {name: value for name, value in FACTS.items() if name != "task"}
    with make([], facts) as store, pytest.raises(StoreError, match="task"):
        write_report(store, tmp_path / "report.html")


def test_settings_of_another_version_are_refused(make, tmp_path):
    with make([], {**FACTS, "config": {"moon": 1}}) as store, pytest.raises(ConfigError, match="does not know"):
        write_report(store, tmp_path / "report.html")


def test_a_folder_in_the_way_is_an_error_and_leaves_no_draft(make, tmp_path):
    (tmp_path / "here").mkdir()
    with make([]) as store, pytest.raises(InfrastructureError, match="cannot be written"):
        write_report(store, tmp_path / "here")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".here")]


def test_the_same_study_gives_the_same_page(make, tmp_path):
    with make(trials_like_a_search(12), finalists=1) as store:
        write_report(store, tmp_path / "a.html")
        write_report(store, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_charts_are_valid_plotly_figures_with_the_limit_drawn(make):
    with make(trials_like_a_search(40), finalists=3) as store:
        study, points = read_study(store), front(store)
    objectives = ("error", "latency_us")
    drawn = charts.front_chart(study, points, objectives)
    for figure in (drawn, charts.hypervolume_chart(study, objectives), charts.time_chart(study)):
        plotly.graph_objects.Figure(figure)
    assert [shape["x0"] for shape in drawn["layout"]["shapes"]] == [20.0]
    placed = {number for trace in drawn["data"] for number in trace.get("customdata", [])}
    assert placed == {trial.number for trial in study.trials}
    by_name = {trace["name"]: trace for trace in drawn["data"]}
    assert by_name["front"]["customdata"] == [
        each.trial.number for each in sorted(points, key=lambda p: p.cost.latency_us)
    ]
    assert "line" in by_name["front"]


def test_the_time_chart_accounts_for_every_second(make):
    with make(trials_like_a_search(20), finalists=2) as store:
        study = read_study(store)
    drawn = sum(sum(trace["y"]) for trace in charts.time_chart(study)["data"])
    spent = sum(sum(record.seconds.values()) for record in study.records)
    assert drawn == pytest.approx(spent)


def opened(browser, tmp_path, store):
    """Open the report of `store`. Returns what the console said and which URLs were asked for."""
    written_report(store, tmp_path)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get((tmp_path / "out" / "report.html").as_uri())
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return browser.get_log("browser"), asked


def test_a_browser_draws_the_report_offline_without_a_complaint(browser, make, tmp_path):
    console, asked = opened(browser, tmp_path, make(trials_like_a_search(60), finalists=3))
    assert console == []
    assert asked
    assert all(url.startswith(("file:", "data:")) for url in asked)
    points = "return [...document.querySelectorAll('#chart-%s .%s')].length"
    assert browser.execute_script(points % ("front", "points path.point")) >= 60
    assert browser.execute_script(points % ("hypervolume", "lines path")) == 1
    assert browser.execute_script(points % ("time", "bars path")) >= 60
    assert browser.execute_script("return document.querySelectorAll('svg.network g.box').length") == 60 * len(NETWORK)


def test_a_click_on_a_heading_sorts_numbers_as_numbers_and_the_unknown_last(browser, make, tmp_path):
    opened(browser, tmp_path, make(trials_like_a_search(40)))
    read = """return [...document.querySelectorAll('#candidates tbody tr')].map(row => row.cells[2].dataset.value)"""
    for descending in (False, True):
        browser.execute_script("document.querySelectorAll('#candidates button')[2].click()")
        values = browser.execute_script(read)
        known = [float(value) for value in values if value]
        assert known == sorted(known, reverse=descending)
        assert "" not in values[: len(known)]
        assert len(known) < len(values) == 40


def test_the_filter_and_the_links_work_and_a_narrow_screen_does_not_scroll_sideways(browser, make, tmp_path):
    opened(browser, tmp_path, make(trials_like_a_search(40), finalists=3))
    browser.execute_script(
        "const f = document.getElementById('filter'); f.value = 'failed'; f.dispatchEvent(new Event('input'))"
    )
    shown = "return [...document.querySelectorAll('#candidates tbody tr')].filter(row => !row.hidden).length"
    assert browser.execute_script(shown) == sum(trial.state == "failed" for trial in trials_like_a_search(40))
    browser.execute_script("document.querySelector('table.front a').click()")
    assert browser.execute_script("return document.querySelectorAll('details[open]').length") == 1
    browser.set_window_size(500, 900)
    try:
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(wide) == 0
    finally:
        browser.set_window_size(1280, 1000)


@pytest.mark.parametrize("count", [0, 1])
def test_a_browser_shows_a_study_that_has_hardly_begun(browser, make, tmp_path, count):
    console, _ = opened(browser, tmp_path, make(trials_like_a_search(count), {**FACTS, "finished": False}))
    assert console == []


def test_nothing_from_a_store_runs_in_the_browser(browser, make, tmp_path):
    complete = next(trial for trial in trials_like_a_search(20) if trial.state == "complete")
    trial = replace(complete, genome=HOSTILE, reason=HOSTILE, seconds={HOSTILE: 1.0})
    opened(browser, tmp_path, make([trial], finalists=1))
    assert browser.title == "study: digits on netduinoplus2"
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
