"""Settings: what is unknown or out of range is refused with its line."""

import pytest

from tinynas.config import load_config
from tinynas.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "study.toml"
        path.write_text(text)
        return path

    return write


def test_quantities_carry_units(write):
    config = load_config(
        write('[limits]\nlatency = "20 ms"\nsram = "32 KB"\nflash = "64KiB"\nenergy = "2 mJ"\n[search]\ntime = "30m"')
    )
    assert config.limits.bounds() == {
        "latency_us": 20_000,
        "sram_bytes": 32_768,
        "flash_bytes": 65_536,
        "energy_uj": 2_000,
    }
    assert config.search.time == 1800
    assert load_config(write('[board]\nclock = "120 MHz"')).board.clock == 120_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[search]\nseed = 1\nbudgett = 3", r"line 3: search\.budgett is not known: did you mean budget\?"),
        ("[limts]\nsram = 1", r"line 1: limts is not known: did you mean limits\?"),
        ("\n[search]\nbudget = -3", r"line 3: search\.budget = -3: Input should be greater than 0"),
        ('[limits]\nsram = "32 XB"', r"line 2: .*'32 XB' is no quantity: write a number and one of B, KB"),
        ('[limits]\nlatency = "-1 ms"', "no quantity"),
        ('[task]\nkind = "npz"', r"line 1: .*kind 'npz' needs a path"),
        ('[task]\npath = "x"', "takes no path"),
        ('[search]\nobjectives = ["error", "error"]', "named twice"),
        ('[search]\nobjectives = ["speed"]', r"line 2: search\.objectives"),
        ("[final]\nprune = 1", r"line 2: final\.prune = 1: Input should be less than 1"),
        ("[final]\nprune_points = -1", r"line 2: final\.prune_points"),
        ("[final]\ndistill = 0", r"line 2: final\.distill = 0: Input should be greater than 0"),
        ("[final]\ntemperature = 0.5", r"line 2: final\.temperature"),
        ("task = 3", "task"),
        ("[also.netduinoplus2]", "netduinoplus2 is the main board already"),
        ("[also.pico]\nspeed = 3", r"line 2: also\.pico\.speed is not known"),
        ('[also.pico]\nlatency = "3 KB"', r"line 2: also\.pico\.latency"),
        ('[also.pico]\nport = "a"\nbench = "b"', "leave out port 'a'"),
        ('[board]\nport = "a"\n[also.pico]\nport = "a"', "two boards are on one port"),
        ('[also.pico]\ncalibration = "a"', r'a calibration is for \[estimate\] latency = "table" or "learned"'),
        ('[search]\nobjectives = ["latency_us@pico"]', "'latency_us@pico': the study's boards are netduinoplus2"),
        ('[search]\nobjectives = ["error@pico"]\n[also.pico]', "'error@pico' is no objective"),
        ('[search]\nobjectives = ["latency_us@"]', "'latency_us@' is no objective"),
        ("[search", "is no TOML"),
    ],
)
def test_bad_settings_are_refused_with_their_line(write, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(write(text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_flags_win_over_the_file_and_paths_are_relative_to_it(write, tmp_path):
    path = write('[search]\nseed = 1\nbudget = 5\n[task]\nkind = "npz"\npath = "data.npz"')
    config = load_config(path, {"search": {"seed": 9}})
    assert (config.search.seed, config.search.budget) == (9, 5)
    assert config.task.path == tmp_path / "data.npz"


def test_a_further_boards_limits_lie_over_those_of_the_study_and_its_paths_are_relative_to_the_file(write, tmp_path):
    path = write('[limits]\nlatency = "9 ms"\nsram = 7\n[also.pico]\nlatency = "20 ms"\nbench = "b.toml"')
    # As --also writes it: a board that the file knows keeps what the file says of it.
    config = load_config(path, {"also": {"pico": {}, "teensy41": {}}})
    assert config.bounds_on("pico") == {"latency_us": 20_000, "sram_bytes": 7}
    assert config.bounds_on("netduinoplus2") == config.bounds_on("teensy41") == {"latency_us": 9_000, "sram_bytes": 7}
    assert config.also["pico"].bench == tmp_path / "b.toml"


def test_a_config_survives_json(write):
    config = load_config(write('[limits]\nsram = "32 KB"\n[task]\nkind = "npz"\npath = "data.npz"'))
    assert type(config).model_validate(config.model_dump(mode="json")) == config
