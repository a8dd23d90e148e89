"""What every export is made of: a compiled network, its test vector, and where it came from."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinynas import __version__, paths
from tinynas.compiler import Program, numbered, write_ends
from tinynas.cost import Cost
from tinynas.errors import ConfigError, InfrastructureError
from tinynas.study.quantities import QUANTITIES, percent, source_of, written

_MOST_VECTOR_BYTES = 32 * 1024
_KERNEL = re.compile(rb'^\s*#\s*include\s+"(tn_[a-z0-9_]+\.h)"', re.MULTILINE)
_LINE_WIDTH = 110


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a network came from, for its README. `origin` is "trial 3 of study digits" or a file's name.

    accuracy_*: fractions in [0, 1]; class_names: one per output.
    """

    origin: str
    task: str | None = None
    board: str | None = None
    genome: str | None = None
    class_names: tuple[str, ...] = ()
    accuracy_int8_val: float | None = None
    accuracy_int8_test: float | None = None
    cost: Cost | None = None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One network on its way out. inputs, outputs: bytes, one test case after the other; `count` of them."""

    tflite: bytes
    program: Program
    inputs: bytes
    outputs: bytes
    count: int
    provenance: Provenance

    @property
    def name(self) -> str:
        """Prefix of the network's files and symbols."""
        return self.program.name

    @property
    def first_case(self) -> "Delivery":
        """The same with one test case."""
        inputs, outputs = self.inputs[: self.program.inputs_bytes], self.outputs[: self.program.outputs_bytes]
        return replace(self, inputs=inputs, outputs=outputs, count=1)

    @property
    def sources(self) -> dict[str, bytes]:
        """The network in C, by name."""
        return {**self.program.files, f"{self.name}_ends.h": write_ends(self.program)}


def deliver(tflite: bytes, program: Program, *, inputs: bytes, outputs: bytes, provenance: Provenance) -> Delivery:
    """Check a test vector against the network and keep what 32 KB hold of it, at least one case.

    Raises:
        ConfigError: the vector holds no whole number of cases, or not as many outputs as inputs.
    """
    into, out = program.inputs_bytes, program.outputs_bytes
    count, rest = divmod(len(inputs), into)
    if not count or rest or len(outputs) != count * out:
        raise ConfigError(
            f"the test vector has {len(inputs):,} B of inputs and {len(outputs):,} B of outputs, the network takes "
            f"{into:,} B and gives {out:,} B a case: give raw cases back to back"
        )
    kept = max(1, min(count, _MOST_VECTOR_BYTES // into))
    return Delivery(
        tflite=tflite,
        program=program,
        inputs=inputs[: kept * into],
        outputs=outputs[: kept * out],
        count=kept,
        provenance=provenance,
    )


def kernels_for(sources: Iterable[bytes]) -> dict[str, bytes]:
    """The kernel headers that `sources` include, directly or through one another, by name.

    Raises:
        InfrastructureError: a kernel is missing from this installation.
    """
    found: dict[str, bytes] = {}
    waiting = [name for source in sources for name in _KERNEL.findall(source)]
    while waiting:
        name = waiting.pop().decode()
        if name not in found:
            path = paths.FIRMWARE / "lib" / name
            try:
                found[name] = path.read_bytes()
            except OSError as error:
                raise InfrastructureError(f"kernel {path} cannot be read: {error.strerror}") from error
            waiting += _KERNEL.findall(found[name])
    return dict(sorted(found.items()))


def c_values(content: bytes, *, signed: bool) -> str:
    """Bytes as the inside of a C initializer, in lines of at most 110 characters."""
    values = [str(byte - 256 if signed and byte > 127 else byte) for byte in content]
    lines, line = [], ""
    for value in values:
        if len(line) + len(value) + 2 > _LINE_WIDTH:
            lines.append(line.rstrip())
            line = ""
        line += f"{value}, "
    return "\n".join(f"    {each}" for each in [*lines, line.rstrip()] if each)


def rendered(template: str, delivery: Delivery, **more: Any) -> bytes:
    """A file of an export from its template."""
    program = delivery.program
    text = _ENVIRONMENT.get_template(template).render(
        delivery=delivery,
        name=delivery.name,
        guard=f"TN_{delivery.name.upper()}",
        camel="".join(part.capitalize() for part in delivery.name.split("_")),
        program=program,
        ends=[*numbered("input", program.inputs), *numbered("output", program.outputs)],
        inputs=numbered("input", program.inputs),
        outputs=numbered("output", program.outputs),
        macs=sum(layer.macs for layer in program.layers),
        provenance=delivery.provenance,
        costs=_costs(delivery.provenance),
        version=__version__,
        **more,
    )
    return text.encode()


def licence() -> bytes:
    """The Apache licence, version 2.0, which kernels and generated code are under."""
    return _ENVIRONMENT.get_template("LICENSE").render().encode()


def manifest(delivery: Delivery, to: str, files: Sequence[str]) -> bytes:
    """What an export says of itself to programs; its presence marks a folder that an export may replace."""
    record: Mapping[str, Any] = {
        "tinynas": __version__,
        "to": to,
        "name": delivery.name,
        "origin": delivery.provenance.origin,
        "model_sha256": delivery.program.sha256,
        "arena_bytes": delivery.program.arena_bytes,
        "constants_bytes": delivery.program.constants_bytes,
        "cost": None if delivery.provenance.cost is None else delivery.provenance.cost.to_json(),
        "files": sorted(files),
    }
    return (json.dumps(record, indent=2) + "\n").encode()


def _costs(provenance: Provenance) -> list[tuple[str, str, str]]:
    """Title, value and source of each figure that is known."""
    cost = provenance.cost
    if cost is None:
        return []
    return [
        (quantity.title, written(figure, cost.figure(figure)), str(source_of(cost, figure)))
        for figure, quantity in QUANTITIES.items()
        if cost.figure(figure) is not None
    ]


def _plain(text: object) -> str:
    """A study's text for Markdown: nothing that could begin a link, a tag, a cell or a line."""
    return re.sub(r"[^\w .,:;=+()/@%-]", "_", str(text))[:200]


_ENVIRONMENT = Environment(
    loader=PackageLoader("tinynas.study", "templates/export"),
    autoescape=False,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters |= {
    "percent": percent,
    "plain": _plain,
    "c_type": lambda dtype: "float" if dtype == "float32" else f"{dtype}_t",
    # float32 as text and back is exact with nine digits.
    "c_real": lambda value: f"{value:.9e}f",
    "shape": lambda sizes: " x ".join(str(size) for size in sizes),
    "values": lambda content: c_values(content, signed=True),
    "bytes_in_c": lambda content: c_values(content, signed=False),
}
