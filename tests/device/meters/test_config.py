import pytest

from tinynas.device.meters import NoMeter, open_meter, read_meter
from tinynas.device.meters.csv_log import CsvMeter
from tinynas.device.meters.emulated import EmulatedMeter
from tinynas.errors import ConfigError, MeterError

CSV = '[meter]\nkind = "csv"\npath = "log.csv"\nsupply_v = 3.3\ntime = "t"\ncurrent = "i"\nsync = "d0"\n'


def test_a_kind_that_needs_no_settings_is_named_alone(emulated):
    assert read_meter("none") == NoMeter(kind="none")
    assert open_meter(read_meter("none"), emulated) is None
    assert isinstance(open_meter(read_meter("emulated"), emulated), EmulatedMeter)


def test_a_file_describes_the_others_and_its_paths_are_beside_it(tmp_path, emulated):
    (tmp_path / "meter.toml").write_text(CSV)
    meter = open_meter(read_meter(str(tmp_path / "meter.toml")), emulated)
    assert isinstance(meter, CsvMeter)
    assert meter.name == f"csv {tmp_path / 'log.csv'}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emulatd", r"kind = 'emulatd' is no kind of meter: did you mean emulated\?"),
        ("csv", r"meter 'csv' .*, path: Field required"),
        ("nothing.toml", "cannot be read"),
    ],
)
def test_what_is_no_meter_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        read_meter(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[board]\n", r"has no table \[meter\]"),
        ("[meter\n", "is no TOML"),
        (CSV.replace("3.3", "-3"), "supply_v: Input should be greater than 0"),
        (CSV + 'colour = "red"\n', "colour: Extra inputs are not permitted"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_its_place(tmp_path, content, message):
    path = tmp_path / "meter.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_meter(str(path))


def test_only_an_emulated_board_with_a_power_figure_has_an_emulated_meter(emulated):
    with pytest.raises(ConfigError, match="is not emulated"):
        EmulatedMeter(emulated.model_copy(update={"link": "serial"}))
    with pytest.raises(ConfigError, match="has no power figure"):
        EmulatedMeter(emulated.model_copy(update={"power": None}))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("x,y\n", "names the columns t, i, d0"),
        ("", "names the columns t, i, d0"),
    ],
)
def test_a_log_without_the_columns_is_refused(tmp_path, emulated, lines, message):
    (tmp_path / "meter.toml").write_text(CSV)
    (tmp_path / "log.csv").write_text(lines)
    meter = open_meter(read_meter(str(tmp_path / "meter.toml")), emulated)
    with pytest.raises(MeterError, match=message), meter:
        pass
