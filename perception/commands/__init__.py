"""The commands of ``perception``, one a file: `add` says what a command takes, `run` does it. Everything heavy is imported where it is run."""
