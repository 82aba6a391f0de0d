"""A product warns of nothing that is not in it, whatever memory the processor reads beside the numbers."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import grids, seeds

from theorylab import kernels, layers
from theorylab.model.laws import Gaussian
from theorylab.model.rules import PAPER
from theorylab.sampling.three_layer import MapSampler
from theorylab.sampling.tiled import TiledSampler

SIGNALING_NANS = 0x7FA000007FA00000  # two of single precision
SOURCE = """
__attribute__((noinline)) void fill(unsigned long long value) {
    volatile unsigned long long words[8192];
    for (int i = 0; i < 8192; i++) words[i] = value;
}
"""


@pytest.fixture(scope="class")
def poisoned(tmp_path_factory):
    """Each product of matrices in these tests finds signaling NaNs where it keeps its local variables."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("poison")
    (folder / "fill.c").write_text(SOURCE)
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", folder / "fill.so", folder / "fill.c"], check=True
    )
    fill, plain = ctypes.CDLL(str(folder / "fill.so")).fill, np.matmul
    fill.argtypes, fill.restype = [ctypes.c_ulonglong], None

    def matmul(*arguments, **options):
        fill(SIGNALING_NANS)
        return plain(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "matmul", matmul)
        yield


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("poisoned")
class TestNoFalseAlarm:
    @given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), seeds)
    def test_dense(self, batch, n_in, n_out, seed):
        rng = np.random.default_rng(seed)
        x, gradient, weights = (
            rng.standard_normal(shape).astype(np.float32)
            for shape in ((batch, n_in), (batch, n_out), (n_out, n_in))
        )
        for module in (layers, kernels):
            for got, expected in (
                (module.dense.forward(x, weights), np.einsum("bi,oi->bo", x, weights)),
                (module.dense.backward_input(gradient, weights), np.einsum("bo,oi->bi", gradient, weights)),
            ):
                np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)

    @given(grids(5), st.integers(1, 6), seeds)
    def test_convolutions(self, grid, n_filters, seed):
        rng = np.random.default_rng(seed)
        x, weights, gradient = (
            rng.standard_normal(shape).astype(np.float32)
            for shape in (
                (1, *grid.input_shape),
                (n_filters, grid.input_shape[0], *grid.kernel),
                (1, n_filters, *grid.output_shape),
            )
        )
        for module in (layers, kernels):
            assert np.isfinite(module.conv.forward(x, weights, grid)).all()
            assert np.isfinite(module.conv.backward_input(gradient, weights, grid)).all()

    @given(grids(5), seeds)
    def test_samplers(self, grid, seed):
        n_filters = 5  # the number of terms where the alarm was seen
        x = np.random.default_rng(seed).standard_normal(grid.input_shape)
        for sampler in (
            MapSampler(x, grid, n_filters, law=Gaussian(), dtype=np.float32),
            TiledSampler(x, grid, n_filters),
        ):
            assert np.isfinite(sampler.draw(np.random.default_rng(seed), list(PAPER), n_readouts=2)).all()
