"""A client that asks OpenAI-compatible endpoints many questions and journals the answers."""
