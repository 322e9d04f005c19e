"""Scores and submission files of the benchmarks that LLaVA-1.5 reports."""
