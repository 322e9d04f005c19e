"""S2 (scaling on scales): a tower that sees an image at several sizes, in tiles of its own size.

Follows `CLIPVisionTowerS2` of the released code.
"""

from collections.abc import Mapping
from typing import Any, Final

DEFAULT_SCALES: Final = "336,672,1008"


def read_s2_scales(config: Mapping[str, Any], image_size: int) -> tuple[int, ...]:
    """Return the sizes of `s2_scales`, the smallest first; none for a config without `s2`.

    `image_size` is the tower's. Raises `ValueError` unless every size is a multiple of it.
    """
    if not config.get("s2"):
        return ()
    listed = config.get("s2_scales") or DEFAULT_SCALES
    try:
        parts = listed.split(",") if isinstance(listed, str) else listed
        scales = tuple(sorted(int(part) for part in parts))
    except (TypeError, ValueError):
        raise ValueError(f"s2_scales {listed!r} is not a list of sizes") from None
    if not scales or scales[0] != image_size or any(scale % image_size for scale in scales):
        raise ValueError(
            f"s2_scales {listed!r} are not the tower's {image_size} and multiples of it"
        )
    return scales


def format_s2_scales(scales: tuple[int, ...]) -> str:
    """Return the sizes in a config's form."""
    return ",".join(map(str, scales))
