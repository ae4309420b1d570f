# Every target sets up .venv first when it is missing or older than what it is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: demo demo-fleet run test check ray format bench soak fuzz samples manual screenshot demonstration wheel clean

$(STAMP): requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q -j 0 convtui
	@touch $(STAMP)

demo: $(STAMP)  ## a live conversation: no key, no network
	@$(BIN)/convtui demo

demo-fleet: $(STAMP)  ## forty conversations at once: no key, no network
	@# Some of them fail, as they should, and the screen may be left early.
	@$(BIN)/convtui batch demo --new; case $$? in 0|3|130) ;; *) exit 1 ;; esac

# Four workers keep two cores busy: some tests wait for processes and timeouts. What fails on a busy
# machine is run once more, alone; the first summary names it, for it is a race to be mended.
test: $(STAMP)  ## the whole suite
	$(BIN)/python -m pytest -n 4 || { [ $$? = 1 ] && \
		$(BIN)/python -m pytest -n 0 --last-failed --last-failed-no-failures none -rA; }

check: $(STAMP)  ## format, lint, spelling, types, imports, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/typos
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry convtui
	$(BIN)/deptry tests --exclude '^$$' --ignore DEP002,DEP004
	$(BIN)/python -m pytest -n 0 tests/test_homes.py

ray: $(STAMP)  ## the tests with a real Ray on this machine; installs it
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "ray>=2.44,<3"
	$(BIN)/python -m pytest -n 0 tests/batch/ray

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## a table of ratios; writes bench.json
	$(BIN)/python -m tests.bench

soak: $(STAMP)  ## kill -9 at 200 random points, and in batches; 150 secrets planted everywhere
	$(BIN)/python -m tests.soak
	$(BIN)/python -m tests.soak_batches
	$(BIN)/python -m tests.planted

fuzz: $(STAMP)  ## 20,000 damaged logs and foreign files; 2,000 examples of each property
	$(BIN)/python -m tests.fuzz
	$(BIN)/python -m pytest -n 4 -m hypothesis --hypothesis-profile=thorough

samples: $(STAMP)  ## makes sample_runs/ again, by running the program
	$(BIN)/python -m tests.make_samples

manual: $(STAMP)  ## writes the generated parts of convtui/manual/ again
	$(BIN)/python -m tests.make_manual

screenshot: $(STAMP)  ## draws .github/screenshot.svg again
	$(BIN)/python -m tests.make_screenshot

demonstration: $(STAMP)  ## plays the README's debugging story again
	$(BIN)/python -m tests.make_demonstration

wheel: $(STAMP)
	$(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf $(VENV) build dist bench.json
