"""Turns LLaVA's released checkpoints into the Hugging Face layout that the server loads."""
