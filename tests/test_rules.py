import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from naive import relu_backward
from strategies import RULES

from theorylab.model.rules import PAPER, Rule

# Rows: gradient -2, 0, 3; columns: pre-activation -1, 0, 1.  Read off Eq. 1 and 2 by hand.
TABLE = {
    "saliency": [[0, 0, -2], [0, 0, 0], [0, 0, 3]],
    "deconvnet": [[0, 0, 0], [0, 0, 0], [3, 3, 3]],
    "guided": [[0, 0, 0], [0, 0, 0], [0, 0, 3]],
}


@pytest.mark.parametrize("rule", RULES)
def test_table(rule):
    gradient, y = np.meshgrid([-2.0, 0.0, 3.0], [-1.0, 0.0, 1.0], indexing="ij")
    np.testing.assert_array_equal(Rule(rule).backward(gradient, y), TABLE[rule])


@pytest.mark.parametrize("rule", RULES)
@given(
    st.sampled_from(("float32", "float64")).flatmap(
        lambda kind: hnp.arrays(kind, (2, 5), elements=st.floats(-4, 4, width=32))
    )
)
def test_equals_loops_and_keeps_dtype(rule, pair):
    got = Rule(rule).backward(pair[0], pair[1])
    assert got.dtype == pair.dtype
    np.testing.assert_array_equal(got, relu_backward(pair[0], pair[1], rule))


def test_infinite_gradient_behind_a_closed_relu_is_zero():
    assert Rule.SALIENCY.backward(np.array([np.inf, -np.inf]), np.array([0.0, -1.0])).tolist() == [0, 0]
    assert Rule.GUIDED.backward(np.array([np.inf]), np.array([1.0])).tolist() == [np.inf]


@pytest.mark.parametrize("rule", list(PAPER))
def test_h_does_not_touch_its_argument(rule):
    gradient = np.array([-1.0, 2.0])
    rule.h(gradient)[:] = 7
    rule.backward(gradient, np.ones(2))[:] = 7
    assert gradient.tolist() == [-1, 2]


def test_flags_tell_the_rules_apart():
    flags = {rule.value: ((rule.up, rule.down) == (1, 0), rule.gate) for rule in PAPER}
    assert flags == {"saliency": (False, True), "deconvnet": (True, False), "guided": (True, True)}


@pytest.mark.parametrize("bad", ["guide", "", None, 3, ["guided"]])
def test_unknown_rule_is_named(bad):
    with pytest.raises(ValueError, match=r"unknown rule .*choose one of 'saliency', 'deconvnet', 'guided'"):
        Rule(bad)
