"""OpenAI's wire types of `POST /v1/responses`: the request, the response and its events."""
