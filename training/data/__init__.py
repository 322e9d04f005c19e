"""Drawn scenes and the conversations about them."""
