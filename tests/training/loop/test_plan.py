"""The training plan."""

from training.loop.plan import FULL, STAGES


def test_a_scaled_plan_is_shorter_in_everything() -> None:
    plan = FULL.scale(0.05)
    assert plan.train_scenes == FULL.train_scenes // 20
    for stage in STAGES:
        config = plan.get_stage_config(stage)
        assert config.steps == FULL.get_stage_config(stage).steps // 20
        assert config.warmup_steps < config.steps
