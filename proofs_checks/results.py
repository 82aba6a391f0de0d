"""What a verification found, as plain data: the schema of ``results.json``."""

from __future__ import annotations

import dataclasses
import enum
import math
import shlex
from typing import Any

from theorylab import _json, stats
from theorylab.charts import Chart

SMALL_WHY = "the paper's own tolerance for an approximation, ε = 0.1"
"""Of a margin of a tenth (Section 3.1.1)."""


class Verdict(enum.Enum):
    """The verdict on the paper's statement as written; `ClaimResult.passed` is about the exact law."""

    HOLDS = "holds"
    HOLDS_IN_THE_LIMIT = "holds-in-the-limit"
    REFUTED = "refuted"
    UNDECIDED = "undecided"
    NOT_RUN = "not-run"
    BEYOND_THE_PAPER = "beyond-the-paper"


@dataclasses.dataclass(frozen=True)
class Margin:
    """Where a quantity must lie for the statement to count as true, and why there.

    `setting` is named where the paper leaves it open which of two was meant; such margins are alternatives.
    """

    quantity: str
    low: float = -math.inf
    high: float = math.inf
    why: str = SMALL_WHY
    setting: str = ""


@dataclasses.dataclass(frozen=True)
class Ruling:
    """One quantity of a statement, decided.

    `low` and `high` are the interval of the estimate; `factor` is how many times as many replicates would decide, where
    the quantity is undecided.
    """

    margin: Margin
    estimate: float
    low: float
    high: float
    verdict: Verdict
    reached: float | None = None
    size: str = ""
    factor: float = math.nan


@dataclasses.dataclass(frozen=True)
class NegativeControl:
    """A wrong law put through the same check, which must reject it."""

    what: str
    p_value: float
    rejected: bool


@dataclasses.dataclass(frozen=True)
class Check:
    """One comparison of a measurement with an exact law.

    Parameters
    ----------
    name : str
        What is compared, in words.
    kind : str
        ``"identity"`` (deterministic, up to rounding), ``"moment"`` (a mean, variance or covariance), ``"ratio"`` (a
        cosine, distance or correlation formed from moments), ``"rate"`` (a slope on log axes) or ``"approximation"`` (a
        ratio whose law is approximate, within `tolerance`).
    estimate, expected, standard_error : float
        In the units of the quantity compared.
    p_value : float
        Two-sided, against the exact law.  An identity has 1 (within rounding) or 0.
    replicates : int
        Independent networks, or draws, behind the estimate.
    detectable_effect : float
        The smallest relative error of the law that the check would see with probability 95 %.
    passed : bool
    negative_control : NegativeControl
    tolerance : float
        Relative error that an approximate law allows itself; 0 for the exact ones.
    blind : bool
        The law and the wrong one are too near on this picture for so many networks: the check proves nothing, and fails nothing.
    """

    name: str
    kind: str
    estimate: float
    expected: float
    standard_error: float
    p_value: float
    replicates: int
    detectable_effect: float
    passed: bool
    negative_control: NegativeControl
    tolerance: float = 0.0
    blind: bool = False

    @property
    def measured(self) -> tuple[float, float, int]:
        """The estimate, its standard error and its number of replicates."""
        return self.estimate, self.standard_error, self.replicates

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the estimate."""
        return stats.interval(self.estimate, self.standard_error, self.replicates - 1)

    @property
    def convincing(self) -> bool:
        """Whether it passed and its negative control was rejected."""
        return self.passed and self.negative_control.rejected


@dataclasses.dataclass(frozen=True)
class ClaimResult:
    """What was found about one claim of the paper.

    `headline` names the check that the table shows, and is empty where there is none; `finding` says the outcome in one plain
    sentence with numbers, or why the claim was not run; `authors` is what the authors would answer; `network` names the
    trained network that was looked at, where the statement is about one; `seen`, where that is not the network that the
    statement speaks of, is the verdict on it, and `verdict` is then "not run"; `rulings` are the quantities that make the
    verdict; `error` is what stopped the laboratory itself, and then nothing is said about the statement; `proof` is the
    derivation of the exact law in plain text, paragraphs apart by an empty line; `formula` is the law as lines of mathtext,
    without dollar signs.
    """

    id: str
    section: str
    statement: str
    verdict: Verdict
    exact_law: str
    proof: str
    finding: str
    checks: tuple[Check, ...]
    headline: str
    figures: tuple[Chart, ...] = ()
    formula: tuple[str, ...] = ()
    authors: str = ""
    network: str = ""
    seen: Verdict | None = None
    rulings: tuple[Ruling, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the exact law passed every check and every negative control was rejected; None if nothing was checked."""
        if self.error:
            return False
        return not self.failures if self.checks else None

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed, or whose negative control was not rejected."""
        return tuple(check for check in self.checks if not check.convincing and not check.blind)

    def headline_check(self) -> Check | None:
        """Return the check that the table shows; None if nothing was checked."""
        if not self.checks and not self.headline:
            return None
        for check in self.checks:
            if check.name == self.headline:
                return check
        raise ValueError(f"{self.id}: no check is called {self.headline!r}")


@dataclasses.dataclass(frozen=True)
class Verification:
    """A whole run of ``theorylab verify``.

    `group`, `law_scale`, `weights`, `model`, `size`, `classes` and `folder` are what the run was given; `pictures` are the names
    of those that the trained network was shown, where it was given, and `skipped` of those that need a download; `picture` is
    the name, digest and shape of the prepared image; `command` is the command line that made it, if it was one. Every exact
    law was multiplied by `law_scale`: what is not 1 is a self-test, which says nothing of the paper.
    """

    version: str
    seed: int
    budget: str
    image: str
    false_alarm_probability: float
    correction: str
    claims: tuple[ClaimResult, ...]
    command: str = ""
    law_scale: float = 1.0
    weights: str | None = None
    model: str | None = None
    size: int | None = None
    classes: tuple[str, ...] = ()
    folder: str | None = None
    pictures: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    group: str = "paper"
    picture: dict[str, Any] = dataclasses.field(default_factory=dict)

    def command_for(self, *claims: str) -> str:
        """Return the command line that repeats the run, for these claims alone or for all of the registry.

        The numbers of a claim do not depend on which others are run with it.

        Examples
        --------
        >>> run = Verification("0.1", 7, "quick", "my cat.png", 0.01, "Bonferroni", ())
        >>> run.command_for("theorem1")
        "theorylab verify theorem1 --image 'my cat.png' --budget quick --seed 7"
        """
        words = ["theorylab", "verify", *claims]
        words += [] if self.group == "paper" else [f"--{self.group}"]
        if self.image:
            words += ["--image", self.image]
        given = {"weights": self.weights, "model": self.model, "size": self.size, "pictures": self.folder}
        given["classes"] = ",".join(self.classes) or None
        for option, value in given.items():
            words += [] if value is None else [f"--{option}", str(value)]
        words += ["--budget", self.budget, "--seed", str(self.seed)]
        if self.self_test:
            words += ["--law-scale", repr(self.law_scale)]
        return shlex.join(words)

    @property
    def self_test(self) -> bool:
        """Whether the laws were made wrong on purpose."""
        return self.law_scale != 1.0

    @property
    def passed(self) -> bool:
        """Whether every claim's checks passed; a claim without checks counts neither way."""
        return all(claim.passed is not False for claim in self.claims)

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``results.json``: standard types only, every number finite (null where it is not)."""
        run = (
            "group",
            "seed",
            "budget",
            "image",
            "picture",
            "law_scale",
            "weights",
            "model",
            "pictures",
            "skipped",
            "passed",
            "false_alarm_probability",
            "correction",
        )
        each = (
            "id",
            "section",
            "statement",
            "verdict",
            "network",
            "seen",
            "exact_law",
            "finding",
            "passed",
            "checks",
            "rulings",
        )
        return {
            "theorylab": self.version,
            **{name: _json.plain(getattr(self, name)) for name in run},
            "claims": [{name: _json.plain(getattr(claim, name)) for name in each} for claim in self.claims],
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return a record for each check, with its claim and verdict; a claim without checks has one that is empty there."""
        return [
            {"claim": claim["id"], "verdict": claim["verdict"], **check}
            for claim in self.to_json()["claims"]
            for check in claim["checks"] or [{}]
        ]
