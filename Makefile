# Two commands make their own virtual environment: make verify, make test.
PYTHON ?= python3
VENV ?= .venv
BUDGET ?= standard
BIN := $(VENV)/bin

.PHONY: verify test test-all nojit lowest lint docs mutants bench classifier depth-errors calibration pictures verdicts gallery reference check clean

verify: $(VENV)/installed
	$(BIN)/theorylab verify --budget $(BUDGET) --out out $(ARGS)

# A process for each processor, and one thread of BLAS and of PyTorch in each: two would wait for each other.  A module or class
# stays in one process, which makes its fixtures once; tests/conftest.py sets the order.  ARGS="-n 0" for one process.
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder

# All but what is marked slow: notebooks, the standard budget, calibrations, VGG-16 as trained.
test: $(VENV)/tested
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(VENV)/tested
	$(PYTEST) $(ARGS)

# The kernels as plain Python: their bodies count as covered lines, and a debugger sees them.
nojit: $(VENV)/tested
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest tests/test_kernels.py tests/test_pool.py tests/test_winograd.py $(ARGS)

# A part of the tests on the lowest versions that setup.cfg declares, in an environment of its own.
lowest:
	PYTHON=$(PYTHON) .ci/lowest .venv-lowest

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy theorylab proofs_checks tools

# One wrong change at a time in the laws and the judge, each to be noticed; renews docs/mutants.md.  ARGS="--only covariance".
mutants: $(VENV)/tested
	$(BIN)/python tools/mutants.py $(ARGS)

# Timings beside PyTorch and Captum, in turn, on an idle machine: about five minutes.  BENCH_ROUNDS=3 for a first look.
bench: $(VENV)/tested
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	$(BIN)/python -m pytest tests/bench --benchmark-columns=median,iqr,rounds -s $(ARGS)

# The trained weights that come with the package, half a minute (ARGS="--kind residual": two): equal bit for bit with the BLAS
# kernels named in the tool.
classifier: $(VENV)/installed
	OPENBLAS_CORETYPE=Haswell $(BIN)/python tools/train_small_classifier.py $(ARGS)

# Every claim on many unlike pictures: no check fails, no verdict contradicts that of another seed.  Hours; see --help.
pictures: $(VENV)/tested
	$(BIN)/python tools/pictures.py $(ARGS)

# The page of statements, margins and answers, and the checks beside the proofs, from runs at the standard budget.
verdicts: $(VENV)/tested
	$(BIN)/theorylab verify --out out $(ARGS)
	$(BIN)/theorylab verify --beyond --out out/beyond $(ARGS)
	$(BIN)/theorylab verify --literature --out out/literature $(ARGS)
	$(BIN)/python tools/verdicts.py out/results.json out/beyond/results.json out/literature/results.json

# How often the audit is wrong, on attributions whose answer is known, six minutes: docs/audit-calibration.md.
calibration: $(VENV)/tested
	OPENBLAS_NUM_THREADS=1 $(BIN)/python tools/calibrate_audit.py $(ARGS)

# How far the laws of stacked max-pools are off, over unlike pictures, about fifteen minutes: where TOLERANCE comes from.  ARGS=--quick
# for a first look, a minute.
depth-errors: $(VENV)/installed
	$(BIN)/python tools/depth_errors.py $(ARGS)

# The site, docs/_build/html/index.html, readable offline; a warning, such as a link that leads nowhere, is an error.
docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	rm -rf docs/_build docs/api
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "Written: docs/_build/html/index.html"

# The pictures of the gallery, by the code that stands beside them.
gallery: $(VENV)/installed
	$(BIN)/python tools/blocks.py docs/gallery.md

# Exact numbers for the tests of other libraries: reference/*.json.
reference: $(VENV)/installed
	$(BIN)/python tools/reference.py

check: lint nojit test-all

clean:
	rm -rf $(VENV) .venv-lowest out docs/_build docs/api docs/laws.md build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@
