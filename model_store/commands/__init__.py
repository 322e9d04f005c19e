"""The commands of `python -m model_store`, one per module."""
