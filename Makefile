# Two commands for a fresh machine: `make demo` and `make test`. Each sets up a virtual environment first.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
INPUT  ?= demo/sample.avi
MODEL  ?= stream
JOBS   ?= 3

# Tests wait for cameras, clusters and the disk: three processes, and types beside them, keep two cores busy. Files keep
# their order, as those of few tests take longest, and would come last.
# Modules are compiled once, not by each of the hundreds of processes that tests begin, even where that is switched off.
TESTS  := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test coverage clean
.NOTPARALLEL:  # both commands may set the environment up

demo: $(VENV)/runtime
	$(BIN)/python scripts/demo.py "$(INPUT)" demo --model $(MODEL)

# The sample stands in where no INPUT is given; a recording of one's own is never touched.
ifeq ($(INPUT),demo/sample.avi)
demo: demo/sample.avi
demo/sample.avi: scripts/make_sample.py $(VENV)/runtime
	mkdir -p demo
	$(BIN)/python scripts/make_sample.py $@
endif

test: $(VENV)/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python & types=$$!; $(TESTS) && wait $$types

# The lines that the tests run. To follow them takes half as long again.
coverage: $(VENV)/development
	$(TESTS) --cov=mjpeg_restore

SOURCES := pyproject.toml setup.py $(wildcard mjpeg_restore/*/_*.[ch] mjpeg_restore/*/*/_*.[ch])

$(VENV)/runtime: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[demo]'
	$(BIN)/mjpeg-restore --version
	touch $@

# At once what the demo needs and the rest: the extensions are compiled by each installation.
$(VENV)/development: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[demo,dev]'
	$(BIN)/mjpeg-restore --version
	touch $(VENV)/runtime $@

# What `make demo` has made goes; a recording of one's own beside it stays.
DEMO := $(addprefix demo/,sample.avi restored.mp4 before-after.mp4 before-after.png)

clean:
	rm -f $(DEMO)
	rmdir demo 2>/dev/null || true  # it stays while there is anything in it
	rm -rf $(VENV) build dist *.egg-info mjpeg_restore/*/*.so mjpeg_restore/*/*/*.so
