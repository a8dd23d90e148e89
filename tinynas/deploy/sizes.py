"""What an image takes of a board's memories, read from the linked file."""

from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from tinynas.errors import ToolchainError

# The linker script keeps these apart; firmware/platform/image.ld.
_STATIC = (".noinit", ".data", ".bss")
_ARENA = ".bss.tn_arena"
_CONSTANTS = ".rodata.tn_constants"
_FAST = ".tn_fast"
_BUILD_ID = ".note.gnu.build-id"
_BUILD_ID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Memories [B] of one image, firmware included.

    Flash: code + constants = image, where constants are the network's weights, biases and tables.
    SRAM: static (variables of the firmware and of the network) + arena; the stack comes on top.
    fast: of the constants, what is copied to fast memory, which is SRAM where the board has no other.
    """

    code: int
    constants: int
    static: int
    arena: int
    image: int
    fast: int = 0


def read_sizes(elf: Path, binary: bytes) -> tuple[Sizes, str]:
    """The sizes of the linked file `elf`, whose flash content is `binary`, and its build id, 32 hexadecimal digits.

    Raises:
        ToolchainError: it is no linked file of this firmware.
    """
    size, build_id = _sections(elf)
    if not build_id:
        raise ToolchainError(f"linked file {elf} has no section {_BUILD_ID}")
    fast = size.get(_FAST, 0)
    constants = size.get(_CONSTANTS, 0) + fast
    sizes = Sizes(
        code=len(binary) - constants,
        constants=constants,
        static=sum(size.get(name, 0) for name in _STATIC),
        arena=size.get(_ARENA, 0),
        image=len(binary),
        fast=fast,
    )
    return sizes, build_id


def read_foreign_sizes(elf: Path, binary: bytes, arena: int, constants: int) -> Sizes:
    """The sizes of a file that another linker script than ours has laid out, where `arena` and `constants` [B] are the
    network's own. Constants that the linker puts into RAM, too, count as static.

    Raises:
        ToolchainError: it is no linked file.
    """
    size, _ = _sections(elf)
    static = sum(size.get(name, 0) for name in _STATIC) - arena
    return Sizes(code=len(binary) - constants, constants=constants, static=static, arena=arena, image=len(binary))


def _sections(elf: Path) -> tuple[dict[str, int], str]:
    """The sections' sizes [B], and the build id, empty where the linker wrote none."""
    try:
        with elf.open("rb") as stream:
            sections = {section.name: section for section in ELFFile(stream).iter_sections()}
            build_id = sections[_BUILD_ID].data()[-_BUILD_ID_BYTES:].hex() if _BUILD_ID in sections else ""
            return {name: int(section["sh_size"]) for name, section in sections.items()}, build_id
    except (OSError, ELFError) as error:
        raise ToolchainError(f"linked file {elf} cannot be read: {error!r}") from error


def symbol(elf: Path, name: str) -> int | None:
    """The value of a symbol of a linked file; None: it has none of that name.

    Raises:
        ToolchainError: it is no linked file.
    """
    try:
        with elf.open("rb") as stream:
            table = ELFFile(stream).get_section_by_name(".symtab")
            found = table.get_symbol_by_name(name) if isinstance(table, SymbolTableSection) else None
            return int(found[0]["st_value"]) if found else None
    except (OSError, ELFError) as error:
        raise ToolchainError(f"linked file {elf} cannot be read: {error!r}") from error
