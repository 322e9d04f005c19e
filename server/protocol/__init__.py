"""OpenAI's and Anthropic's wire types: request bodies, response bodies and events."""
