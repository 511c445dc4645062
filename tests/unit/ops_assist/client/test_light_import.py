"""The client costs an application nothing that it does not use."""

import subprocess
import sys

_SCRIPT = """
import sys
before = set(sys.modules)
import ops_assist.client
new = {name.partition(".")[0] for name in set(sys.modules) - before}
foreign = {name for name in new - sys.stdlib_module_names if not name.startswith("_")}
print(*sorted(foreign))
"""


def test_importing_it_imports_the_standard_library_and_msgspec_alone() -> None:
    """No Faust, no aiokafka, no web framework, no HTTP library that logs."""
    run = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) - {"typing_extensions"} == {"msgspec", "ops_assist", "schemas"}  # msgspec uses it
