"""How the app is served, as the command line says it."""

from __future__ import annotations

import argparse
import dataclasses

from perception.errors import InputError

KEEP_SECONDS = 30 * 60  # results of a visitor stay this long, then they are deleted


@dataclasses.dataclass(frozen=True)
class Settings:
    """`auth` is (user, password) or None; `max_upload` in megabytes, `max_pixels` in pixels; `queue` is how many requests may wait."""

    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    auth: tuple[str, str] | None = None
    models: tuple[str, ...] = ()
    device: str = "auto"
    max_upload: float = 20.0
    max_pixels: int = 24_000_000
    queue: int = 32
    keep_seconds: float = KEEP_SECONDS

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Settings:
        """From the command line. Raises `InputError` for flags that cannot work."""
        auth = None
        if options.auth is not None:
            user, colon, password = options.auth.partition(":")
            if not (user and colon and password):
                raise InputError("--auth takes USER:PASSWORD")
            auth = (user, password)
        for flag in ("max_upload", "max_pixels", "queue", "keep_minutes"):
            if not getattr(options, flag) > 0:
                raise InputError(f"--{flag.replace('_', '-')} must be positive; found {getattr(options, flag):g}")
        return cls(
            host=options.host,
            port=options.port,
            share=options.share,
            auth=auth,
            models=tuple(options.models or ()),
            device=options.device,
            max_upload=options.max_upload,
            max_pixels=int(options.max_pixels * 1e6),
            queue=options.queue,
            keep_seconds=options.keep_minutes * 60,
        )
