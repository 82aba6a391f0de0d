import math

import numpy as np
import pytest
from scipy import integrate, stats

from theorylab.model.laws import Gaussian, TruncatedGaussian, Uniform, WeightLaw

LAWS = [
    Gaussian(1.0),
    Gaussian(0.3),
    TruncatedGaussian(),
    TruncatedGaussian(2.0, 0.5),
    TruncatedGaussian(1.0, 4.0),
    Uniform(0.4),
]


def frozen(law):
    """The same law as SciPy knows it."""
    if isinstance(law, Gaussian):
        return stats.norm(scale=law.std)
    if isinstance(law, Uniform):
        return stats.uniform(-law.half_width, 2 * law.half_width)
    return stats.truncnorm(-law.cutoff, law.cutoff, scale=law.scale)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_moments_by_scipy_and_by_quadrature(law):
    reference = frozen(law)
    top = min(reference.support()[1], 12 * law.std)

    def half_moment(power):
        return integrate.quad(lambda t: t**power * reference.pdf(t), 0, top, epsabs=1e-13)[0]

    assert law.relu_mean == pytest.approx(half_moment(1), rel=1e-9)
    assert law.relu_second_moment == pytest.approx(half_moment(2), rel=1e-9)
    assert law.variance == pytest.approx(reference.var(), rel=1e-9)
    assert law.std == pytest.approx(reference.std(), rel=1e-9)
    assert law.excess_kurtosis == pytest.approx(2 * half_moment(4) / reference.var() ** 2 - 3, abs=1e-7)


def test_constants_of_the_paper_and_of_tensorflow():
    assert TruncatedGaussian(0.1).variance ** 0.5 == pytest.approx(0.08796, abs=5e-6)  # "true std 0.8796 c"
    assert Gaussian(2.0).relu_mean == pytest.approx(2 / math.sqrt(2 * math.pi))
    assert TruncatedGaussian(1.0, 0.05).excess_kurtosis == pytest.approx(-1.2, abs=1e-3)  # uniform law: -6/5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_samples_have_the_law(law, dtype):
    n = 40_000
    draws = law.sample(n, seed=11, dtype=dtype)
    assert draws.dtype == dtype
    draws = draws.astype(np.float64)
    rectified = np.maximum(draws, 0)
    for values, expected in (
        (draws, 0.0),
        (draws**2, law.variance),
        (rectified, law.relu_mean),
        (rectified**2, law.relu_second_moment),
    ):
        z = (values.mean() - expected) / (values.std(ddof=1) / math.sqrt(n))
        assert abs(z) < 4.5, f"mean {values.mean()} for {expected}: {z:.1f} standard errors"
    assert stats.kstest(draws, frozen(law).cdf).pvalue > 1e-4


def test_the_sampling_check_can_fail():
    # Negative control: an untruncated law with the truncated law's own standard deviation is told apart.
    draws = Gaussian(TruncatedGaussian().variance ** 0.5).sample(40_000, seed=11)
    assert stats.kstest(draws, frozen(TruncatedGaussian()).cdf).pvalue < 1e-4


def test_shapes_seeds_and_bounds():
    law = TruncatedGaussian(0.1, 1.5)
    draws = law.sample((3, 4, 5), seed=3)
    assert draws.shape == (3, 4, 5)
    assert np.abs(draws).max() <= 0.15 * (1 + 1e-12)
    np.testing.assert_array_equal(draws, law.sample((3, 4, 5), seed=3))
    assert not np.array_equal(draws, law.sample((3, 4, 5), seed=4))
    rng = np.random.default_rng(3)
    assert not np.array_equal(law.sample(6, seed=rng), law.sample(6, seed=rng))
    assert law.sample((), seed=1).shape == ()


@pytest.mark.parametrize("law", LAWS[:3], ids=str)
def test_laws_satisfy_the_protocol(law):
    assert isinstance(law, WeightLaw)


@pytest.mark.parametrize("make", [Gaussian, TruncatedGaussian, lambda value: TruncatedGaussian(0.1, value)])
@pytest.mark.parametrize(
    ("bad", "error"), [(0, ValueError), (-1.0, ValueError), (math.nan, ValueError), (math.inf, ValueError),
                       ("1", TypeError), (None, TypeError), (True, TypeError)]
)  # fmt: skip
def test_bad_parameters(make, bad, error):
    with pytest.raises(error, match=r"^(std|scale|cutoff): expected"):
        make(bad)


@pytest.mark.parametrize(("seed", "error"), [(None, TypeError), (1.0, TypeError), (-1, ValueError)])
def test_bad_seeds(seed, error):
    with pytest.raises(error, match="seed"):
        Gaussian().sample(3, seed=seed)
