"""Every error that tinynas raises on purpose, by culprit.

    TinynasError
    ├── ConfigError              the user's settings or data: refuse to start            exit 2
    ├── CandidateError           one genome or one model: infeasible, with its reason     exit 1
    │   ├── MalformedModelError      the bytes are no valid int8 .tflite
    │   ├── UnsupportedError         an operator or form that the compiler lacks
    │   ├── LimitError               needs more than the board or the limits give
    │   ├── WrongOutputError         the board's output differs from the host's
    │   └── ChildError               the child process crashed, ran out of time or memory
    ├── BenchError               a port, a board, a flash: retry, then quarantine         exit 4
    │   ├── NoBoardError             nothing answers                                      exit 3
    │   ├── LinkError                timeout, garbage, disconnection
    │   ├── FlashError               the upload failed
    │   ├── WrongBoardError          the board is not the one that it should be
    │   ├── LeaseLostError           another process was given the board meanwhile
    │   └── MeterError               an instrument: missing, overdriven, miswired
    ├── InfrastructureError      toolchain, disk, store: stop, nothing is lost            exit 4
    │   ├── ToolchainError           a compiler, PlatformIO or QEMU is missing or broken
    │   └── StoreError               the study file cannot be read or written
    ├── NothingFeasibleError     the search ended and no candidate meets the limits       exit 5
    └── StoppedError             a person ended the search, which can be resumed          exit 130

A CandidateError never stops a search, a BenchError is never turned into fitness.
"""


class TinynasError(Exception):
    """Root of the tree. `exit_code` is what the command line ends with."""

    exit_code = 1


class ConfigError(TinynasError):
    exit_code = 2


class CandidateError(TinynasError):
    """The candidate's own fault. `stage` is the stage that refused it, as the store records it."""

    stage = "candidate"


class MalformedModelError(CandidateError):
    stage = "compile"


class UnsupportedError(CandidateError):
    stage = "compile"


class LimitError(CandidateError):
    stage = "limits"


class WrongOutputError(CandidateError):
    stage = "verify"


class ChildError(CandidateError):
    stage = "child"


class BenchError(TinynasError):
    exit_code = 4


class NoBoardError(BenchError):
    exit_code = 3


class LinkError(BenchError):
    pass


class FlashError(BenchError):
    pass


class WrongBoardError(BenchError):
    pass


class LeaseLostError(BenchError):
    pass


class MeterError(BenchError):
    pass


class InfrastructureError(TinynasError):
    exit_code = 4


class ToolchainError(InfrastructureError):
    pass


class StoreError(InfrastructureError):
    pass


class NothingFeasibleError(TinynasError):
    exit_code = 5


class StoppedError(TinynasError):
    exit_code = 130
