"""Image files: how they are decoded, what is refused, and how values are normalised. One rule for all commands."""

from asvit.images.arrays import from_array, range_option
from asvit.images.bounds import UNREADABLE, Unfit, why_unreadable
from asvit.images.normalisation import Normalisation, to_tensor
from asvit.images.pictures import as_mode, open_raster, opened_picture, upright_size
from asvit.images.reading import check_size, decode, load_array, open_image, read_image
from asvit.listing import ARRAYS, RASTER

__all__ = [
    "ARRAYS",
    "RASTER",
    "UNREADABLE",
    "Normalisation",
    "Unfit",
    "as_mode",
    "check_size",
    "decode",
    "from_array",
    "load_array",
    "open_image",
    "open_raster",
    "opened_picture",
    "range_option",
    "read_image",
    "to_tensor",
    "upright_size",
    "why_unreadable",
]
