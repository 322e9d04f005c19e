"""The scenarios: each runs the cell under some conditions and compares."""
