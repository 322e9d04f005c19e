"""Soft accuracy of an answer against the answers of several annotators."""

from collections.abc import Sequence


def compute_soft_accuracy(answer: str, references: Sequence[str]) -> float:
    """Return the mean, over the annotators, of min(1, matches among the others / 3).

    As in the official evaluations of VQA and TextVQA; 0 to 1.
    """
    matches = references.count(answer)
    others = len(references) - matches
    agreeing = matches * min(1.0, (matches - 1) / 3) if matches else 0.0
    return (agreeing + others * min(1.0, matches / 3)) / len(references)
