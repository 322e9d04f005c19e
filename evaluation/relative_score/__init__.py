"""The paper's relative score: a judge compares answers with those of a text-only reference."""
