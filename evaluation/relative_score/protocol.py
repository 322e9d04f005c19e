"""The protocol's three steps: reference answers, candidate answers, reviews."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asking.endpoint import EndpointConfig
from asking.errors import InputError
from asking.images import QuestionImage, find_image
from asking.question import ChatQuestion
from asking.run import collect_answers
from evaluation.relative_score.inputs import Case, read_answers
from evaluation.relative_score.prompts import (
    JUDGE_SYSTEM,
    REFERENCE_SYSTEM,
    build_judge_prompt,
    build_reference_prompt,
)
from evaluation.relative_score.rules import RELEASED_SYSTEM, Rules


@dataclass(frozen=True, slots=True)
class RelativeScoreProtocol:
    """Runs the steps for some cases; each step journals its answers in a file in `out`."""

    cases: Sequence[Case]
    out: Path
    allow_failures: bool
    rules: Rules | None = None

    async def collect_references(self, source: Path | EndpointConfig) -> Mapping[str, str]:
        """Read the reference's answers from a file, or ask a text-only model."""
        if isinstance(source, Path):
            return self._read_answers(source)
        questions = [
            ChatQuestion(
                case.question_id,
                build_reference_prompt(case),
                REFERENCE_SYSTEM,
                metadata={"category": case.question.category},
            )
            for case in self.cases
        ]
        return await self._collect_answers(source, questions, "reference")

    async def collect_candidates(
        self, source: Path | EndpointConfig, images: Path | None
    ) -> Mapping[str, str]:
        """Read the candidate's answers from a file, or ask with the images of a folder."""
        if isinstance(source, Path):
            return self._read_answers(source)
        questions = [
            ChatQuestion(
                case.question_id,
                case.question.text,
                image=_find_image(case, images or Path()),
                metadata={"category": case.question.category},
            )
            for case in self.cases
        ]
        return await self._collect_answers(source, questions, "candidate")

    async def collect_reviews(
        self, judge: EndpointConfig, reference: Mapping[str, str], candidate: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Ask the judge to review every question that has both answers."""
        questions = [
            self._build_review_question(
                case, reference[case.question_id], candidate[case.question_id]
            )
            for case in self.cases
            if case.question_id in reference and case.question_id in candidate
        ]
        return await self._collect_answers(judge, questions, "reviews")

    def _build_review_question(self, case: Case, reference: str, candidate: str) -> ChatQuestion:
        if self.rules is None:
            system, prompt = JUDGE_SYSTEM, build_judge_prompt(case, reference, candidate)
        else:
            system, prompt = RELEASED_SYSTEM, self.rules.build_prompt(case, reference, candidate)
        metadata = {"category": case.question.category}
        return ChatQuestion(case.question_id, prompt, system, metadata=metadata)

    async def _collect_answers(
        self, config: EndpointConfig, questions: Sequence[ChatQuestion], name: str
    ) -> Mapping[str, str]:
        path = self.out / f"{name}.jsonl"
        return (await collect_answers(config, questions, path, name, self.allow_failures)).texts

    def _read_answers(self, path: Path) -> Mapping[str, str]:
        answers = read_answers(path)
        missing = [case.question_id for case in self.cases if case.question_id not in answers]
        if missing and not self.allow_failures:
            raise InputError(
                path,
                f"no answer to question {missing[0]}, {len(missing)} missing in all; "
                "--allow-failures goes on without them",
            )
        return answers


def _find_image(case: Case, images: Path) -> QuestionImage:
    name = case.question.image
    # File names of COCO 2014 start with the split.
    return find_image(name, images / name, images / f"COCO_val2014_{name}")
