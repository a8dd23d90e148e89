"""A folder of images per class."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tinynas.config import TaskSection
from tinynas.errors import ConfigError
from tinynas.model.folders import class_files, file_groups
from tinynas.model.samples import Samples

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm")


def read_images(path: Path, section: TaskSection) -> Samples:
    """Read `path`/CLASS/*.png (or jpg, bmp, gif, webp, ppm): x uint8 (n, height, width, 1 or 3).

    With `image_size` every image is resized to that many pixels square, its aspect ratio given up; otherwise all must
    have one size. With `grayscale` there is one channel (ITU-R 601 luma), otherwise three.
    A camera's note of which way is up is followed.

    Raises:
        ConfigError: the folder, a class or its files are missing.
        ConfigError: an image is corrupt, or its size differs from the first one's; the message names it.
    """
    names, files = class_files(path, _SUFFIXES)
    images: list[np.ndarray] = []
    for file, _ in files:
        image = _read_image(file, section.image_size, section.grayscale)
        if images and image.shape != images[0].shape:
            raise ConfigError(
                f"{file} has {image.shape[1]} x {image.shape[0]} pixels, {files[0][0]} has {images[0].shape[1]} x "
                f"{images[0].shape[0]}: set image_size to resize all"
            )
        images.append(image)
    return Samples(
        x=np.stack(images),
        y=np.array([label for _, label in files], np.int64),
        class_names=names,
        features="grey level of a pixel, 0 to 255" if section.grayscale else "red, green, blue of a pixel, 0 to 255",
        source=str(path),
        offset=127.5,
        scale=127.5,
        groups=file_groups([file.name for file, _ in files], section.group_regex),
    )


def _read_image(path: Path, size: int | None, grayscale: bool) -> np.ndarray:
    try:
        with warnings.catch_warnings(), Image.open(path) as opened:
            # Pillow only warns of an image that would fill the memory; here it is as unusable as a corrupt one.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if opened.mode.startswith(("I", "F")):
                raise ConfigError(f"{path} has more than 8 bit per channel (mode {opened.mode}): convert it first")
            image = ImageOps.exif_transpose(opened).convert("L" if grayscale else "RGB")
    except (
        OSError,
        ValueError,
        SyntaxError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise ConfigError(f"{path} is no image that can be read: {error}") from error
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.uint8)
    return pixels[..., np.newaxis] if grayscale else pixels
