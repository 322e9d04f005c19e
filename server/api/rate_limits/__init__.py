"""Limits of API keys: requests, image tokens and output tokens a minute, and requests at once."""
