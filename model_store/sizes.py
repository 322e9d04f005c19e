"""Sizes as people read them."""


def readable(size: int) -> str:
    """Return bytes in decimal units with three digits, as the hub shows them: `13.5 GB`."""
    value, units = float(size), ["B", "kB", "MB", "GB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}" if value < 999.5 else f"{value:.0f} {units[0]}"
