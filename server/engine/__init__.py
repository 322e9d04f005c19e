"""The language model behind a narrow interface."""
