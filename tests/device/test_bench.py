import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tinynas.device.bench import Bench, find_boards, open_bench
from tinynas.device.identity import Identity
from tinynas.device.journal import Journal
from tinynas.device.station import SerialStation
from tinynas.errors import ConfigError, NoBoardError, ToolchainError


@pytest.fixture
def real(emulated):
    return emulated.model_copy(update={"name": "real", "link": "serial", "emulator": None, "usb": ("0483:374b",)})


def plugged_in(monkeypatch, *ports):
    infos = [
        SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=device, location=None, description="a port")
        for device, vid, pid in ports
    ]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: infos)


def test_a_board_has_one_user_at_a_time_and_no_thread_starves(fake_station):
    stations = [fake_station("a"), fake_station("b")]
    in_use, clashes, leases = Counter(), [], Counter()

    def work(_):
        with bench.lease() as station:
            in_use[station.name] += 1
            clashes.extend([station.name] if in_use[station.name] > 1 else [])
            leases[station.name] += 1
            time.sleep(0.005)
            in_use[station.name] -= 1

    with Bench(stations) as bench, ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(60)))
    assert not clashes
    assert leases.total() == 60
    assert set(leases) == {"a", "b"}


def test_a_lease_that_fails_gives_the_board_back_at_rest(fake_station):
    station = fake_station()
    with Bench([station]) as bench:
        with pytest.raises(RuntimeError), bench.lease():
            raise RuntimeError
        with bench.lease() as again:
            assert again is station
    assert station.history == ["off", "off"]


def test_who_waits_for_a_board_that_is_quarantined_is_told(fake_station):
    with Bench([fake_station("only")]) as bench, ThreadPoolExecutor(1) as threads:
        with bench.lease() as station:
            waiting = threads.submit(lambda: bench.lease().__enter__())
            time.sleep(0.05)
            bench.quarantine(station.name, "it smokes")
        with pytest.raises(NoBoardError, match="no board is left: only: it smokes"):
            waiting.result(timeout=5)


def test_a_bench_with_a_journal_waits_until_a_board_is_released_and_says_so(fake_station, tmp_path, caplog):
    journal = Journal(tmp_path / "journal.db")
    journal.note("left", "reserve", detail="Ada solders")
    with Bench([fake_station("left"), fake_station("right")], journal=journal) as bench:
        with bench.lease() as station:
            assert station.name == "right"
        bench.quarantine("right", "it smokes")
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(lambda: bench.lease().__enter__())
            time.sleep(0.5)
            assert not waiting.done()
            journal.note("left", "release")
            assert waiting.result(timeout=5).name == "left"
    assert "waiting until one is released: left: reserve, Ada solders; right: quarantine, it smokes" in caplog.text
    assert "tinynas bench release right" in caplog.text


def test_three_faults_of_a_board_count_across_processes_until_it_is_released(fake_station, tmp_path):
    journal = Journal(tmp_path / "journal.db")
    benches = [Bench([fake_station("weak")], journal=journal) for _ in range(2)]
    for bench in (*benches, benches[0]):
        assert bench.quarantined == {}
        bench.fault("weak", "silent")
    assert "failed 3 times where another board did not, last: silent" in benches[1].quarantined["weak"]
    journal.note("weak", "release")
    benches[1].fault("weak", "silent")
    assert benches[1].quarantined == {}


def test_a_benchs_file_names_the_boards_and_every_one_of_the_kind_works(emulated, tmp_path, monkeypatch):
    monkeypatch.setattr("tinynas.device.inventory.load_board", lambda name: emulated)
    monkeypatch.setattr("tinynas.device.bench.load_board", lambda name: emulated)
    file = tmp_path / "bench.toml"
    file.write_text("".join(f'[boards.{name}]\nboard = "emulated"\nlink = "emulator"\n' for name in ("left", "right")))
    with open_bench(emulated, directory=tmp_path / "bench", file=file) as bench, bench.lease() as a, bench.lease() as b:
        assert (bench.size, {a.name, b.name}) == (2, {"left", "right"})
        with open_bench(emulated, directory=tmp_path / "bench", file=file) as other:
            assert other.quarantined == {}
    other_kind = emulated.model_copy(update={"name": "unheard_of"})
    with pytest.raises(ConfigError, match="lists no unheard_of; its boards are emulated"):
        open_bench(other_kind, directory=tmp_path / "bench", file=file)


def test_closing_the_bench_ends_all_waiting(fake_station):
    with ThreadPoolExecutor(1) as threads:
        bench = Bench([fake_station()])
        with bench.lease():
            waiting = threads.submit(lambda: bench.lease().__enter__())
            time.sleep(0.05)
            bench.close()
            with pytest.raises(NoBoardError, match="the bench is closed"):
                waiting.result(timeout=5)


def test_each_bench_takes_emulated_boards_of_its_own(emulated, tmp_path):
    def open_it(count):
        return open_bench(emulated, count=count, directory=tmp_path)

    with open_it(2) as first, open_it(1) as second, first.lease() as a, first.lease() as b, second.lease() as c:
        assert {a.name, b.name, c.name} == {"emulated-0", "emulated-1", "emulated-2"}
    with open_it(1) as third, third.lease() as d:
        assert d.name == "emulated-0"


def test_an_emulated_board_takes_no_port(emulated, tmp_path):
    with pytest.raises(ConfigError, match="emulated is emulated and takes no port"):
        open_bench(emulated, port="/dev/ttyACM0", directory=tmp_path)


def test_a_bench_without_qemu_says_so_before_any_work(emulated, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match="apt-get install qemu-system-arm"):
        open_bench(emulated, directory=tmp_path)


def test_ports_are_found_by_their_usb_ids(real, tmp_path, monkeypatch):
    plugged_in(
        monkeypatch, ("/dev/ttyACM1", 0x0483, 0x374B), ("/dev/ttyACM0", 0x0483, 0x374B), ("/dev/ttyS0", None, None)
    )
    assert find_boards(real) == [Identity(serial="/dev/ttyACM0"), Identity(serial="/dev/ttyACM1")]
    with open_bench(real, count=1, directory=tmp_path) as bench, bench.lease() as station:
        assert station.port == "/dev/ttyACM0"


def test_without_a_matching_port_the_message_lists_what_is_there(real, monkeypatch):
    plugged_in(monkeypatch, ("/dev/ttyUSB3", 0x1A86, 0x7523))
    with pytest.raises(
        NoBoardError, match=r"no port has a real \(USB ids 0483:374b\); ports here: /dev/ttyUSB3 \(a port\)"
    ):
        find_boards(real)


def test_a_port_that_does_not_exist_is_named(real, tmp_path, monkeypatch):
    plugged_in(monkeypatch)
    with pytest.raises(NoBoardError, match="port /dev/ttyACM77 does not exist; ports here: none"):
        open_bench(real, port="/dev/ttyACM77", directory=tmp_path)


def test_a_real_board_is_one_board_by_whatever_name_its_port_goes(real, tmp_path):
    port, link = tmp_path / "port", tmp_path / "by-id"
    port.touch()
    link.symlink_to(port)
    one, other = SerialStation(real, str(port), tmp_path), SerialStation(real, str(link), tmp_path)
    assert one.claim()
    assert not other.claim()
    one.release()
    assert other.claim()
    other.release()


def test_a_lease_waits_while_another_process_has_the_board(real, tmp_path):
    port = tmp_path / "port"
    port.touch()
    elsewhere = SerialStation(real, str(port), tmp_path)
    assert elsewhere.claim()
    threading.Timer(0.3, elsewhere.release).start()
    started = time.monotonic()
    with open_bench(real, port=str(port), directory=tmp_path) as bench, bench.lease():
        assert time.monotonic() - started > 0.25
