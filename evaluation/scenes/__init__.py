"""Exact match on newly drawn scenes, by kind of question."""
