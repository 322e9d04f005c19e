"""Shapes of published checkpoints: their configuration files, to be filled with random weights."""
