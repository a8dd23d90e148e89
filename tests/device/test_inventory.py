import pytest

from tinynas.device.identity import Identity
from tinynas.device.inventory import load_inventory
from tinynas.errors import ConfigError

EMULATED = '[boards.left]\nboard = "netduinoplus2"\nlink = "emulator"\n'


@pytest.fixture
def write(tmp_path, monkeypatch, emulated):
    """Writes a bench's file in a world with an emulated board and a physical one, the `nucleo`."""
    from tinynas.boards import load_board

    real = emulated.model_copy(update={"name": "nucleo", "link": "serial", "emulator": None})
    monkeypatch.setattr(
        "tinynas.device.inventory.load_board", lambda name: real if name == "nucleo" else load_board(name)
    )

    def write(text):
        path = tmp_path / "bench.toml"
        path.write_text(text)
        return path

    return write


def test_boards_are_listed_by_what_stays_with_them(write):
    inventory = load_inventory(
        write(
            EMULATED
            + '[limits]\nupload = "2 min"\n'
            + '[boards.a]\nboard = "nucleo"\nusb = "066F"\ninterface = 2\npower_cycle = "uhubctl -a cycle"\n'
            + '[boards.b]\nboard = "nucleo"\npath = "1-1.4"\n'
            + '[boards.c]\nboard = "nucleo"\nlink = "rfc2217://pi.lab:4000"\n'
            + '[boards.d]\nboard = "nucleo"\nlink = "/dev/serial/by-id/usb-x"\n'
            + '[boards.e]\nboard = "nucleo"\nlink = "COM7"\n'
        )
    )
    assert list(inventory.boards) == ["left", "a", "b", "c", "d", "e"]
    assert inventory.limits.upload == 120
    assert inventory.boards["a"].identity == Identity(serial="066F", interface=2)
    assert inventory.boards["b"].identity == Identity(path="1-1.4")
    assert inventory.boards["c"].identity is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EMULATED + "resett = 'x'", r"line 4: boards\.left\.resett is not known: did you mean reset\?"),
        (EMULATED + "[limits]\nuplod = 3", r"line 5: limits\.uplod is not known: did you mean upload\?"),
        (EMULATED + "[board.right]\n", r"board is not known: did you mean boards\?"),
        ("[limits]\n", "boards"),
        (EMULATED + "[limits]\nupload = '3 bananas'", r"line 5: .*'3 bananas' is no quantity"),
        ('[boards.x]\nboard = "nucleo"', r"line 1: boards\.x .*needs one of usb, path and link, and has none"),
        ('[boards.x]\nboard = "nucleo"\nusb = "1"\nlink = "COM1"', "one of usb, path and link, and has usb and link"),
        ('[boards.x]\nboard = "nucleo"\nlink = "/dev/ttyACM0"', "another board's name after the next plugging in"),
        ('[boards.x]\nboard = "nucleo"\nlink = "/dev/ttyUSB3"', "tinynas bench scan shows both"),
        ('[boards.x]\nboard = "nucleo"\nlink = "telnet://pi"', "is none of emulator, socket"),
        ('[boards.x]\nboard = "nucleo"\nlink = "COM1"\ninterface = 1', "interface goes with usb or path"),
        ('[boards."a b"]\nboard = "nucleo"\nusb = "1"', "pattern"),
        ('[boards.x]\nboard = "netduinoplus3"\nlink = "emulator"', r"did you mean netduinoplus2\?"),
        ('[boards.x]\nboard = "netduinoplus2"\nusb = "1"', 'netduinoplus2 takes link = "emulator" and nothing else'),
        ('[boards.x]\nboard = "nucleo"\nlink = "emulator"', "nucleo takes usb, path or another link"),
        (
            '[boards.x]\nboard = "nucleo"\nusb = "1"\n[boards.y]\nboard = "nucleo"\nusb = "1"',
            r"boards\.x and boards\.y are one board",
        ),
        (
            "".join(
                f'[boards.{name}]\nboard = "nucleo"\nusb = "{name}"\n'
                f'[boards.{name}.meter]\nkind = "ppk2"\nsupply_v = 3.3\nserial = "C2EA"\nsync = {sync}\n'
                for sync, name in enumerate("xy")
            ),
            r"boards\.x and boards\.y share the ppk2 C2EA, which would see both",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(write, text, message):
    with pytest.raises(ConfigError, match=message):
        load_inventory(write(text))
