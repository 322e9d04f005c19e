"""What the Dockerfiles say."""

import json
import re
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
DOCKERFILES: Final = (ROOT / "Dockerfile", ROOT / "docker" / "Dockerfile.cpu")


def read_instruction(dockerfile: Path, name: str) -> str:
    """Return the last instruction of a name, in one line."""
    text = dockerfile.read_text().replace("\\\n", " ")
    return str(re.findall(rf"^{name} +(.+)$", text, re.M)[-1])


def read_words(dockerfile: Path, name: str) -> list[Any]:
    """Return the words of the last instruction of a name, which must be in JSON's form."""
    return list(json.loads(read_instruction(dockerfile, name).removeprefix("CMD ")))
