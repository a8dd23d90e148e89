"""Why candidates were refused or failed, grouped: reasons that differ in their figures alone are one."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinynas.study.store import Trial

_FIGURE = re.compile(r"\d[\d,.]*\d|\d")
_LEFT_OUT = "…"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """What befell some trials. In `text` a figure that is another one for each of them is left out."""

    state: str
    stage: str
    text: str
    trials: tuple[int, ...]


def grouped_reasons(trials: Iterable[Trial]) -> list[Reason]:
    """The reasons of all trials that were not completed, the most frequent first."""
    groups: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in trials:
        if trial.state != "complete":
            form = _FIGURE.sub(_LEFT_OUT, trial.reason or "")
            groups.setdefault((trial.state, trial.stage or "", form), []).append(trial)
    found = [
        Reason(
            state=state,
            stage=stage,
            text=_common([trial.reason or "" for trial in members]),
            trials=tuple(trial.number for trial in members),
        )
        for (state, stage, _), members in groups.items()
    ]
    return sorted(found, key=lambda reason: (-len(reason.trials), reason.trials))


def _common(texts: Sequence[str]) -> str:
    """One text for those that are alike but for their figures."""
    figures = list(zip(*(_FIGURE.findall(text) for text in texts), strict=True))
    kept = iter(each[0] if len(set(each)) == 1 else _LEFT_OUT for each in figures)
    return _FIGURE.sub(lambda _: next(kept), texts[0])
