# Two commands for a fresh machine: `make demo` and `make test`. Both set up a virtual environment first.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
INPUT  ?=
MODEL  ?= stream

.PHONY: demo test check clean

demo: $(VENV)/.runtime
	@mkdir -p demo
	@if [ -z "$(INPUT)" ]; then $(BIN)/python scripts/make_sample.py demo/sample.avi; fi
	@$(BIN)/python scripts/demo.py "$(or $(INPUT),demo/sample.avi)" demo --model $(MODEL)

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest

# The runtime alone: what `pip install .[openvino]` gives a user, and what makes the sample clip.
$(VENV)/.runtime: pyproject.toml setup.py mjpeg_restore/jpeg/_native.c
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[openvino]' 'pillow>=11'
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[openvino,dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo build *.egg-info mjpeg_restore/jpeg/*.so
