"""Bodies within the limit of bytes, each with a field that is large or deep."""

import pytest

from tests.api.hostile import bodies, media_bodies, message_bodies, schema_bodies
from tests.api.hostile.attacker import encode
from tests.api.hostile.watch import Watch

# Strings of clients are cut in messages, which have a thousand characters at most.
MAX_MESSAGE = 1200
GROUPS = {
    "long text": bodies.LONG_TEXT,
    "many elements": bodies.MANY_ELEMENTS,
    "nesting": bodies.NESTING,
    "schemas": schema_bodies.SCHEMAS,
    "strings": bodies.STRINGS,
    "numbers": bodies.NUMBERS,
    "bytes": media_bodies.BYTES,
    "images": media_bodies.IMAGES,
    "messages": message_bodies.MESSAGE_BODIES,
}
CASES = {
    f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()
}


@pytest.mark.parametrize("name", CASES)
def test_body(hostile: Watch, name: str) -> None:
    case = CASES[name]
    body = encode(case.build())
    response = hostile.run(name, lambda: hostile.attacker.post(case.path, body))
    assert response.status in (200, 400, 404)
    assert response.code in case.codes, response.body[:MAX_MESSAGE]
    if response.status != 200:
        assert len(response.body) <= MAX_MESSAGE
