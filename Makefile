# The few usual verbs. `make check` is what CI runs, in the environment that you are in.
.PHONY: install test fast lint format types check quickstart

install:
	pip install -e '.[dev]'
	pre-commit install

test:
	pytest

fast:
	pytest -m 'not slow'

lint:
	ruff check .
	ruff format --check .

format:
	ruff check --fix .
	ruff format .

types:
	mypy

check: test lint types

quickstart:
	python run_sweep.py sweeps/quickstart.yaml
