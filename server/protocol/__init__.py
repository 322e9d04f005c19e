"""OpenAI's wire types: request bodies, response bodies and events."""
