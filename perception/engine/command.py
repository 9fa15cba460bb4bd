"""What the command-line tools share: errors as sentences, exit codes, one place that turns warnings off."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable

from perception.errors import PerceptionError


def run_command(body: Callable[[], int | None]) -> int:
    """Run `body`; return its exit code, or 2 with one sentence on stderr for an error that is the caller's to mend.

    ``PERCEPTION_TRACEBACK=1`` shows where the error came from.
    """
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"mmengine.*")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"mmengine.*")
    # torch warns that a schedule stepped first when a skipped step left the optimiser out
    warnings.filterwarnings("ignore", message=r"Detected call of `scheduler.step\(\)`")
    try:
        return body() or 0
    except PerceptionError as error:
        if os.environ.get("PERCEPTION_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        return 130
    except MemoryError:
        print("error: out of memory; lower batch_size or num_workers", file=sys.stderr, flush=True)
        return 2
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if "out of memory" not in str(error).lower():
            raise
        print(
            f"error: the GPU ran out of memory ({str(error).splitlines()[0]}); lower batch_size, or raise "
            "optim_wrapper.accumulative_counts and lower batch_size by as much",
            file=sys.stderr,
            flush=True,
        )
        return 2
