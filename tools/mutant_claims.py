"""The quick budget of ``theorylab verify``, one claim a test: what mutants are shown to, beside the tests."""

from __future__ import annotations

import pytest

import proofs_checks


@pytest.mark.parametrize("claim", [claim.id for claim in proofs_checks.registry() if claim.n_checks])
def test_verify(claim: str) -> None:
    """Every check passes and every negative control is rejected."""
    result = proofs_checks.verify([claim], budget="quick", jobs=1)
    failed = [check.name for found in result.claims for check in found.failures]
    assert result.passed, f"{claim}: {failed}"
