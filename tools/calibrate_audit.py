"""How often the audit is wrong, and how often it answers: attributions whose answer is known, on many sets of pictures.

``make calibration`` writes the table ``docs/audit-calibration.md``; the tests run the same kinds.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from audit_kinds import CLASSES, KINDS, POOL, Kind, Network, directions, moved, textures

from theorylab._thresholds import THRESHOLDS
from theorylab.auditing import Verdict, _comparing
from theorylab.auditing._measure import across, counts, measured
from theorylab.auditing._verdict import judge

PICTURES = 8


@dataclasses.dataclass
class Score:
    """Shares of seeds: false answers about recovery and class, and right ones."""

    seeds: int = 0
    false_recovery: int = 0
    false_class: int = 0
    right_recovery: int = 0
    right_class: int = 0

    def count(self, kind: Kind, verdict: Verdict) -> None:
        """Count one verdict."""
        self.seeds += 1
        right = verdict.copy in kind.recovers
        self.right_recovery += right
        self.false_recovery += not right and verdict.copy != "undecided"
        self.right_class += verdict.sensitive is kind.sensitive
        self.false_class += verdict.sensitive is not None and verdict.sensitive is not kind.sensitive


def scores(kinds: Sequence[Kind], seeds: int, pictures: int = PICTURES) -> dict[str, Score]:
    """Return how each kind fares on so many sets of pictures, with the code that :func:`theorylab.audit` runs.

    >>> scores([KINDS["its negative"]], seeds=2)["its negative"].right_recovery
    2
    """
    result = {kind.name: Score() for kind in kinds}
    for seed in range(seeds):
        rng = np.random.default_rng([seed, pictures])
        drawn = textures(rng, pictures)
        others = [moved(rng, x) for x in drawn]
        copies = [{channels: directions(x, channels) for channels in (1, 3)} for x in drawn]
        chosen = rng.choice(POOL, pictures, replace=False)
        for kind in kinds:
            if isinstance(kind.build, Network):
                found = [kind.build.counted(int(index)) for index in chosen]
            else:
                found = [
                    (maps, _comparing.compare(known[maps.shape[1]], maps, again))
                    for known, (maps, again) in zip(copies, kind.build(rng, drawn, others), strict=True)
                ]
            ring = [*found[1:], found[0]]
            rows = [
                {**row, **counts(maps), "across pictures": across(maps, after)}
                for (maps, row), (after, _) in zip(found, ring, strict=True)
            ]
            columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
            result[kind.name].count(kind, judge(measured(columns)))
    return result


def table(kinds: Sequence[Kind], found: dict[str, Score]) -> str:
    """Return the table in Markdown."""
    lines = [
        "| attribution | true answers | false: recovery | false: class | right: recovery | right: class |",
        "|---|---|---|---|---|---|",
    ]
    words = {True: "class-sensitive", False: "insensitive", None: "undecided"}
    for kind in kinds:
        one = found[kind.name]
        counts = (one.false_recovery, one.false_class, one.right_recovery, one.right_class)
        shares = " | ".join(f"{100 * count / one.seeds:.1f} %" for count in counts)
        true = f"{' or '.join(sorted(kind.recovers))}; {words[kind.sensitive]}"
        name = kind.name.replace("|", "\\|")
        lines.append(f"| {name}{' (near a threshold)' if kind.near else ''} | {true} | {shares} |")
    return "\n".join(lines)


def page(seeds: int) -> str:
    """Return ``docs/audit-calibration.md``."""
    kinds = list(KINDS.values())
    parts = [
        "# How often the audit is wrong",
        "",
        "Written by `make calibration`. Each attribution below has a known answer. Each was audited on "
        f"{seeds} sets of pictures: textures of 16 × 16 pixels with three channels and {CLASSES} classes, or crops of "
        f"32 × 32 pixels for the small classifier ({POOL} crops, drawn without replacement). An answer is false if it is given "
        'and not true; "undecided" is never false, but it is not right either. The audit states that a false answer to one '
        "of its two questions has a probability of at most 5 %. Where the truth is far from a threshold it is far less; "
        "the lines near a threshold show the level itself. "
        "Noise behind the cube of a picture, so behind few bright pixels, stays undecided about the class: its maps are nearly "
        "as alike as copies.",
        "",
    ]
    for pictures in (PICTURES, 2 * PICTURES, 5):
        parts += [f"## From {pictures} pictures", "", table(kinds, scores(kinds, seeds, pictures)), ""]
    parts += ["## Thresholds, and where they come from", "", "| answer | value | of |", "|---|---|---|"]
    parts += [
        f"| {name} | {value} | {of.replace('|', chr(92) + '|')} |" for name, (value, of) in THRESHOLDS.items()
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("docs/audit-calibration.md"))
    arguments = parser.parse_args()
    arguments.out.write_text(page(arguments.seeds), encoding="utf-8")


if __name__ == "__main__":
    main()
