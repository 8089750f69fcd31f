"""``skfleet-worker``: the command that runs in the container."""

from __future__ import annotations

import os

#: One thread a scorer: there is a scorer a core. Read by OpenMP and the BLAS libraries when they are
#: first imported, so it is set before anything else here is.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
#: The jemalloc inside pyarrow starts a thread when it is loaded; a process that is forked must have none.
os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"


def main() -> None:
    """Run the command line; the exit code says how it ended."""
    from skfleet_worker.command import app  # noqa: PLC0415  (after the environment is set)

    app()


if __name__ == "__main__":
    main()
