"""The chat completions dialect: deltas as a chat completion or its chunks."""
