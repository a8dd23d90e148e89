"""Networks and the firmware around them: what an image of one or several is made of beside the firmware."""

from collections.abc import Sequence

from tinynas.compiler.ends import write_ends
from tinynas.compiler.program import Program

_ARENA = "tn_arena"


def write_image(programs: Sequence[Program]) -> dict[str, bytes]:
    """Sources by name for an image that holds these networks, of different names. Several share one arena."""
    names = [program.name for program in programs]
    files = {
        **{name: content for program in programs for name, content in program.files.items()},
        **{f"{program.name}_ends.h": write_ends(program) for program in programs},
    }
    if len(programs) == 1:
        return {**files, **write_list(names)}
    arena = f"#define TN_ARENA {_ARENA}\n"
    largest = max(program.arena_bytes for program in programs)
    shared = {f"{name}.c": arena.encode() + files[f"{name}.c"] for name in names}
    return {**files, **shared, **write_list(names, f"{arena}#define TN_LARGEST_ARENA_BYTES {largest}\n")}


def write_list(names: Sequence[str], arena: str = "") -> dict[str, bytes]:
    """What the firmware and its linker script include to know the networks; `arena` defines the one that they share."""
    includes = "".join(f'#include "{name}_ends.h"\n' for name in names)
    entries = " ".join(f"entry({name}, {name.upper()})" for name in names)
    places = "".join(
        f". = ALIGN(16);\n*src/{name}.o(.text .text.*)\n*src/{name}.o(.rodata .rodata.*)\n" for name in names
    )
    said = "Written by tinynas: do not edit. */\n"
    listed = f"/* Networks of the image. {said}{includes}\n{arena}#define TN_NETWORKS(entry) {entries}\n"
    return {"network_list.h": listed.encode(), "networks.ld": f"/* Where they lie. {said}{places}".encode()}
