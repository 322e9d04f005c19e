"""The chat completions dialect: engine output as chat completions and chunks."""
