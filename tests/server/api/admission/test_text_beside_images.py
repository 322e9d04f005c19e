"""Requests without images do not wait for those with images, and never the other way round."""

from server.api.admission.admission import Admission
from server.api.admission.cost import ONE, Cost
from tests.server.api.admission.waiting import settle, waiting

# More than half of the image bytes of the admission, and one permit of its four.
VIDEO = Cost(1, 60)


async def test_text_passes_a_video_that_waits_for_another(admission: Admission) -> None:
    with await admission.acquire("a", VIDEO):
        async with waiting(admission, "a", cost=VIDEO) as [video]:
            assert admission.check("a") is None
            with await admission.acquire("a"), await admission.acquire("b"):
                assert admission.held == 3
            assert not video.done()


async def test_text_that_waits_behind_a_video_runs_first(admission: Admission) -> None:
    busy = [await admission.acquire("a") for _ in range(3)]
    with await admission.acquire("a", VIDEO):
        async with (
            waiting(admission, "a", cost=VIDEO) as [video],
            waiting(admission, "a") as [text],
        ):
            busy[0].release()
            await settle()
            assert text.done()
            assert not video.done()
    for permit in busy:
        permit.release()


async def test_text_does_not_pass_a_video_that_waits_for_a_permit(admission: Admission) -> None:
    busy = [await admission.acquire("a") for _ in range(4)]
    async with waiting(admission, "a", cost=VIDEO) as [video], waiting(admission, "a") as [text]:
        busy[0].release()
        await settle()
        assert video.done()
        assert not text.done()
    for permit in busy:
        permit.release()


async def test_a_video_gets_its_turn_beside_a_stream_of_text(admission: Admission) -> None:
    first = await admission.acquire("a", VIDEO)
    busy = [await admission.acquire("a") for _ in range(3)]
    async with waiting(admission, "a", cost=VIDEO) as [video], waiting(admission, "a") as [text]:
        first.release()
        await settle()
        assert video.done()
        assert not text.done()
    for permit in busy:
        permit.release()


async def test_an_image_does_not_pass_one_that_waits(admission: Admission) -> None:
    with await admission.acquire("b", Cost(1, 50)):
        async with (
            waiting(admission, "b", cost=Cost(1, 60)) as [large],
            waiting(admission, "b", cost=Cost(1, 40)) as [small],
        ):
            await settle()
            assert not large.done()
            assert not small.done()
            with await admission.acquire("b", ONE):
                pass
