"""Who is let into a cluster: whoever has one of its certificates, and nobody else, at once."""

import contextlib
import json
import socket
import ssl
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest
from cluster_processes import tinynas

from tinynas.cluster import dask
from tinynas.cluster.certificates import init_cluster
from tinynas.cluster.place import find_place
from tinynas.cluster.remote import describe
from tinynas.errors import ConfigError, InfrastructureError


@pytest.fixture(scope="module")
def address(machines):
    _, said = machines.scheduler()
    assert said["encrypted"]
    return said["scheduler"]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory, address):
    folder = tmp_path_factory.mktemp("foreign")
    init_cluster(folder, "127.0.0.1", int(address.rpartition(":")[2]))
    return folder / "cluster.toml"


def refusal(place, role="client"):
    started = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        dask.probe(place, role)
    assert time.monotonic() - started < 1.0
    return str(caught.value)


def test_members_are_let_in(machines, address):
    for role in ("client", "worker", "scheduler"):
        dask.probe(machines.place, role)
    assert describe(machines.place) == {"scheduler": address, "workers": []}


def test_foreign_certificates_are_refused_in_under_a_second(address, foreign):
    assert "is none of this cluster" in refusal(find_place(str(foreign)))
    assert "is none of this cluster" in refusal(find_place(str(foreign)), "worker")


def test_a_scheduler_refuses_a_foreign_certificate_though_the_client_trusts_it(machines, address, foreign, tmp_path):
    for name in ("client.pem", "client.key"):
        (tmp_path / name).write_bytes((foreign.parent / name).read_bytes())
    (tmp_path / "ca.pem").write_bytes((machines.file.parent / "ca.pem").read_bytes())
    (tmp_path / "cluster.toml").write_text(machines.file.read_text())
    assert "does not take the certificate" in refusal(find_place(str(tmp_path / "cluster.toml")))


def test_nobody_without_a_certificate_is_let_in(address):
    host, port = "127.0.0.1", int(address.rpartition(":")[2])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    started = time.monotonic()
    with (
        socket.create_connection((host, port)) as plain,
        context.wrap_socket(plain) as connection,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        # Under TLS 1.3 a client only learns at its first read that it was refused.
        assert connection.recv(1)
    assert time.monotonic() - started < 1.0


def test_plaintext_is_refused_in_under_a_second(address):
    port = int(address.rpartition(":")[2])
    assert "does not speak without encryption" in refusal(find_place(f"tcp://127.0.0.1:{port}"))
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"\x01\0\0\0\0\0\0\0" * 4)
        plain.settimeout(1.0)
        with contextlib.suppress(ConnectionError):
            assert plain.recv(1) in (b"", b"\x15")
    assert time.monotonic() - started < 1.0


def test_a_clients_certificate_cannot_pose_as_a_scheduler(machines, tmp_path):
    for name in ("ca.pem", "client.pem", "client.key", "worker.pem", "worker.key"):
        (tmp_path / name).write_bytes((machines.file.parent / name).read_bytes())
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(str(tmp_path / "client.pem"), str(tmp_path / "client.key"))

    def pose():
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError), server.wrap_socket(connection, server_side=True):
            pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        (tmp_path / "cluster.toml").write_text(machines.file.read_text().replace(str(machines.place.port), str(port)))
        posing = threading.Thread(target=pose)
        posing.start()
        with pytest.raises(ConfigError, match="unsuitable certificate purpose"):
            dask.probe(find_place(str(tmp_path / "cluster.toml")), "worker")
        posing.join()


def test_keys_are_for_their_owner_alone_and_a_cluster_is_not_made_twice(machines):
    folder = machines.file.parent
    for key in folder.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="holds a cluster already"):
        init_cluster(folder, "127.0.0.1")


def test_nothing_unencrypted_goes_to_another_machine(tmp_path):
    with pytest.raises(ConfigError, match="is another machine and not encrypted"):
        find_place("tcp://192.0.2.1:8786")
    (tmp_path / "cluster.toml").write_text('scheduler = "tcp://192.0.2.1:8786"\n')
    with pytest.raises(ConfigError, match="write tls://"):
        find_place(str(tmp_path / "cluster.toml"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("http://lab:8786", "is no address of a scheduler"),
        ("tls://lab", "is no address of a scheduler"),
        ("tls://lab:99999", "is no address of a scheduler"),
        ("tls://lab:8786", "cluster/cluster.toml is not here"),
        ("absent.toml", "cannot be read"),
    ],
)
def test_what_is_no_cluster_is_named(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        dask.probe(find_place(given), "client")


def test_a_missing_scheduler_is_said_with_the_command_that_starts_one(tmp_path):
    init_cluster(tmp_path / "lab", "127.0.0.1", 1)
    with pytest.raises(InfrastructureError, match=r"no scheduler at tls://127.0.0.1:1 .*cluster start --cluster"):
        dask.probe(find_place(str(tmp_path / "lab" / "cluster.toml")), "client")


def test_without_certificates_a_scheduler_is_heard_on_this_machine_alone(machines, tmp_path):
    process, said = machines.start(*tinynas("cluster", "start", "--local", "--port", 0, "--json"), log="local.log")
    assert said["scheduler"].startswith("tcp://127.0.0.1:")
    assert not said["encrypted"]
    port = int(said["scheduler"].rpartition(":")[2])
    for line in Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        if int(local.partition(":")[2], 16) == port and state == "0A":
            assert local.partition(":")[0] == "0100007F"
    assert describe(find_place(said["scheduler"]))["workers"] == []
    process.terminate()
    assert process.wait(10) == 0


def test_a_worker_of_another_version_is_refused_with_both_versions(machines, address):
    other = {**dask.facts(), "tinynas": "0.0.1"}
    with pytest.raises(ConfigError, match=r"tinynas 0\.1\.0 here, 0\.0\.1 there: install the same on both"):
        dask.require_same(other, "the scheduler")


def test_init_says_what_each_machine_needs(tmp_path):
    done = subprocess.run(
        tinynas("cluster", "init", tmp_path / "lab", "--host", "bench", "--json"), capture_output=True, check=True
    )
    files = json.loads(done.stdout)["files"]
    assert files["worker"] == ["cluster.toml", "ca.pem", "worker.pem", "worker.key"]
    assert all((tmp_path / "lab" / name).is_file() for names in files.values() for name in names)
    assert find_place(str(tmp_path / "lab" / "cluster.toml")).address == "tls://bench:8786"
