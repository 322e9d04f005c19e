"""The text completions dialect: prompts without a template, completed in OpenAI's older shapes."""
