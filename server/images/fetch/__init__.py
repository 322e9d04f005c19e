"""From an image URL to bytes, safely: `data:`, `file:` and http(s) URLs."""
