"""Code for size: layers that call the same kernel share one copy of it, which reads its parameters at run time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tinynas.compiler.step import Call, Constant, Scratch, Step

# These are kept apart already: all layers of a form share them.
_APART = ("tn_pair_conv", "tn_mve_conv", "tn_mve_depthwise")
# Of fewer calls, copies whose parameters are constants tend to be smaller: of MLPerf Tiny's networks on Cortex-M4, four
# depthwise convolutions take 868 B less if they share, in kws, and 600 B more in sww.
_LEAST_USERS = 5


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The steps with their calls of shared kernels, and the kernels, in C."""

    steps: tuple[Step, ...]
    functions: str


def share_kernels(steps: Sequence[Step], name: str) -> Shared:
    """Each form of a kernel that several calls need becomes a function. name: of the network.

    A form is the kernel with its literals, which select a variant, and the kinds of its other arguments.
    """
    users = Counter(_form(step, call) for step in steps for call in step.calls)
    symbols: dict[tuple[str, ...], str] = {}
    functions = []
    for form, count in users.items():
        if count >= _LEAST_USERS and not form[0].startswith(_APART):
            symbols[form] = f"tn_{name}_{form[0].removeprefix('tn_')}_{len(symbols)}"
            functions.append(_function(form, symbols[form]))
    changed = tuple(
        replace(step, calls=tuple(_shared(step, call, symbols) for call in step.calls)) if step.calls else step
        for step in steps
    )
    return Shared(steps=changed, functions="\n".join(functions))


def _form(step: Step, call: Call) -> tuple[str, ...]:
    """The kernel, its record, and for each argument its type or literal."""
    output = step.operator.output
    kinds = []
    for argument in call.arguments:
        if isinstance(argument, int):
            kinds.append(str(argument))
        elif isinstance(argument, Constant):
            kinds.append(f"const {argument.values.dtype.name}_t *")
        else:
            # In a patch, the output is another tensor of the same index.
            written = isinstance(argument, Scratch) or argument.index == output.index
            kinds.append("int8_t *" if written else "const int8_t *")
    return (call.kernel, call.record, *kinds)


def _shared(step: Step, call: Call, symbols: dict[tuple[str, ...], str]) -> Call:
    symbol = symbols.get(_form(step, call))
    if symbol is None:
        return call
    return replace(call, kernel=symbol, arguments=tuple(each for each in call.arguments if not isinstance(each, int)))


def _function(form: tuple[str, ...], symbol: str) -> str:
    kernel, record, *kinds = form
    given = [f"{kind}{letter}" if "*" in kind else "" for kind, letter in zip(kinds, "abcdefghij", strict=False)]
    passed = [letter if "*" in kind else kind for kind, letter in zip(kinds, "abcdefghij", strict=False)]
    parameters = ", ".join([f"const struct {record} *layer", *filter(None, given)])
    return f"""TN_APART void {symbol}({parameters})
{{
    {kernel}({", ".join(["layer", *passed])});
    TN_WRITTEN();
}}
"""
