"""The steps of the protocol: reference answers, candidate answers, reviews."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asking.endpoint import EndpointConfig
from asking.errors import InputError
from asking.pictures import Picture, picture_file
from asking.question import Ask
from asking.run import answered
from evaluation.relative_score.inputs import Case, read_answers
from evaluation.relative_score.prompts import (
    JUDGE_SYSTEM,
    REFERENCE_SYSTEM,
    judge_prompt,
    reference_prompt,
)


@dataclass(frozen=True, slots=True)
class Steps:
    """Runs the steps for some cases; every step keeps its answers in a file of its own in `out`."""

    cases: Sequence[Case]
    out: Path
    allow_failures: bool

    async def reference(self, source: Path | EndpointConfig) -> Mapping[str, str]:
        """The reference's answers: read, or written by a text-only model."""
        if isinstance(source, Path):
            return self._given(source)
        asks = [
            Ask(
                case.question_id,
                reference_prompt(case),
                REFERENCE_SYSTEM,
                notes={"category": case.question.category},
            )
            for case in self.cases
        ]
        return await self._asked(source, asks, "reference")

    async def candidate(
        self, source: Path | EndpointConfig, images: Path | None
    ) -> Mapping[str, str]:
        """The candidate's answers: read, or asked for with the images of this folder."""
        if isinstance(source, Path):
            return self._given(source)
        asks = [
            Ask(
                case.question_id,
                case.question.text,
                picture=_picture(case, images or Path()),
                notes={"category": case.question.category},
            )
            for case in self.cases
        ]
        return await self._asked(source, asks, "candidate")

    async def reviews(
        self, judge: EndpointConfig, reference: Mapping[str, str], candidate: Mapping[str, str]
    ) -> Mapping[str, str]:
        """The judge's reviews, of every question that has both answers."""
        asks = [
            Ask(
                case.question_id,
                judge_prompt(case, reference[case.question_id], candidate[case.question_id]),
                JUDGE_SYSTEM,
                notes={"category": case.question.category},
            )
            for case in self.cases
            if case.question_id in reference and case.question_id in candidate
        ]
        return await self._asked(judge, asks, "reviews")

    async def _asked(
        self, config: EndpointConfig, asks: Sequence[Ask], name: str
    ) -> Mapping[str, str]:
        path = self.out / f"{name}.jsonl"
        return (await answered(config, asks, path, name, self.allow_failures)).texts

    def _given(self, path: Path) -> Mapping[str, str]:
        answers = read_answers(path)
        missing = [case.question_id for case in self.cases if case.question_id not in answers]
        if missing and not self.allow_failures:
            raise InputError(
                path,
                f"no answer to question {missing[0]}, {len(missing)} missing in all; "
                "--allow-failures goes on without them",
            )
        return answers


def _picture(case: Case, images: Path) -> Picture:
    name = case.question.image
    # COCO's own files of 2014 carry their split in front.
    return picture_file(name, images / name, images / f"COCO_val2014_{name}")
