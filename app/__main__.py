"""``python -m app``: serve the demo, on this machine alone unless told otherwise."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.errors import PerceptionError


def main(arguments: list[str] | None = None) -> int:
    """Parse the flags and serve until interrupted; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Metric 3D from pictures in a web page.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--share", action="store_true", help="open a public tunnel through Gradio's servers")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask visitors for this name and password")
    parser.add_argument(
        "--models", nargs="*", metavar="NAME", help="offer these models only (default: all bundled ones)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--max-upload", type=float, default=20.0, metavar="MB", help="largest upload (default 20)")
    parser.add_argument(
        "--max-pixels", type=float, default=24.0, metavar="MEGAPIXELS", help="largest picture (default 24)"
    )
    parser.add_argument("--queue", type=int, default=32, help="how many requests may wait (default 32)")
    parser.add_argument(
        "--keep-minutes", type=float, default=30.0, metavar="MINUTES", help="results are deleted after (default 30)"
    )
    options = parser.parse_args(arguments)

    signal.signal(signal.SIGTERM, _interrupt)  # so that temporary files go when a service manager stops the app, too
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from app.server import serve
        from app.settings import Settings

        serve(Settings.from_options(options))
    except PerceptionError as error:
        print(f"app: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"app: cannot listen on {options.host}:{options.port}: {error}; choose another --port", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
