"""Measures this server beside vLLM's own and beside the engine alone, in one run."""
