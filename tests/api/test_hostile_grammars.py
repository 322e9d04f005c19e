"""Schemas, expressions and grammars made to explode, beside a client that only wants its text."""

import asyncio
from typing import Any

import httpx

from tests.api.asking import PATH, refusal
from tests.api.pictures import body, user

STRING = {"type": "string"}
SCHEMAS: list[Any] = [
    {"type": "array", "items": {"type": "integer"}, "maxItems": 100_000_000},
    {"type": "array", "items": {"type": "integer"}, "minItems": 100_000_000},
    {"type": "string", "minLength": 100_000_000},
    {"type": "string", "pattern": "(a{1,1000}){1,1000}"},
    {"enum": ["x" * 50 + str(number) for number in range(5000)]},
    {"type": "string", "const": "x" * 200_000},
    {"type": "object", "properties": {f"k{number}": STRING for number in range(3000)}},
    {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    {"allOf": [{"type": "string", "pattern": f".*{letter}.*"} for letter in "abcdefghij"]},
    {"type": "integer", "minimum": -(10**400)},
    {"type": "integer", "multipleOf": 10**18 + 7},
    {"type": "string", "format": "email"},
]
EXPRESSIONS = [
    "(a{1,1000}){1,1000}",
    "(.{0,1000}b.{0,1000}){50}",
    ".*a.{30}",
    "(.*a.{14}|.*b.{15}).*c.{12}",
    "(x+x+)+y",
    "(" * 5000 + "a" + ")" * 5000,
    "((((a{0,255}){0,255}){0,255}){0,255}){0,255}",
]
DOUBLING = "\n".join(f"a{number}: a{number + 1} a{number + 1}" for number in range(20))
GRAMMARS = [
    "root ::= root",
    "root ::= root root | " + '""',
    "start: " + "(" * 3000 + '"a"' + ")" * 3000,
    f'start: a0\n{DOUBLING}\na20: "x"',
    '%llguidance {}\nstart: s\ns: s s s s | "a" | ',
    '%llguidance {}\nstart: "' + "x" * 400_000 + '"',
    'start: x{1,1000000}\nx: "a" | "b"',
]
CHOICES = [[f"c{number}" for number in range(20_000)], ["x" * 300_000], ["</s>", "<image>"]]


def wishes() -> list[dict[str, Any]]:
    """Return all that explodes."""
    structured: list[dict[str, Any]] = [
        *({"json": schema} for schema in SCHEMAS),
        *({"regex": expression} for expression in EXPRESSIONS),
        *({"grammar": grammar} for grammar in GRAMMARS),
        *({"choice": choices} for choices in CHOICES),
    ]
    tools = [
        [{"type": "function", "function": {"name": "f", "parameters": schema}}]
        for schema in SCHEMAS[:3]
    ]
    return [
        *({"structured_outputs": each} for each in structured),
        *({"tools": each, "tool_choice": "required"} for each in tools),
    ]


async def test_explosions_harm_nobody(http_async: httpx.AsyncClient) -> None:
    pending = wishes()
    statuses: list[tuple[int, str]] = []

    async def attack() -> None:
        while pending:
            wish = pending.pop()
            response = await http_async.post(PATH, json=body(user("Hi"), max_tokens=30, **wish))
            statuses.append((response.status_code, str(wish)[:80]))

    async def innocent() -> list[str]:
        answers = []
        while pending:
            request = body(user("Hello"), max_tokens=40, ignore_eos=True, stream=True)
            response = await http_async.post(PATH, json=request)
            assert response.status_code == 200
            answers.append(response.text)
        return answers

    answers, *_ = await asyncio.gather(innocent(), *(attack() for _ in range(4)))
    assert [each for each in statuses if each[0] not in (200, 400)] == []
    assert len(statuses) == len(wishes())
    assert {status for status, _ in statuses} == {200, 400}
    assert answers
    assert all(answer.endswith("data: [DONE]\n\n") for answer in answers)
    assert '"error"' not in "".join(answers)
    assert (await http_async.get("/ready")).status_code == 200


def test_what_becomes_too_complex_later_ends_that_answer_alone(http: httpx.Client) -> None:
    late = " | ".join(f'"c{number}"' for number in range(5000))
    wish = {"structured_outputs": {"grammar": f"start: /x{{150}}/ late\nlate: {late}"}}
    error = refusal(http, user("Hi"), max_tokens=400, **wish)
    assert (error["code"], error["param"]) == ("invalid_request", None)
    assert "too complex" in error["message"]
    request = body(user("Hi"), max_tokens=400, stream=True, **wish)
    *_, last, rest = http.post(PATH, json=request).text.split("\n\n")
    assert '"invalid_request"' in last
    assert rest == ""
    assert http.get("/ready").status_code == 200
