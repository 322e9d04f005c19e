"""An OpenAI-compatible server for LLaVA models, in front of vLLM's engine."""

__version__ = "0.1.0"
