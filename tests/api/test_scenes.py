"""The embedded model answers simple questions about unseen scenes, through the server."""

import asyncio
import random
from collections import Counter

import httpx

from tests.api.pictures import body, encoded, image_part, text_part, user
from training.data.drawing import draw
from training.data.question_kinds import sample_question
from training.data.sampling import sample_scenes
from training.data.scenes import Scene

NUM_SCENES = 500
# Neither training nor its evaluation uses this seed.
SEED = 20_260_401
PHOTO_SIZE = 1600
KINDS = ("color", "where", "count", "exists", "describe")
AT_LEAST = 0.95
AT_ONCE = 16


def questions(scenes: list[Scene]) -> list[tuple[Scene, str, str, str]]:
    """Return (scene, kind, question, right answer): one for each scene, the kinds in turn."""
    rng = random.Random(SEED)
    asked = []
    for number, scene in enumerate(scenes):
        kinds = KINDS[number % len(KINDS) :] + KINDS
        question = next(q for kind in kinds if (q := sample_question(rng, scene, kind)))
        asked.append((scene, question.kind, question.text, question.answer))
    return asked


async def test_answers_about_unseen_scenes(http_async: httpx.AsyncClient) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def is_right(scene: Scene, question: str, answer: str) -> bool:
        async with places:
            picture = await asyncio.to_thread(lambda: encoded(draw(scene), "JPEG", quality=92))
            request = body(user(image_part(picture), text_part(question)))
            response = await http_async.post("/v1/chat/completions", json=request)
            content: str = response.json()["choices"][0]["message"]["content"]
            return content == answer

    asked = questions(list(sample_scenes(SEED, NUM_SCENES, PHOTO_SIZE)))
    verdicts = await asyncio.gather(*(is_right(s, question, a) for s, _, question, a in asked))
    total = Counter(kind for _, kind, _, _ in asked)
    right = Counter(kind for (_, kind, _, _), good in zip(asked, verdicts, strict=True) if good)
    shares = {kind: round(right[kind] / total[kind], 3) for kind in total}
    assert sum(verdicts) / NUM_SCENES >= AT_LEAST, shares
