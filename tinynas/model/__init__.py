"""What is built: data, Keras networks, their training and their int8 form. The only home of TensorFlow.

`data` and the readers beside it need no TensorFlow; `build`, `train`, `quantize` and `score` are for child processes.
"""

import os

# Model optimization works on Keras 2 only; the variable counts as long as it is set before TensorFlow is imported.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
