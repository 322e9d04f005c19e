"""Rolling updates come one after the other, and a failed one brings the old replicas back."""

from server.scale.rollouts import Rollouts
from server.start.serving import StartFailed

FAILED = StartFailed("no weights")


def test_requests_during_an_update_become_one() -> None:
    begun: list[int] = []
    rollouts = Rollouts(begun.append)
    for _ in range(3):
        rollouts.request()
    assert begun == [1]
    rollouts.finish(None)
    assert begun == [1, 2]
    rollouts.finish(None)
    assert begun == [1, 2]


def test_the_last_generation_that_started_is_deployed_again() -> None:
    begun: list[int] = []
    rollouts = Rollouts(begun.append)
    rollouts.request()
    rollouts.finish(None)
    rollouts.request()
    rollouts.finish(FAILED)
    assert begun == [1, 2, 1]
    rollouts.request()  # the mended model
    rollouts.finish(None)
    assert begun == [1, 2, 1, 3]


def test_a_failure_to_deploy_again_ends_the_update() -> None:
    begun: list[int] = []
    rollouts = Rollouts(begun.append)
    rollouts.request()
    rollouts.finish(FAILED)
    rollouts.finish(FAILED)
    rollouts.request()
    assert begun == [1, 0, 2]
