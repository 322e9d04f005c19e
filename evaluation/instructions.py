"""Instructions after questions, with which LLaVA-1.5 was trained (arXiv 2310.03744, table 7)."""

from typing import Final

LETTER_ONLY: Final = "Answer with the option's letter from the given choices directly."
