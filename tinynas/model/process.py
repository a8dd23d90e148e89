"""A process that works with TensorFlow: one thread, and nothing of TensorFlow's chatter on the user's terminal."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


class Captured:
    """What was written to the standard error while it was captured; complete once the capture has ended."""

    text = ""


@contextlib.contextmanager
def captured_stderr() -> Iterator[Captured]:
    """Keep what Python and C++ code write to the standard error off the terminal.

    TensorFlow's converter and tflite-micro write to file descriptor 2, past `sys.stderr` and every log level.
    """
    captured = Captured()
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield captured
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            captured.text = file.read().decode(errors="replace")


def configure_process() -> None:
    """Import TensorFlow for work on one thread. Call it once, before anything else uses TensorFlow.

    One thread makes sums come in one order, so that the same seed gives the same weights, and leaves the other cores
    to the other children.
    """
    with captured_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow as tf
        import tf_keras  # noqa: F401

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.set_visible_devices([], "GPU")
        # It takes every new candidate for a careless retracing of the last one.
        tf.get_logger().setLevel("ERROR")
        # The first operation loads the kernels, which is what writes.
        tf.zeros(1)
