"""numpy, as this package uses it: imported here only, without the threads of its linear algebra.

The library that numpy brings for matrices starts a thread for each further processor when it is loaded, and they wait
actively for work. We multiply no matrices: the threads cost a third of the time of the import and do nothing.
"""

import os
from typing import Final

_THREADS: Final = "OPENBLAS_NUM_THREADS"

_given = os.environ.get(_THREADS)
os.environ.setdefault(_THREADS, "1")

import numpy as np  # noqa: E402  # after the number of threads is set
from numpy.typing import NDArray  # noqa: E402

if _given is None:
    # Programs that we start, such as hooks, are not to inherit it.
    del os.environ[_THREADS]

__all__ = ["NDArray", "np"]
