"""Asks OpenAI-compatible endpoints many questions and keeps every answer as it comes."""
