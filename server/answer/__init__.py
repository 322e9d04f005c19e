"""From the engine's outputs to what an answer gains by each: text, tool calls, logprobs."""
