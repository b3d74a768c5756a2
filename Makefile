# Every job of the project, from a fresh clone on. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
COLONNADE := $(BIN)/colonnade
# The folder of captures, images and weights; everything but training and data-set evaluation runs without it.
export COLONNADE_DATA ?= $(abspath ../shared/data)
# torch with several threads on a small machine is slower than with one.
export OMP_NUM_THREADS ?= 1

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One stamp a set of extras: pip runs again only when the lock or the project file changed.
INSTALL = PIP_CONSTRAINT=requirements.lock $(BIN)/pip install --quiet --disable-pip-version-check --editable

$(BIN)/python:
	@$(PYTHON) scripts/check_python.py
	$(PYTHON) -m venv .venv

.venv/setup.stamp: pyproject.toml requirements.lock | $(BIN)/python
	$(INSTALL) '.[board,build]'
	@touch $@

.venv/dev.stamp: .venv/setup.stamp
	$(INSTALL) '.[board,build,dev]'
	@touch $@

.venv/train.stamp: .venv/setup.stamp
	$(INSTALL) '.[board,build,train]'
	@touch $@

setup: .venv/setup.stamp  ## make .venv with everything but training (pip alone; nothing happens when nothing changed)
setup-train: .venv/train.stamp  ## add torch, Brevitas and Optuna to it

demo: setup  ## the main job: overlays on the simulated board, no FPGA needed
	$(COLONNADE) demo

test: .venv/dev.stamp .venv/train.stamp  ## lint, types and every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(shell nproc)

sim: setup  ## run the cocotb benches (gateware against bus models of others) at full length
	$(BIN)/python -m sim.benches

prove: setup  ## prove the contracts of the stream and bus units (what is unchanged since is not repeated)
	$(COLONNADE) prove

# Python 3.10 is what those images run; a newer one takes newer metadata packages.
PYTHON301 ?= $(shell for python in python3.10 python3.11; do $$python -m venv --help >/dev/null 2>&1 && echo $$python && break; done)
.venv-pynq301/stamp: requirements-pynq301.txt
	$(PYTHON301) -m venv .venv-pynq301
	.venv-pynq301/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

test-pynq301: .venv-pynq301/stamp  ## repeat the board tests with pynq 3.0.1, as boards pin it
	.venv-pynq301/bin/python -m pytest tests/sim/board tests/host/test_overlays.py tests/host/test_copy.py

verify: setup  ## the ids overlay against the golden model on every capture: over a million frames, many minutes
	$(COLONNADE) verify ids

soak: setup  ## a million frames of stalls, bus errors, model changes and resets; many minutes
	$(COLONNADE) soak

bench: setup  ## speed of the simulated board beside cocotb
	$(COLONNADE) bench

build/peers/stamp: pyproject.toml requirements.lock
	$(PYTHON) -m venv build/peers
	PIP_CONSTRAINT=requirements.lock build/peers/bin/pip install --quiet --disable-pip-version-check --editable '.[peers]'
	@touch $@

bench-peers: setup build/peers/stamp  ## the tile engine beside NNgen's accelerator on one layer; half an hour
	$(COLONNADE) bench --peers

evaluate: .venv/train.stamp  ## judge the intrusion models, and compare torch, QONNX and integer program on 120,000 windows each
	$(COLONNADE) evaluate can_ids --exact

figures: setup  ## merge build/reports into docs/figures.json and print them beside goals and peers
	$(COLONNADE) figures

report: setup  ## one HTML file with every figure and plot, beside goals and peers
	$(COLONNADE) report

BOARD ?= ULX3S
OVERLAY ?= ids
boards: setup  ## list boards, their parts, and what is installed to build for them
	$(COLONNADE) boards

bitstream: setup  ## build a bitstream: make bitstream BOARD=ULX3S OVERLAY=ids
	$(COLONNADE) bitstream --board $(BOARD) --overlay $(OVERLAY)

resources: setup  ## area of every unit, layer and overlay by yosys, beside estimates and peers
	$(COLONNADE) resources

bundle: setup  ## pack what a board needs: make bundle BOARD=PYNQ-Z2
	$(COLONNADE) bundle --board $(BOARD)

BUNDLE_CHECK := build/bundle-environment
test-bundle: setup  ## install a bundle into a fresh environment with a board's pins, and run its demos
	$(COLONNADE) bundle --board ZCU104 --simulation
	$(PYTHON301) -m venv --clear $(BUNDLE_CHECK)
	$(BUNDLE_CHECK)/bin/pip install --quiet --disable-pip-version-check --requirement requirements-pynq301.txt
	$(BUNDLE_CHECK)/bin/python -I sim/campaigns/bundle.py build/bundles/colonnade-*-ZCU104-simulation-only.tar.gz

# A Chromium and axe-core from npm, in build/ alone; `make test` skips the tests that need them where they are not.
BROWSER_FILES := $(wildcard tests/host/live/browser/*)
build/browser/chromium: $(BROWSER_FILES)
	tests/host/live/browser/install.sh build/browser

test-page: .venv/dev.stamp build/browser/chromium  ## open the live page in a real headless Chromium, fetched from npm
	$(BIN)/python -m pytest tests/host/live/test_page.py

.PHONY: help setup setup-train demo test figures sim prove verify soak test-pynq301 bench bench-peers evaluate report boards bitstream resources bundle test-bundle test-page
