"""Exact match on freshly drawn scenes, by kind of question."""
