import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import serial

from tinynas.device.emulator import EmulatedBoard
from tinynas.errors import BenchError, ToolchainError


@pytest.fixture
def board(emulated, counting_program, tmp_path):
    folder = tmp_path / "a board, with a space"
    folder.mkdir()
    (folder / "flash.bin").write_bytes(counting_program)
    board = EmulatedBoard(emulated, folder)
    yield board
    board.power_off()


def starts(board: EmulatedBoard) -> int:
    """How often the program says it was started. A byte sent before it listens is lost, so it is asked again."""
    with serial.serial_for_url(board.url, timeout=0.2) as port:
        for _ in range(50):
            port.write(b"?")
            if answer := port.read(1):
                return int(answer)
    raise AssertionError("the board does not answer")


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} is still running"
        time.sleep(0.01)


def test_a_reset_keeps_ram_and_a_power_cycle_does_not(board):
    board.power_on()
    assert starts(board) == 1
    board.reset()
    assert starts(board) == 2
    board.power_off()
    board.power_on()
    assert starts(board) == 1


def test_turning_on_twice_and_off_twice_is_once(board):
    board.power_on()
    pid = board.pid
    board.power_on()
    assert board.pid == pid
    board.power_off()
    board.power_off()
    assert board.pid is None
    wait_until_gone(pid)


def test_a_board_that_is_off_has_no_port_and_no_reset(board):
    with pytest.raises(BenchError, match="not under power"):
        _ = board.url
    with pytest.raises(BenchError, match="not under power"):
        board.reset()


def test_an_empty_flash_memory_does_not_boot(board):
    board.flash.unlink()
    with pytest.raises(BenchError, match="empty flash memory"):
        board.power_on()


def test_what_qemu_said_before_it_ended_is_told(board, emulated):
    machine = emulated.emulator.model_copy(update={"machine": "no-such-machine"})
    broken = EmulatedBoard(emulated.model_copy(update={"emulator": machine}), board.folder)
    with pytest.raises(BenchError, match=r"exit status 1.*unsupported machine"):
        broken.power_on()
    assert broken.pid is None


def test_a_reset_of_a_board_whose_qemu_died_says_so(board):
    board.power_on()
    os.kill(board.pid, signal.SIGKILL)
    with pytest.raises(BenchError, match="QEMU has ended"):
        board.reset()
    board.power_on()
    assert starts(board) == 1


def test_a_missing_qemu_is_named_with_the_command_that_installs_it(board, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match="apt-get install qemu-system-arm"):
        board.power_on()


def test_a_qemu_that_does_not_take_the_cycle_counter_is_named(board, monkeypatch, tmp_path):
    old = tmp_path / "qemu-system-arm"
    old.write_text(
        "#!/bin/sh\necho 'Could not load plugin x: requires API version 1, minimum version of 2' >&2\nexit 1\n"
    )
    old.chmod(0o755)
    monkeypatch.setattr("tinynas.device.emulator.qemu", lambda program: str(old))
    with pytest.raises(ToolchainError, match=r"up to QEMU 8\.2.*minimum version of 2"):
        board.power_on()
    assert board.pid is None


def test_a_board_outlives_the_thread_that_turned_it_on(board):
    thread = threading.Thread(target=board.power_on)
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert starts(board) == 1


def test_no_board_outlives_a_killed_process(board, emulated):
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from tinynas.boards import Board
        from tinynas.device.emulator import EmulatedBoard
        described, folder = sys.argv[1:]
        board = EmulatedBoard(Board.model_validate_json(described), Path(folder))
        board.power_on()
        print(board.pid, flush=True)
        time.sleep(60)
        """
    )
    arguments = [emulated.model_dump_json(), str(board.folder)]
    with subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True) as host:
        pid = int(host.stdout.readline())
        assert is_running(pid)
        host.kill()
    wait_until_gone(pid)


def test_a_leashed_program_does_not_start_after_its_parent_ended():
    leash = Path(sys.modules[EmulatedBoard.__module__].__file__).with_name("leash.py")
    ended = subprocess.run(
        [sys.executable, "-I", "-S", leash, "1", "true"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "parent process has ended" in ended.stderr
