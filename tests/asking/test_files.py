"""Files of records: what cannot be read is told with its place."""

from pathlib import Path

import pytest
import typer

from asking.errors import InputError
from asking.files import read_json
from asking.journal import Journal
from asking.options import parse_request_fields

DEEP = "[" * 100_000


@pytest.mark.parametrize("text", [DEEP, "{", '{"a": ' + "9" * 5000 + "}"])
def test_what_is_no_json_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json(:1)?: not JSON: "):
        read_json(tmp_path / "a.json")
    with pytest.raises(typer.BadParameter, match="is not JSON: "):
        parse_request_fields(text, "--request")


def test_a_cut_line_of_any_depth_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"question_id": "1", "text": "a"}\n' + DEEP)
    with Journal(path) as journal:
        assert journal.find("1", "") is not None
    assert path.read_text() == '{"question_id": "1", "text": "a"}\n'


@pytest.mark.parametrize("number", ["1.5", "true", "null"])
def test_an_id_is_a_text_or_a_whole_number(number: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"question_id": {number}, "text": "a"}}\n')
    with pytest.raises(InputError, match="an id is a text or a whole number"), Journal(path):
        pass
    path.write_text('{"question_id": 7, "text": "a"}\n')
    with Journal(path) as journal:
        assert journal.find("7", "") is not None
