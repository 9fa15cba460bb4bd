"""Parts that the tabs share. `Result` is the one to read first: what was predicted last, and everything that is drawn from it."""
