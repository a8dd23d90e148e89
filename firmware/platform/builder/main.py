"""How PlatformIO builds and uploads: the network in the project's src folder, and the firmware around it.

The board's manifest gives everything that differs between boards; there is no other place for a flag or a size, but
that `custom_optimize = size` in platformio.ini asks for small code, and `custom_stack_bytes` for another stack.
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
# What differs between CPUs: the names of the tools begin with the key.
symbols = {
    "flash_start": board.get("tinynas.flash_start", "0x08000000"),
    "flash_bytes": board.get("tinynas.flash_bytes"),
    "sram_start": board.get("tinynas.sram_start", "0x20000000"),
    "sram_bytes": board.get("tinynas.sram_bytes"),
    # Less than the manifest's where somebody looks for the least that is enough.
    "stack_bytes": env.GetProjectOption("custom_stack_bytes", stack_bytes),
}
fast = board.get("tinynas.fast_memory", None)
if fast:
    symbols |= {"fast_start": fast["start"], "fast_bytes": fast["bytes"]}
# What differs between CPUs: the names of the tools begin with the key.
BARE_METAL = ["-nostartfiles", "-Wl,--build-id=md5", "-T", str(PLATFORM / "image.ld")]
TOOLCHAINS = {
    "arm-none-eabi": {
        "sources": ["+<start.c>", "+<cortex_m.c>"],
        "startup": ["+<startup_cortex_m4.c>"],
        "link": [*BARE_METAL, "--specs=nano.specs"],
    },
    "riscv64-unknown-elf": {
        "sources": ["+<start.c>"],
        "startup": ["+<startup_riscv.S>"],
        "link": [*BARE_METAL, "--specs=picolibc.specs"],
        # Without a limit of 0, variables of a few bytes get sections of their own.
        "compile": ["--specs=picolibc.specs", "-msmall-data-limit=0"],
    },
    # avr-libc starts the program, and its linker script knows these sizes by other names.
    "avr": {
        "sources": [],
        "startup": [],
        "link": [],
        "compile": ["-DTN_CONSTANTS_IN_FLASH", "-fno-ivopts"],
        "symbols": {
            "__TEXT_REGION_LENGTH__": symbols["flash_bytes"],
            "__DATA_REGION_LENGTH__": symbols["sram_bytes"] - stack_bytes,
        },
    },
}
# Debian's package arduino-core-avr.
ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr")


def add_arduino():
    """The Arduino core, with its own sources' warnings."""
    core, variant = ARDUINO / "cores" / "arduino", ARDUINO / "variants" / board.get("build.variant")
    wire = ARDUINO / "libraries" / "Wire" / "src"
    if not core.is_dir():
        env.Exit(f"Error: {core} is missing: apt-get install arduino-core-avr")
    env.Append(
        CPPDEFINES=[("ARDUINO", 10819), "ARDUINO_ARCH_AVR"],
        CPPPATH=[str(core), str(variant), str(wire), str(wire / "utility")],
        CXXFLAGS=["-std=gnu++11", "-fno-exceptions", "-fno-threadsafe-statics"],
    )
    arduino = env.Clone()
    # Debian's avr-gcc 5.4 has DECIMAL_DIG only in C.
    arduino.Append(CCFLAGS=["-w"], CPPDEFINES=[("DECIMAL_DIG", "__DECIMAL_DIG__")])
    arduino.BuildSources("$BUILD_DIR/arduino", str(core), ["+<*>", "-<wiring_pulse.S>"])
    arduino.BuildSources("$BUILD_DIR/wire", str(wire), ["+<*>"])


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
        *toolchain.get("compile", []),
        *("-Wall", "-Wextra", "-Werror", f"-Wframe-larger-than={stack_bytes // 4}"),
        *("-ffunction-sections", "-fdata-sections"),
    ],
    ASFLAGS=flags,
    ASPPFLAGS=[*flags, "-x", "assembler-with-cpp"],
    CPPPATH=["$PROJECT_SRC_DIR", str(FIRMWARE / "lib"), str(FIRMWARE / "src")],
    CPPDEFINES=[
        ("F_CPU", board.get("tinynas.clock_hz")),
        ("TN_PAYLOAD_BYTES", payload_bytes),
        ("TN_STACK_BYTES", stack_bytes),
        ("TN_BAUD", board.get("tinynas.baud", 115200)),
        ("TN_BOARD_NAME", '\\"$BOARD\\"'),
    ],
    LINKFLAGS=[
        *flags,
        # The id is a hash of what is linked, so equal images have equal ids.
        *toolchain["link"],
        "-Wl,--gc-sections,--fatal-warnings",
        *(f"-Wl,--defsym={name}={value}" for name, value in toolchain.get("symbols", symbols).items()),
        f"-L{PLATFORM / 'fast' / ('own' if fast else 'sram')}",
        # For networks.ld.
        f"-L{env.subst('$PROJECT_SRC_DIR')}",
    ],
    LIBS=["c", "m", "gcc"],
)
SHARED = ["+<*.c>", "-<port_*.c>", "-<cortex_m.c>", "-<start.c>"]
if port == "arduino":
    add_arduino()
env.BuildSources("$BUILD_DIR/firmware", str(FIRMWARE / "src"), [*SHARED, *toolchain["sources"], f"+<port_{port}.c*>"])
env.BuildSources("$BUILD_DIR/platform", str(PLATFORM), ["-<*>", *toolchain["startup"]])

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
    env.Depends(program, [str(PLATFORM / "image.ld"), "$PROJECT_SRC_DIR/networks.ld"])
    image = env.Command(
        IMAGE, program, env.VerboseAction("$OBJCOPY -O binary -R .eeprom $SOURCE $TARGET", "Extracting $TARGET")
    )
    Default(image)

AlwaysBuild(env.Alias("nobuild", image))
protocol = env.subst("$UPLOAD_PROTOCOL") or board.get("upload.protocol")
env.AddPlatformTarget("upload", image, write_flash if protocol == "emulator" else refuse_upload, "Upload")
