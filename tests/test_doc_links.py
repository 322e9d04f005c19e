"""Links between documents lead to files and headings that exist, and a program has one name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links(document: Path) -> None:
    for link in LINK.findall(FENCE.sub("", document.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_guide_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for guide in ROOT.glob("docs/*.md"):
        assert guide.name == "README.md" or f"({guide.name})" in index


@pytest.mark.parametrize("guide", sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name)
def test_the_program_has_one_spelling(guide: Path) -> None:
    """docs/README.md says what it is in a clone; the reference, that it is a module, too."""
    text = guide.read_text()
    modules = re.findall(r"python -m (?:server|training|evaluation|model_store)\b(?!\.)", text)
    assert modules == (["python -m server"] if guide.name == "reference.md" else [])
    if guide.name not in ("README.md", "reference.md", "deployment.md"):
        assert ".venv/bin/llava-server" not in text
