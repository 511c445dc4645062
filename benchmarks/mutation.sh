#!/bin/sh
# Changes the pure core of the detection in hundreds of small ways, each in a copy, and counts which ones no test notices.
# Usage, from the project's folder: sh benchmarks/mutation.sh [module.function* ...]
set -eu

project=$(pwd)
work=${MUTATION_DIR:-${TMPDIR:-/tmp}/ops-assist-mutation}
mkdir -p "$work/tree/tests/unit"
[ -x "$work/venv/bin/mutmut" ] || { python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install mutmut==3.8.1; }

cp -r schemas runtime stream_processor "$work/tree/"
cp -r tests/support "$work/tree/tests/"
cp -r tests/unit/stream_processor "$work/tree/tests/unit/"
# Every mutant meets every test that reaches it: fewer random examples for each than in a test run.
sed -i -E 's/max_examples=[0-9]+/max_examples=60/' "$work"/tree/tests/unit/stream_processor/*.py
cat > "$work/tree/pyproject.toml" <<'TOML'
[tool.pytest.ini_options]
asyncio_mode = "auto"
addopts = ["--import-mode=importlib", "-p", "no:randomly"]
pythonpath = ["."]

[tool.mutmut]
source_paths = ["stream_processor", "schemas", "runtime"]
only_mutate = [
  "stream_processor/detection.py", "stream_processor/sliding.py", "stream_processor/lifecycle.py",
  "stream_processor/recent_ids.py", "stream_processor/tumbling.py", "stream_processor/decisions.py",
  "stream_processor/span.py", "stream_processor/sighting.py", "stream_processor/kind_states.py",
  "stream_processor/machines.py", "stream_processor/baseline.py", "stream_processor/rate.py",
  "stream_processor/ratio.py", "stream_processor/patterns.py", "stream_processor/absence.py",
  "stream_processor/kinds.py", "stream_processor/log_clock.py", "stream_processor/seen_templates.py",
]
pytest_add_cli_args_test_selection = [
  "tests/unit/stream_processor/test_detection_bounds.py", "tests/unit/stream_processor/test_recent_ids.py",
  "tests/unit/stream_processor/test_tumbling.py", "tests/unit/stream_processor/test_state.py",
  "tests/unit/stream_processor/test_detection_against_oracle.py",
  "tests/unit/stream_processor/test_lifecycle_steps.py", "tests/unit/stream_processor/test_processor.py",
  "tests/unit/stream_processor/test_lifecycle_machine.py", "tests/unit/stream_processor/test_rules_swapped.py",
  "tests/unit/stream_processor/test_log_clock.py",
  "tests/unit/stream_processor/test_kinds_bounds.py", "tests/unit/stream_processor/test_kinds_against_oracle.py",
  "tests/unit/stream_processor/test_kinds_in_the_processor.py",
]
also_copy = ["tests"]
TOML

cd "$work/tree"
packages=$("$project/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
PYTHONPATH="$packages" "$work/venv/bin/python" -m mutmut run "$@"
PYTHONPATH="$packages" "$work/venv/bin/python" -m mutmut results
