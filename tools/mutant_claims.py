"""The quick budget of ``theorylab verify``, one claim a test: what mutants are shown to, beside the tests."""

from __future__ import annotations

import pytest

import proofs_checks

CLAIMS = [
    (group, claim.id)
    for group in proofs_checks.GROUPS
    for claim in proofs_checks.registry(group)
    if claim.n_checks
]


@pytest.mark.parametrize(("group", "claim"), CLAIMS)
def test_verify(group: str, claim: str) -> None:
    """Every check passes and every negative control is rejected."""
    result = proofs_checks.verify([claim], group=group, budget="quick", jobs=1)
    failed = [check.name for found in result.claims for check in found.failures]
    assert result.passed, f"{claim}: {failed}"
