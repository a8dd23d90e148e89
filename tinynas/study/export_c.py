"""Export as a C library: sources, only the kernels that the network needs, and an example that tests itself.

The layout is that of a PlatformIO library, which CMake and a plain compiler understand as well.
"""

import json
from typing import Any

from tinynas import __version__
from tinynas.study.delivery import Delivery, kernels_for, licence, rendered


def library_files(delivery: Delivery) -> dict[str, bytes]:
    """The library itself: `include/`, `src/` and `library.json`."""
    name, sources = delivery.name, delivery.sources
    public = {f"{name}.h", f"{name}_ends.h"}
    files = {f"{'include' if path in public else 'src'}/{path}": content for path, content in sources.items()}
    files |= {f"src/{path}": content for path, content in kernels_for(sources.values()).items()}
    files["library.json"] = _library_json(delivery)
    files["LICENSE"] = licence()
    return files


def vector_header(delivery: Delivery) -> bytes:
    """A C header with the test vector."""
    return rendered("vector.h.j2", delivery)


def c_library(delivery: Delivery) -> dict[str, bytes]:
    """All files of the export: path in the folder -> content."""
    return {
        **library_files(delivery),
        "examples/self_test/main.c": rendered("main.c.j2", delivery),
        "examples/self_test/vector.h": vector_header(delivery),
        "CMakeLists.txt": rendered("CMakeLists.txt.j2", delivery),
        "README.md": rendered("README.c.md.j2", delivery),
    }


def _library_json(delivery: Delivery) -> bytes:
    record: dict[str, Any] = {
        "name": f"tn_{delivery.name}",
        "version": "1.0.0",
        "description": f"int8 network compiled by tinynas {__version__}, model SHA-256 {delivery.program.sha256[:16]}",
        "keywords": ["neural network", "int8", "inference"],
        "license": "Apache-2.0",
        "frameworks": "*",
        "platforms": "*",
        "headers": f"{delivery.name}.h",
        "examples": [{"name": "self test", "base": "examples/self_test", "files": ["main.c", "vector.h"]}],
        "build": {"includeDir": "include", "srcDir": "src", "flags": ["-O2", "-std=c11"]},
    }
    return (json.dumps(record, indent=2) + "\n").encode()
