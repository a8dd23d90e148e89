"""Calls of kernels as C: one with its parameters, or one that finds those of its patch in a table."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby

from tinynas.compiler.step import Argument, Call, Constant, Part, Scratch, Stage, Step

WIDTH = 116


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """How a step's arguments are written: symbols by a constant's identity, offsets by tensor and for scratch."""

    prefix: str
    symbols: dict[int, str]
    offsets: dict[int, int]
    scratch: int
    # What is added to an activation's address, by tensor.
    moved: dict[int, str] = field(default_factory=dict)

    def write(self, argument: Argument) -> str:
        if isinstance(argument, int):
            return str(argument)
        if isinstance(argument, Constant):
            return self.symbols[id(argument)]
        if isinstance(argument, Scratch):
            return f"{self.prefix}_arena + {self.scratch}"
        return self.address(argument.index) + self.moved.get(argument.index, "")

    def address(self, tensor: int) -> str:
        return f"{self.prefix}_arena + {self.offsets[tensor]}"


def wrapped(items: Sequence[str]) -> str:
    """Comma-separated items in indented lines."""
    lines, line = [], ""
    for item in items:
        if len(line) + len(item) + 2 > WIDTH:
            lines.append(f"    {line.rstrip()}")
            line = ""
        line += f"{item}, "
    return "\n".join([*lines, f"    {line.rstrip()}"])


def write_call(call: Call, arguments: Arguments) -> str:
    """A call with parameters of its own."""
    fields = textwrap.indent(wrapped(_fields(call, call.parameters)), "    ")
    line = _write_line(call, arguments, "&layer")
    return f"    static const struct {call.record} layer = {{\n{fields}\n    }};\n\n{line}\n"


def _fields(call: Call, parameters: Mapping[str, int | str]) -> list[str]:
    # Hexadecimal digits give a float32 value exactly.
    reals = {name: f"{value.hex()}F" for name, value in call.reals.items()}
    return [f".{name} = {value}" for name, value in {**parameters, **reals}.items()]


def _write_line(call: Call, arguments: Arguments, record: str) -> str:
    listed = ", ".join([record, *(arguments.write(argument) for argument in call.arguments)])
    return textwrap.fill(f"{call.kernel}({listed});", WIDTH, initial_indent="    ", subsequent_indent="        ")


def write_parts(step: Step, stage: Stage, arguments: Arguments) -> str:
    """The body of a layer that runs in patches: a table of what differs between them, and a call for the `patch`."""
    call, output = step.calls[0], step.operator.output.index
    runs = [(part, len(list(group))) for part, group in groupby(step.parts)]
    forms, begins = [part for part, _ in runs], list(accumulate(count for _, count in runs[:-1]))
    sources = list(dict.fromkeys(tensor.index for tensor in step.operator.activations))
    places = {source: f" + at->inputs[{number}]" for number, source in enumerate(sources)} | {output: " + at->output"}
    moved = {tensor: place + _advance(stage.advances.get(tensor, 0)) for tensor, place in places.items()}
    parameters, table = _split(call, forms)
    kept = f"    tn_keep_rows({arguments.address(output)}, at->kept_from, at->kept_bytes);\n"
    line = _write_line(call, replace(arguments, moved=moved), "&layer")
    if not all(form.rows for form in forms):
        line = f"    if (at->rows > 0) {{\n{textwrap.indent(line, '    ')}\n    }}"
    return "".join(
        [
            _write_table(f"struct tn_patch forms[{len(forms)}]", [_fields_of(form, sources, output) for form in forms]),
            _write_table(f"int32_t values[{len(forms)}][{len(table[0])}]", table) if table[0] else "",
            f"    const int32_t form = {' + '.join(f'(patch >= {begin})' for begin in begins) or '0 * patch'};\n",
            "    const struct tn_patch *const at = &forms[form];\n",
            f"    const struct {call.record} layer = {{\n",
            textwrap.indent(wrapped(_fields(call, parameters)), "    "),
            "\n    };\n\n",
            kept if any(form.kept_bytes for form in forms) else "",
            f"{line}\n",
        ]
    )


def _split(call: Call, forms: Sequence[Part]) -> tuple[dict[str, str], list[list[str]]]:
    """The call's parameters as C, and for each form a row of values of those that are not the same in all."""
    values = {name: [form.parameters.get(name, value) for form in forms] for name, value in call.parameters.items()}
    varying = [name for name, each in values.items() if len(set(each)) > 1]
    parameters = {name: str(each[0]) for name, each in values.items()}
    parameters |= {name: f"values[form][{number}]" for number, name in enumerate(varying)}
    return parameters, [[str(values[name][row]) for name in varying] for row in range(len(forms))]


def _write_table(declared: str, rows: Sequence[Sequence[str]]) -> str:
    lines = "".join(f"        {{{', '.join(row)}}},\n" for row in rows)
    return f"    static const {declared} = {{\n{lines}    }};\n"


def _advance(count: int) -> str:
    return f" + patch * {count}" if count else ""


def _fields_of(form: Part, sources: list[int], output: int) -> list[str]:
    inputs = ", ".join(str(form.starts.get(source, 0)) for source in sources)
    return [
        f".rows = {form.rows}",
        f".inputs = {{{inputs}}}",
        f".output = {form.starts.get(output, 0)}",
        f".kept_from = {form.kept_from}",
        f".kept_bytes = {form.kept_bytes}",
    ]
