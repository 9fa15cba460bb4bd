"""What the tabs do, without Gradio: one module a task. Functions are plain, take files and numbers, and raise `InputError` with one sentence."""
