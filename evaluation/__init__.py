"""Measures models behind OpenAI-compatible endpoints, as "Visual Instruction Tuning" does."""
