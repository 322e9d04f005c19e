"""Text completions: prompts as they are, their answers, and OpenAI's older shapes for these."""
