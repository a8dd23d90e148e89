"""How PlatformIO builds and uploads: the network in the project's src folder, and the firmware around it.

The board's manifest gives everything that differs between boards; there is no other place for a flag or a size, but
that `custom_optimize = size` in platformio.ini asks for small code.
"""

import shutil
from pathlib import Path

from SCons.Script import COMMAND_LINE_TARGETS, AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
board = env.BoardConfig()
FIRMWARE = Path(env.PioPlatform().get_dir()).resolve().parent
PLATFORM = FIRMWARE / "platform"

port = board.get("tinynas.port")
stack_bytes = board.get("tinynas.stack_bytes", 4096)
payload_bytes = board.get("tinynas.payload_bytes", 1024)
flags = [
    "-Os" if env.GetProjectOption("custom_optimize", "speed") == "size" and flag.startswith("-O") else flag
    for flag in board.get("tinynas.flags")
]
symbols = {
    "flash_start": board.get("tinynas.flash_start", "0x08000000"),
    "flash_bytes": board.get("tinynas.flash_bytes"),
    "sram_start": board.get("tinynas.sram_start", "0x20000000"),
    "sram_bytes": board.get("tinynas.sram_bytes"),
    "stack_bytes": stack_bytes,
}
fast = board.get("tinynas.fast_memory", None)
if fast:
    symbols |= {"fast_start": fast["start"], "fast_bytes": fast["bytes"]}
# What differs between CPUs: the names of the tools begin with the key.
TOOLCHAINS = {
    "arm-none-eabi": {
        "sources": ["+<cortex_m.c>"],
        "startup": "startup_cortex_m4.c",
        "link": ["--specs=nano.specs"],
        "compile": [],
    },
    "riscv64-unknown-elf": {
        "sources": [],
        "startup": "startup_riscv.S",
        "link": ["--specs=picolibc.specs"],
        # Without a limit of 0, variables of a few bytes get sections of their own.
        "compile": ["--specs=picolibc.specs", "-msmall-data-limit=0"],
    },
}
prefix = board.get("tinynas.toolchain", "arm-none-eabi")
toolchain = TOOLCHAINS[prefix]

env.Replace(
    AR=f"{prefix}-ar",
    AS=f"{prefix}-as",
    CC=f"{prefix}-gcc",
    CXX=f"{prefix}-g++",
    OBJCOPY=f"{prefix}-objcopy",
    RANLIB=f"{prefix}-ranlib",
    LINK=f"{prefix}-gcc",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    CFLAGS=["-std=gnu11"],
    # A large frame is refused here, because a stack that overflows on the board takes the link along.
    CCFLAGS=[
        *flags,
        *toolchain["compile"],
        *("-Wall", "-Wextra", "-Werror", f"-Wframe-larger-than={stack_bytes // 4}"),
        *("-ffunction-sections", "-fdata-sections"),
    ],
    ASFLAGS=flags,
    ASPPFLAGS=[*flags, "-x", "assembler-with-cpp"],
    CPPPATH=["$PROJECT_SRC_DIR", str(FIRMWARE / "lib"), str(FIRMWARE / "src")],
    CPPDEFINES=[
        ("F_CPU", board.get("tinynas.clock_hz")),
        ("TN_PAYLOAD_BYTES", payload_bytes),
        ("TN_BAUD", board.get("tinynas.baud", 115200)),
        ("TN_BOARD_NAME", '\\"$BOARD\\"'),
    ],
    LINKFLAGS=[
        *flags,
        "-nostartfiles",
        *toolchain["link"],
        # The id is a hash of what is linked, so equal images have equal ids.
        "-Wl,--gc-sections,--build-id=md5,--fatal-warnings",
        *(f"-Wl,--defsym={name}={value}" for name, value in symbols.items()),
        f"-L{PLATFORM / 'fast' / ('own' if fast else 'sram')}",
    ],
    LDSCRIPT_PATH=str(PLATFORM / "image.ld"),
    LIBS=["c", "m", "gcc"],
)
sources = ["+<*.c>", "-<port_*.c>", "-<cortex_m.c>", *toolchain["sources"], f"+<port_{port}.c>"]
env.BuildSources("$BUILD_DIR/firmware", str(FIRMWARE / "src"), sources)
env.BuildSources("$BUILD_DIR/platform", str(PLATFORM), [f"+<{toolchain['startup']}>"])

IMAGE = "$BUILD_DIR/${PROGNAME}.bin"


def write_flash(target, source, env):
    """Put the image where the emulated board boots from: whole or not at all, because a board may be starting."""
    destination = env.subst("$UPLOAD_PORT")
    if not destination:
        env.Exit("Error: no --upload-port: for an emulated board it is the file that the emulator boots from")
    partial = f"{destination}.partial"
    shutil.copyfile(str(source[0]), partial)
    Path(partial).replace(destination)


def refuse_upload(target, source, env):
    env.Exit(f"Error: upload protocol {protocol!r} is not supported, only 'emulator' is")


if "nobuild" in COMMAND_LINE_TARGETS:
    # PlatformIO empties the build folder of a project that it does not know yet; an image from elsewhere lies beside.
    staged = Path(env.subst("$PROJECT_DIR")) / "firmware.bin"
    image = env.File(str(staged) if staged.is_file() else IMAGE)
else:
    program = env.BuildProgram()
    env.Depends(program, "$LDSCRIPT_PATH")
    image = env.Command(IMAGE, program, env.VerboseAction("$OBJCOPY -O binary $SOURCE $TARGET", "Extracting $TARGET"))
    Default(image)

AlwaysBuild(env.Alias("nobuild", image))
protocol = env.subst("$UPLOAD_PROTOCOL") or board.get("upload.protocol")
env.AddPlatformTarget("upload", image, write_flash if protocol == "emulator" else refuse_upload, "Upload")
