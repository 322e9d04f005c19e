"""Benchmarks of this server, vLLM's server and the engine alone, in one run."""
