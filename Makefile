# Needs Python 3.11 and make, nothing else: the first target that runs builds .venv.
# The Python to build it with can be given as `make PYTHON=... <target>`. Other extras
# get an environment of their own: `make EXTRAS=dev,plot test` is the suite without torch.

PYTHON ?= python3.11
EXTRAS ?= dev,plot,neural
comma := ,
VENV := .venv$(patsubst %,-%,$(subst $(comma),-,$(filter-out dev$(comma)plot$(comma)neural,$(EXTRAS))))
BIN := $(VENV)/bin
RL := .venv-rl
PEERS := .peers
# Written last, so that an interrupted installation is started again from nothing.
STAMP := $(VENV)/installed
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
BENCHMARKS := $(sort $(wildcard tests/benchmarks/bench_*.py))

# One thread a process; pytest starts one process a core.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# $(call stage,name,command): run a command and say how long it took.
define stage
@echo "== $(1)"; start=$$(date +%s); $(2) || exit $$?; \
	echo "== $(1): $$(( $$(date +%s) - start )) s"
endef

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow coverage test-rl bench notebooks lint format docs clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMP)  ## fit each method on real data, print one table, write one page
	@$(BIN)/python -m statlearn tour

test: $(STAMP)  ## every gate and the quick tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint docs
	$(call stage,quick tests,$(BIN)/python -m pytest -n 2 --dist=worksteal --randomly-seed=1)

test-slow: $(STAMP)  ## statistical claims, with fixed seeds, and the notebooks
	$(call stage,slow tests,$(BIN)/python -m pytest -m slow -n 2 --dist=worksteal -p no:randomly --durations=10)

# Tracing takes longer than the tests themselves, so it has a run of its own, without
# the contracts, which say little about lines.
coverage: $(STAMP)  ## branch coverage of the quick tests, at least 95 %
	$(call stage,coverage,$(BIN)/python -m pytest -n 2 --randomly-seed=1 \
		--ignore=tests/contract --cov --cov-report=term)

# These two pin versions of their own, so they get an environment of their own.
test-rl:  ## adaptors of offline_rl with d3rlpy and Stable-Baselines3 themselves
	@test -d $(RL) || $(PYTHON) -m venv $(RL)
	$(call stage,install,$(RL)/bin/python -m pip install -qq -c constraints.txt \
		-e . pytest hypothesis d3rlpy==2.8.0 stable-baselines3==2.9.0 cpprb)
	$(call stage,adaptors,$(RL)/bin/python -m pytest -q tests/rl)

bench: $(STAMP) $(PEERS)/installed  ## compare speed and memory with the peers
	@status=0; for script in $(BENCHMARKS); do \
		echo "== $$script"; PYTHONPATH=$(PEERS) $(BIN)/python $$script || status=1; \
	done; exit $$status

notebooks: $(STAMP)  ## run the notebooks again and keep their outputs
	@test -z "$(NOTEBOOKS)" || JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter nbconvert \
		--to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False $(NOTEBOOKS)

lint: $(STAMP)  ## style, types, import rules and docstrings
	$(call stage,style,$(BIN)/ruff check . && $(BIN)/ruff format --check .)
	$(call stage,types,$(BIN)/mypy)
	$(call stage,import rules,$(BIN)/lint-imports --no-logo)
	$(call stage,docstrings,find statlearn -name '*.py' -exec $(BIN)/numpydoc lint {} +)

format: $(STAMP)  ## repair what the style tools can repair
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

docs: $(STAMP)  ## API pages and notebooks as static HTML in build/docs
	$(call stage,pages,$(BIN)/python -W error .ci/build_docs.py)

clean:  ## remove the environments and everything that was built
	rm -rf .venv .venv-* $(PEERS) build dist .coverage .pytest_cache .ruff_cache .mypy_cache \
		.import_linter_cache

$(STAMP): pyproject.toml constraints.txt
	@test -e $@ || rm -rf $(VENV)
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(call stage,install,$(BIN)/python -m pip install -qq --no-compile -c constraints.txt -e ".[$(EXTRAS)]")
	@touch $@

$(PEERS)/installed: tests/benchmarks/peers.txt | $(STAMP)
	@rm -rf $(PEERS)
	$(call stage,peers,$(BIN)/python -m pip install -qq --no-deps --target $(PEERS) -r $<)
	@touch $@
