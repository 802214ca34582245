"""Sizes of a picture, made on demand from a signed address.

This room draws and signs; where pictures lie, and who may see them, is for its caller to know.
"""

from images.drawing import Cannot, Picture, Refused, draw
from images.sizes import MAX_SIDE, MEDIA_TYPES, Box, Size
from images.tokens import Forged, opened, token

__all__ = [
    "MAX_SIDE",
    "MEDIA_TYPES",
    "Box",
    "Cannot",
    "Forged",
    "Picture",
    "Refused",
    "Size",
    "draw",
    "opened",
    "token",
]
