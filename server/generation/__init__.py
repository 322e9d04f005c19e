"""From engine outputs to each choice's deltas: text, tool calls, log probabilities."""
