"""Limits of API keys: requests, image tokens and output tokens per minute, and requests at once."""
