#!/bin/sh
# All tests, once. The gate: branch coverage of the pure folders. Slow installs are kept under .build.
set -eu
cd "$(dirname "$0")/.."
BIN=.venv/bin

# A second environment with torch and transformers, so that the project's own stays small.
HEAVY=.build/transformers-venv
if [ "${HF_PACK_HEAVY:-1}" = 1 ] && [ ! -e "$HEAVY/.done" ]; then
  rm -rf "$HEAVY"
  "$BIN/python" -m venv "$HEAVY"
  "$HEAVY/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 'transformers>=5.19,<6' && touch "$HEAVY/.done"
fi

# A third party's Hub server and Azure's storage; tests of either are skipped by name where it cannot be had.
[ -x .build/olah-venv/bin/olah-cli ] || "$BIN/python" -m tests.hub.olah || echo "olah could not be installed" >&2
[ -x .build/azurite/node_modules/.bin/azurite-blob ] || "$BIN/python" -m tests.azurite || echo "Azurite could not be installed" >&2

# Tests of Nix run with newer ones, too, where they can be had.
if command -v nix-store >/dev/null && [ -z "${HF_PACK_NIXES:-}" ]; then
  HF_PACK_NIXES=$(sh tests/newer_nix.sh) || HF_PACK_NIXES=
  export HF_PACK_NIXES
fi

# Real runtimes for the end-to-end tests: 5 GB. HF_PACK_E2E=0 leaves them out.
if [ "${HF_PACK_E2E:-1}" = 1 ]; then
  "$BIN/python" -m tests.e2e.environments
fi

rm -f .coverage .coverage.*
"$BIN/python" -m pytest -n "$(nproc)" --dist loadfile --ignore=tests/e2e --cov=hf_pack --cov-branch --cov-report= "$@"
"$BIN/python" -m coverage report --include='*/formats/*,*/model/*,*/weights/*,*/gpu/*,*/layouts/*,*/runtimes/*,*/expressions/*' --fail-under=98

# Coverage-guided fuzzing of all that reads a stranger's bytes; prints the inputs tried.
if [ -e .build/fuzz-venv/.done ] || {
  rm -rf .build/fuzz-venv
  "$BIN/python" -m venv .build/fuzz-venv
  .build/fuzz-venv/bin/python -m pip install --quiet --disable-pip-version-check atheris==3.0.0 --editable . && touch .build/fuzz-venv/.done
}; then
  PYTHONPATH=src:. .build/fuzz-venv/bin/python -m tests.fuzz.campaign --seconds "${HF_PACK_FUZZ_SECONDS:-3}"
else
  echo "skipped: the fuzz campaign needs atheris, which could not be installed" >&2
fi

# Real runtimes, one at a time: a quarter of an hour.
if [ "${HF_PACK_E2E:-1}" = 1 ]; then
  "$BIN/python" -m pytest -p no:xdist --durations=10 tests/e2e
fi
