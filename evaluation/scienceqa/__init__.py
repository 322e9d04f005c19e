"""ScienceQA (arXiv 2209.09513) as the paper evaluates it."""
