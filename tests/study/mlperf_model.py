"""What a benchmark's firmware answers, in Python: written from docs/mlperf.md, to compare the C with."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

READY = "m-ready\r\n"
FIRMWARE = "ULPMark for tinyML Firmware V0.0.1"
MOST_CHARS = 80
_OWN_WORDS = {"db load": 3, "db print": 4, "db": 2, "infer": 3}


class RefusedError(Exception):
    """A command that is not understood; its text is what the answer says."""


@dataclass
class Model:
    """`judge` gives what the results of an inference on all bytes are, or None where it is refused."""

    name: str
    loaded_bytes: int
    judge: Callable[[bytes], str | None]
    readings: int = 15_000
    wanted: int = 0
    loaded: bytes = b""
    results: str | None = None
    line: bytearray = field(default_factory=bytearray)

    def start(self) -> str:
        return f"m-timestamp-mode-performance\r\n{self._lap()}m-init-done\r\n{READY}"

    def feed(self, data: bytes) -> str:
        said = ""
        for byte in data:
            if byte == ord("%"):
                said += self._answer(self.line.decode("latin-1")) + READY
                self.line.clear()
            elif byte not in b"\r\n\0":
                self.line.append(byte)
        return said

    def _answer(self, text: str) -> str:
        if len(text) > MOST_CHARS:
            return "e-[A command has at most 80 characters]\r\n"
        words = [word for word in text.split(" ") if word]
        try:
            return self._execute(words) if words else ""
        except RefusedError as error:
            return f"e-[{error}]\r\n"

    def _execute(self, words: list[str]) -> str:
        command, arguments = words[0], words[1:]
        own = next((_OWN_WORDS[key] for key in (" ".join(words[:2]), command) if key in _OWN_WORDS), 1)

        def finish() -> None:
            if len(words) > own:
                raise RefusedError(f"Unexpected argument: {plain(words[own])}")

        match command:
            case "db":
                return self._db(arguments, finish)
            case "infer":
                count = number(arguments[0], "Inference iterations must be >0, not ", 1) if arguments else 1
                warmups = number(arguments[1], "Inference warmup must be >=0, not ") if arguments[1:] else 10
                finish()
                return self._infer(count, warmups)
            case "name" | "timestamp" | "profile" | "help" | "results":
                finish()
                return str(getattr(self, f"_{command}")())
        raise RefusedError(f"Unknown command: {plain(command)}")

    def _name(self) -> str:
        return "m-name-dut-[tinynas]\r\n"

    def _profile(self) -> str:
        return f"m-profile-[{FIRMWARE}]\r\nm-model-[{self.name}]\r\n"

    def _timestamp(self) -> str:
        return self._lap()

    def _help(self) -> str:
        return HELP

    def _lap(self) -> str:
        self.readings += 1
        return f"m-lap-us-{(self.readings - 1) * 1_000_000 // 3}\r\n"

    def _results(self) -> str:
        if self.results is None:
            raise RefusedError("There are no results before an inference")
        return f"m-results-[{self.results}]\r\n"

    def _infer(self, count: int, warmups: int) -> str:
        if len(self.loaded) != self.loaded_bytes:
            raise RefusedError(f"Input db has {len(self.loaded)} bytes, expected {self.loaded_bytes}")
        results = self.judge(self.loaded)
        if results is None:
            raise RefusedError("Input db holds what is no number or is beyond 1e6")
        self.results = results
        start = f"m-warmup-start-{warmups}\r\nm-warmup-done\r\nm-infer-start-{count}\r\n"
        return start + self._lap() + self._lap() + "m-infer-done\r\n" + self._results()

    def _db(self, arguments: list[str], finish: Callable[[], None]) -> str:
        match arguments:
            case []:
                raise RefusedError("Command 'db' requires a subcommand")
            case ["load"]:
                raise RefusedError("Command 'db load' requires the # of bytes")
            case ["load", size, *_]:
                count = number(size, "Command 'db load' must be >0 bytes, not ", 1)
                finish()
                return self._load(count)
            case ["print", *numbers]:
                given = [number(each, "Command 'db print' takes numbers, not ") for each in numbers[:2]]
                finish()
                return self._print(*given)
            case [digits, *_]:
                if len(digits) % 2:
                    raise RefusedError("Insufficient number of hex digits")
                for pair in re.findall("..", digits):
                    if not re.fullmatch("[0-9a-fA-F]{2}", pair):
                        raise RefusedError(f"Invalid hex digit: {plain(pair)}")
                finish()
                return self._take(bytes.fromhex(digits))
        raise AssertionError(arguments)

    def _load(self, count: int) -> str:
        if count > self.loaded_bytes:
            raise RefusedError(f"Supplied buffer size {count} exceeds maximum of {self.loaded_bytes}")
        self.wanted, self.loaded = count, b""
        return f"m-[Expecting {count} bytes]\r\n"

    def _take(self, data: bytes) -> str:
        if not self.wanted:
            raise RefusedError("Buffer not allocated: 'db load' comes first")
        was_full = len(self.loaded) == self.wanted
        taken = data[: self.wanted - len(self.loaded)]
        self.loaded += taken
        said = "m-load-done\r\n" if len(self.loaded) == self.wanted and not was_full else ""
        surplus = len(data) - len(taken)
        return said + (f"e-[{surplus} bytes are too many: {self.wanted} bytes are loaded]\r\n" if surplus else "")

    def _print(self, count: int | None = None, offset: int = 0) -> str:
        if not self.wanted:
            raise RefusedError("Buffer not allocated: 'db load' comes first")
        end = len(self.loaded) if count is None else offset + count
        if end > len(self.loaded):
            raise RefusedError(f"Bytes to print end at {end} of {len(self.loaded)} that are loaded")
        lines = [self.loaded[at : min(at + 8, end)].hex("-") for at in range(offset, end, 8)]
        return "".join(f"m-buffer-{line}\r\n" for line in lines)


def number(word: str, otherwise: str, least: int = 0) -> int:
    if not re.fullmatch("[0-9]{1,9}", word) or int(word) < least:
        raise RefusedError(otherwise + plain(word))
    return int(word)


def plain(text: str) -> str:
    return re.sub(r"[^ -~]|[\[\]]", "?", text)


HELP = f"""{FIRMWARE}

help         : Print this information
name         : Print the name of the device
timestamp    : Generate a timestamp
profile      : Print the firmware and the model
db load N    : Expect N bytes
db HH[HH]*   : Load bytes in hex, until there are N
db print [N] [OFFSET]
             : Print N bytes from OFFSET on in hex, or all
infer N [W]  : Run N inferences after W=10 to warm up
results      : Print the results of the last inference
""".replace("\n", "\r\n")
