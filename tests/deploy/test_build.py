import errno
import json
import multiprocessing
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tinynas import paths
from tinynas.deploy import build as build_module
from tinynas.deploy import stage as stage_module
from tinynas.deploy.build import baseline, build
from tinynas.deploy.stage import held_project
from tinynas.errors import InfrastructureError, LimitError, ToolchainError


def everything_in(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_the_first_build_needs_nothing_of_the_users_and_writes_only_where_it_may(
    board, write_network, home, tmp_path, monkeypatch
):
    firmware = tmp_path / "installed pàckages" / "firmware"
    shutil.copytree(paths.FIRMWARE, firmware)
    monkeypatch.setattr(paths, "FIRMWARE", firmware)
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    before = everything_in(firmware)
    program = write_network()
    image = build(board, program, home / "build" / "desk 0")
    assert image.sha256 == program.sha256
    assert bytes.fromhex(program.sha256) in image.binary
    assert everything_in(firmware) == before
    assert everything_in(user) == {}


def test_sizes_are_the_networks_once_the_baseline_is_subtracted(board, write_network, desk):
    image = build(board, write_network(constants=65536, arena=8192, static=512), desk)
    sizes, empty = image.sizes, image.baseline
    assert sizes.constants == 65536
    assert empty.constants == empty.arena == 0
    assert sizes.arena == 8192
    # The empty network has one byte of variables, which alignment makes four.
    assert 512 - 8 <= sizes.static - empty.static <= 512
    assert 0 <= sizes.code - empty.code < 256
    assert sizes.image == sizes.code + sizes.constants == len(image.binary)
    assert empty == baseline(board, desk).sizes


def test_the_build_id_is_in_the_image_and_changes_with_it(board, write_network, desk):
    first, second, again = (build(board, write_network(seed), desk) for seed in (1, 2, 1))
    assert bytes.fromhex(first.build_id) in first.binary
    assert len(bytes.fromhex(first.build_id)) == 16
    assert first.build_id != second.build_id
    assert again == first


def test_a_profile_build_is_another_image_and_leaves_the_ordinary_one_as_it_was(board, write_network, desk):
    program = write_network()
    ordinary, profile, again = (build(board, program, desk, profile=each) for each in (False, True, False))
    assert profile.build_id != ordinary.build_id
    assert profile.sha256 == ordinary.sha256
    assert profile.sizes.code > ordinary.sizes.code
    assert again == ordinary


def test_a_changed_linker_script_links_anew(board, write_network, desk, tmp_path, monkeypatch):
    firmware = tmp_path / "firmware"
    shutil.copytree(paths.FIRMWARE, firmware)
    monkeypatch.setattr(paths, "FIRMWARE", firmware)
    first = build(board, write_network(), desk)
    script = firmware / "platform" / "image.ld"
    script.write_text(script.read_text().replace("KEEP(*(.vectors))", "KEEP(*(.vectors)) . += 64;"))
    assert build(board, write_network(), desk).build_id != first.build_id


def test_sources_of_an_earlier_network_do_not_stay(board, write_network, desk):
    larger = write_network(3)
    larger.files["more.c"] = b"#include <stdint.h>\nextern const uint8_t tn_network_sha256[32];\nint tn_more;\n"
    build(board, larger, desk)
    clashing = write_network(3, code="int tn_more;")
    assert build(board, clashing, desk).sha256 == larger.sha256


def test_builds_in_different_folders_do_not_disturb_each_other(board, write_network, desk):
    programs = [write_network(seed, constants=1024 * seed) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(lambda n: build(board, programs[n], desk.with_name(f"desk {n}")), (0, 1)))
    for program, image in zip(programs, images, strict=True):
        assert bytes.fromhex(program.sha256) in image.binary
        assert image.sizes.constants == program.constants_bytes


def test_builds_in_one_folder_wait_for_each_other(board, write_network, desk):
    programs = [write_network(seed) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(lambda program: build(board, program, desk), programs))
    for program, image in zip(programs, images, strict=True):
        assert bytes.fromhex(program.sha256) in image.binary


def test_a_folder_that_stays_in_use_is_given_up(board, write_network, desk, monkeypatch):
    monkeypatch.setattr(stage_module, "_WAIT_S", 0.1)
    with held_project(desk), pytest.raises(InfrastructureError, match="in use by another process"):
        build(board, write_network(), desk)


def test_a_killed_build_is_not_mixed_into_the_next_one(board, write_network, desk, wrap_compiler):
    whole = build(board, write_network(1), desk)
    # As `kill -9` between two compilations: the objects are those of network 2, SCons' record is that of network 1.
    wrap_compiler('"$REAL" "$@" || exit\ncase "$*" in *network*.o*) kill -9 0;; esac')
    with pytest.raises(ToolchainError):
        build(board, write_network(2), desk)
    wrap_compiler('exec "$REAL" "$@"')
    assert build(board, write_network(1), desk).binary == whole.binary


def test_a_killed_tinynas_takes_its_compilers_along_before_the_folder_is_free(
    board, write_network, desk, wrap_compiler, tmp_path
):
    whole = build(board, write_network(1), desk)
    alive = tmp_path / "alive"
    wrap_compiler(f'case "$*" in *network.c) while :; do touch "{alive}"; sleep 0.02; done;; esac; exec "$REAL" "$@"')
    baseline(board, desk)
    tinynas = multiprocessing.get_context("fork").Process(target=build, args=(board, write_network(2), desk))
    tinynas.start()
    deadline = time.monotonic() + 30
    while not alive.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    tinynas.kill()
    tinynas.join()
    with held_project(desk):
        alive.unlink()
        time.sleep(0.3)
        assert not alive.exists()
    wrap_compiler('exec "$REAL" "$@"')
    assert build(board, write_network(1), desk).binary == whole.binary


def test_a_folder_that_lost_files_repairs_itself(board, write_network, desk):
    whole = build(board, write_network(1), desk)
    (desk / ".pio" / "build" / board.name / "firmware.elf").unlink()
    assert build(board, write_network(1), desk) == whole
    shutil.rmtree(desk / ".pio")
    assert build(board, write_network(1), desk) == whole


def test_too_large_for_the_sram_is_said_with_both_numbers(board, write_network, desk):
    with pytest.raises(LimitError, match=r"needs 14\d,\d{3} B of SRAM, netduinoplus2 has 131,072"):
        build(board, write_network(arena=131072), desk)


def test_too_large_for_the_flash_is_said_with_both_numbers(board, write_network, desk):
    with pytest.raises(LimitError, match=r"needs 1,05\d,\d{3} B of flash, netduinoplus2 has 1,048,576"):
        build(board, write_network(constants=1048576), desk)


def test_what_the_compiler_refuses_is_quoted(board, write_network, desk):
    with pytest.raises(ToolchainError, match=r"network\.c.*error: unknown type name 'nonsense'"):
        build(board, write_network(code="nonsense here;"), desk)


def test_a_warning_fails_the_build(board, write_network, desk):
    with pytest.raises(ToolchainError, match="-Werror=unused-variable"):
        build(board, write_network(code="void f(void); void f(void) { int unused; }"), desk)


def test_a_missing_compiler_is_named_with_the_command_that_installs_it(board, write_network, desk, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolchainError, match=r"arm-none-eabi-gcc is not on PATH.*apt-get install gcc-arm-none-eabi"):
        build(board, write_network(), desk)


def test_a_compiler_without_c_library_is_told(board, write_network, desk, wrap_compiler):
    wrap_compiler('echo "cc1: fatal error: newlib.h: No such file or directory" >&2; exit 1')
    with pytest.raises(ToolchainError, match=r"has no newlib.*libnewlib-arm-none-eabi"):
        build(board, write_network(), desk)


def test_a_full_disk_is_told_from_a_broken_compiler(board, write_network, desk, wrap_compiler):
    wrap_compiler('case "$*" in *network.c*) echo "No space left on device" >&2; exit 1;; esac; exec "$REAL" "$@"')
    with pytest.raises(InfrastructureError, match="the disk is full") as caught:
        build(board, write_network(5), desk)
    assert not isinstance(caught.value, ToolchainError)


def test_a_disk_that_is_full_before_the_build_is_told(board, write_network, desk, monkeypatch):
    baseline(board, desk)

    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InfrastructureError, match="cannot be written: No space left on device"):
        build(board, write_network(6), desk)


def test_a_build_that_hangs_is_ended_with_all_its_processes(
    board, write_network, desk, wrap_compiler, tmp_path, monkeypatch
):
    baseline(board, desk)
    alive = tmp_path / "alive"
    wrap_compiler(f'case "$*" in *-E*) ;; *) while :; do touch "{alive}"; sleep 0.05; done;; esac; exec "$REAL" "$@"')
    baseline(board, desk)
    monkeypatch.setattr(build_module, "_TIMEOUT_S", 6.0)
    with pytest.raises(ToolchainError, match="ended after 6 s"):
        build(board, write_network(7), desk)
    assert alive.exists()
    time.sleep(0.1)
    alive.unlink()
    time.sleep(0.3)
    assert not alive.exists()


def test_the_baseline_is_built_once(board, desk, monkeypatch):
    first = baseline(board, desk)

    def refuse(*arguments, **options):
        raise AssertionError("built again")

    monkeypatch.setattr(build_module, "run_platformio", refuse)
    assert baseline(board, desk) == first


@pytest.mark.parametrize("content", [b"", b"{", b'{"code": 1}', b'{"code": "1", "constants": 0}', b"\xff"])
def test_a_damaged_record_of_the_baseline_is_made_again(board, desk, warm_home, content):
    first = baseline(board, desk)
    (record,) = (warm_home / "baselines").glob("*.json")
    record.write_bytes(content)
    assert baseline(board, desk) == first
    assert json.loads(record.read_bytes())["image"] == first.sizes.image


def test_another_manifest_has_another_baseline(board, desk, tmp_path):
    manifest = tmp_path / "netduinoplus2.json"
    described = json.loads(board.path.read_text())
    described["tinynas"]["flags"].append("-Os")
    manifest.write_text(json.dumps(described))
    smaller = board.model_copy(update={"path": manifest, "flags": (*board.flags, "-Os")})
    assert baseline(smaller, tmp_path / "desk").sizes.code < baseline(board, desk).sizes.code
