"""Training samples that look a little different every time they are seen."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """flip: whether every other sample, by chance, has its columns in reverse. rows, columns: by up to how many each
    sample is moved, either way; what moves in repeats the edge.
    """

    flip: bool = False
    rows: int = 0
    columns: int = 0


NO_AUGMENTATION = Augmentation()


def augment(batch: Any, augmentation: Augmentation, seed: Any) -> Any:
    """The float32 samples (n, rows, columns, channels), changed as `seed`, two integers, has it."""
    import tensorflow as tf

    samples, seeds = tf.shape(batch)[0], tf.random.split(seed, 3)
    for axis, most in ((1, augmentation.rows), (2, augmentation.columns)):
        if most:
            batch = tf.gather(batch, _moved(samples, batch.shape[axis], most, seeds[axis]), axis=axis, batch_dims=1)
    if augmentation.flip:
        mirrored = tf.random.stateless_uniform([samples, 1, 1, 1], seeds[0]) < 0.5
        batch = tf.where(mirrored, tf.reverse(batch, [2]), batch)
    return batch


def _moved(samples: Any, size: int, most: int, seed: Any) -> Any:
    """For each sample the places 0 to `size`, int32 (n, size), moved by up to `most` and kept inside."""
    import tensorflow as tf

    moves = tf.random.stateless_uniform([samples, 1], seed, -most, most + 1, tf.int32)
    return tf.clip_by_value(tf.range(size) + moves, 0, size - 1)
