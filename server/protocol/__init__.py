"""OpenAI's wire types: what clients send and what they get back."""
