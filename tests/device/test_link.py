import os
import socket
import threading
import time
import tty
from types import SimpleNamespace

import pytest
from serial.rfc2217 import PortManager

from tinynas.device.frames import Decoder, Frame, encode
from tinynas.device.link import Link
from tinynas.errors import LinkError


class Peer:
    """The other end of a pseudo-terminal, which sees every request and answers as it is told."""

    def __init__(self, answer):
        self.seen = []
        self._answer = answer
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        decoder = Decoder()
        while (data := os.read(self._ours, 4096)) != b"stop":
            for request in decoder.feed(data):
                self.seen.append(request)
                os.write(self._ours, self._answer(request, len(self.seen)))

    def close(self):
        os.write(self._theirs, b"stop")
        self._thread.join()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def connect():
    opened = []

    def connect(answer):
        peer = Peer(answer)
        link = Link(peer.port)
        opened.extend([link, peer])
        return link, peer

    yield connect
    for end in opened:
        end.close()


def echo(request, **changes):
    fields = {"type": request.type | 0x80, "sequence": request.sequence, "run_id": request.run_id}
    return encode(Frame(**{**fields, "payload": request.payload, **changes}))


def test_an_answer_is_that_of_its_request(connect):
    link, _ = connect(lambda request, _: echo(request))
    for payload in (b"", b"\0" * 40, bytes(range(256)) * 4):
        assert link.exchange(1, payload, answer_s=2).payload == payload


def test_each_request_has_its_own_sequence_number_and_each_link_its_own_run(connect):
    link, peer = connect(lambda request, _: echo(request))
    link.exchange(1, answer_s=2)
    link.exchange(1, answer_s=2)
    assert peer.seen[1].sequence == peer.seen[0].sequence + 1
    assert peer.seen[1].run_id == peer.seen[0].run_id
    other, elsewhere = connect(lambda request, _: echo(request))
    other.exchange(1, answer_s=2)
    assert elsewhere.seen[0].run_id != peer.seen[0].run_id


@pytest.mark.parametrize(("payload", "frames"), [(b"abc", 1 + 3 * 2), (bytes(range(256)) * 4, 1 + 3)])
def test_a_request_without_answer_is_sent_again_unchanged_and_four_times_at_most(connect, payload, frames):
    link, peer = connect(lambda *_: b"")
    started = time.monotonic()
    with pytest.raises(LinkError, match=r"no answer to request 0x05 in 0\.\d s, sent 4 times; 0 bytes"):
        link.exchange(5, payload, answer_s=0.1)
    assert 0.4 <= time.monotonic() - started < 2
    assert len(peer.seen) == frames
    assert set(peer.seen) == {peer.seen[0]}


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_an_answer_to_a_resend_counts(connect, lost):
    link, peer = connect(lambda request, number: b"" if number <= lost else echo(request))
    assert link.exchange(1, b"x", answer_s=0.1).payload == b"x"
    # A short request is sent again twice, and an answer to the first of them is enough.
    assert lost + 1 <= len(peer.seen) <= lost + 2


@pytest.mark.parametrize("changes", [{"sequence": 999}, {"run_id": 1}], ids=["sequence", "run"])
def test_an_answer_to_something_else_is_no_answer(connect, changes):
    link, _ = connect(lambda request, _: echo(request, **changes))
    with pytest.raises(LinkError, match="no answer"):
        link.exchange(1, answer_s=0.05)


def test_garbage_without_end_does_not_stretch_a_deadline(connect):
    link, _ = connect(lambda request, _: b"\xffgarbage\0" * 400)
    started = time.monotonic()
    with pytest.raises(LinkError, match=r"[1-9]\d* bytes came that are no frame"):
        link.exchange(1, answer_s=0.1)
    assert time.monotonic() - started < 2


def test_text_around_an_answer_is_logged(connect, caplog):
    caplog.set_level("INFO")
    link, _ = connect(lambda request, _: b"boot \x1b[2J\r\n" + echo(request) + b"\0")
    link.exchange(1, answer_s=2)
    assert "boot \\x1b[2J" in caplog.text


def test_what_the_board_said_last_is_in_the_message(connect):
    link, _ = connect(lambda *_: b"\0fault at 0x08001234")
    with pytest.raises(LinkError, match=r"last words: .*fault at 0x08001234"):
        link.exchange(1, answer_s=0.05)


def test_a_board_of_another_protocol_version_is_told_apart_from_silence(connect):
    link, _ = connect(lambda request, _: echo(request, version=2))
    with pytest.raises(LinkError, match="speaks version 2 of the protocol, this tinynas version 1"):
        link.exchange(1, answer_s=1)


@pytest.mark.parametrize("port", ["/dev/tty-that-is-not-there", "socket://127.0.0.1:1", "nonsense://x"])
def test_a_port_that_cannot_be_opened_is_named(port):
    with pytest.raises(LinkError, match=f"port {port} cannot be opened"):
        Link(port)


def test_a_port_has_one_user(connect):
    _, peer = connect(lambda request, _: echo(request))
    with pytest.raises(LinkError, match="cannot be opened"):
        Link(peer.port)


class RemotePort:
    """A host that serves a board's port as RFC 2217 says, by pyserial's own server."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"
        self.baudrates = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        connection, _ = self._listener.accept()
        lines = dict.fromkeys(("cts", "dsr", "ri", "cd", "rts", "dtr", "xonxoff", "rtscts"), False)
        settings = SimpleNamespace(**lines, baudrate=0, bytesize=8, parity="N", stopbits=1)
        settings.reset_input_buffer = settings.reset_output_buffer = lambda: None
        manager = PortManager(settings, SimpleNamespace(write=connection.sendall))
        decoder = Decoder()
        while data := connection.recv(4096):
            for request in decoder.feed(b"".join(manager.filter(data))):
                self.baudrates.append(settings.baudrate)
                connection.sendall(b"".join(manager.escape(echo(request))))
        connection.close()

    def close(self):
        self._thread.join(10)
        self._listener.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
def test_a_port_of_another_host_is_reached_by_rfc_2217_and_left_when_done():
    remote = RemotePort()
    with Link(remote.url, baud=57600) as link:
        for payload in (b"", b"x", bytes(range(256)) * 4):
            assert link.exchange(1, payload, answer_s=2).payload == payload
    remote.close()
    assert not remote._thread.is_alive()
    assert remote.baudrates == [57600] * 3
