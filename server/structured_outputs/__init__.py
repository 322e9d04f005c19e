"""Grammars for response formats, structured outputs and tool calls."""
