"""The embedded model's recipe: drawn scenes, questions on them, a LLaVA trained on both."""
