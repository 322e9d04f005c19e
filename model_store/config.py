"""Reads config.json where whatever it lacks is merely not known."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_config(folder: Path) -> Mapping[str, Any]:
    """Return what a model's config.json says; nothing where it is missing or malformed."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
