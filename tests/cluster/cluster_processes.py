"""A cluster of real processes: scheduler and workers, each started as a user starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tinynas.cluster.place import find_place


def tinynas(*arguments):
    return [sys.executable, "-m", "tinynas", *map(str, arguments)]


@dataclass
class Machines:
    """The processes of one cluster, whose file is `file`. `environment` is laid over that of each."""

    folder: Path
    file: Path
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def place(self):
        return find_place(str(self.file))

    def start(self, *command, log, prefix=(), **environment):
        """Start a process, whose first line of output is JSON; returns it with what that says."""
        with (self.folder / log).open("a") as errors:
            process = subprocess.Popen(
                [*prefix, *command],
                env={**os.environ, **self.environment, **environment},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.processes.append(process)
        line = process.stdout.readline()
        assert line, (self.folder / log).read_text()
        return process, json.loads(line)

    def scheduler(self, *arguments, **more):
        command = tinynas("cluster", "start", "--cluster", self.file, "--json", *arguments)
        return self.start(*command, log="scheduler.log", **more)

    def worker(self, name, *arguments, **more):
        """A worker with a home of its own, so that it stands for another machine."""
        command = tinynas("worker", "--cluster", self.file, "--json", *arguments)
        return self.start(*command, log=f"{name}.log", TINYNAS_HOME=str(self.folder / name), **more)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
