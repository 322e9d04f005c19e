"""The model: architecture, tokenizer, packed sequences, export."""
