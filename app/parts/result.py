"""What was predicted last in a tab, and everything that is drawn from it, whatever a visitor does at the same time."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context

from app.jobs.common import Say
from app.services import HEAVY, QUIET, Services

Parts = Sequence[gr.components.Component]
# In the browser: the title of a view that was opened. A 3D view must be on the screen before it is given anything to draw: what comes earlier, as from
# a fast server, it never shows. Events of one click run one after the other, so drawing waits for this.
_OPENED = """async () => {
    const [title, prefix] = %s;
    const seen = () => document.querySelector(`#${prefix}-3d`)?.offsetParent;
    for (let tries = 0; title === "3D" && !seen() && tries < 200; tries++) await new Promise(done => setTimeout(done, 50));
    return title;
}"""


# In the browser: where the result lies below the button, as on a phone, it is moved into sight when it is asked for, and with it the progress.
_SEEN = """() => {
    const [run, views] = ["run", "views"].map(part => document.querySelector(`#%s-${part}`));
    if (!run || !views || views.getBoundingClientRect().top < run.getBoundingClientRect().bottom) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    views.closest(".column").scrollIntoView({ behavior: still ? "instant" : "smooth" });
}"""


class Result:
    """The last answer of a tab, by its `ticket`, and the events around it.

    A visitor's events overlap: a slider is moved while a model runs, a tab is opened while its shape is drawn, and what was asked first may come
    last. Three rules keep late answers from overwriting newer ones:

    * What takes long (`predicted`, `example`, `first`) writes no picture, only the ticket of the kept answer and the `controls` that start with it.
      These events share one queue, so they end in the order in which they were asked for.
    * What is seen (`drawn`, `drawn_open`) is written by exactly one event, which draws it from the answer that is kept when it runs. The browser runs
      such an event ("always_last") never twice at once, and once more after the last change.
    * What a visitor enters is never written by either: an example sets it at once when it is clicked.
    """

    def __init__(self, services: Services, prefix: str) -> None:
        """prefix: with which the elem_ids start."""
        self.services, self.prefix = services, prefix
        self.ticket = gr.State(None)
        self._open = gr.Textbox("", visible="hidden", elem_id=f"{prefix}-open", label="Open view")
        self._views: dict[str, gr.Tab] = {}
        self._controls: Parts = ()
        self._start: Callable[..., tuple[Any, ...]] = lambda answer: ()
        self._busy: gr.components.Component | None = None

    # -- layout ----------------------------------------------------------------------------------------------------------

    def view(self, title: str) -> gr.Tab:
        """A tab among the views of the result, to be filled."""
        tab = self._views[title] = gr.Tab(title)
        tab.select(None, None, self._open, js=_OPENED % json.dumps([title, self.prefix]), show_progress="hidden")
        return tab

    def files_view(self, label: str = "Everything in one ZIP, and file by file") -> gr.File:
        """The view "Files"; see `drawn_files`."""
        with self.view("Files"):
            return gr.File(label=label, elem_id=f"{self.prefix}-files", interactive=False)

    def code_view(self, label: str = "This very result in Python") -> gr.Code:
        """The view "Python"."""
        with self.view("Python"):
            return gr.Code(language="python", label=label, elem_id=f"{self.prefix}-code", lines=10)

    # -- answers ---------------------------------------------------------------------------------------------------------

    def starts(
        self, busy: gr.components.Component, controls: Parts = (), start: Callable[..., tuple[Any, ...]] | None = None
    ) -> None:
        """Say where progress is shown, and which controls start anew with an answer: ``start(answer, *their values)`` gives their values."""
        self._busy, self._controls = busy, list(controls)
        if start is not None:
            self._start = start

    def predicted(self, event: Callable[..., Any], make: Callable[..., Any], inputs: Parts) -> None:
        """After `event` the answer is ``make(say, *inputs)``, made alone on the device. An answer tells its `megabytes`."""

        def run(progress: gr.Progress = gr.Progress(), *values: Any) -> Any:  # noqa: B008
            asked, now = values[: len(inputs)], values[len(inputs) :]
            answer = self.services.run(lambda: make(_say(progress), *asked))
            return self._shown(self.services.shelf.put(answer, answer.megabytes), now)

        event(None, js=_SEEN % self.prefix, **QUIET)
        self._heavy(event, run, [*inputs, *self._controls])

    def examples(
        self,
        samples: gr.Dataset,
        make: Callable[[int, Say], Any],
        inputs: Parts,
        preset: Callable[[int], tuple[Any, ...]],
    ) -> None:
        """A click on one of `samples` sets the `inputs` to ``preset(number)`` at once, then shows the example ``make(number, say)``, made once for all."""

        def run(number: int, progress: gr.Progress = gr.Progress(), *now: Any) -> Any:  # noqa: B008
            return self._example(number, make, progress, now)

        samples.click(None, js=_SEEN % self.prefix, **QUIET)
        samples.click(preset, samples, list(inputs), queue=False, **QUIET)
        self._heavy(samples.click, run, [samples, *self._controls])

    def first(self, event: Callable[..., Any], make: Callable[[int, Say], Any]) -> None:
        """After `event` who has no answer yet sees the first example. The inputs hold it from the start."""

        def run(ticket: str | None, progress: gr.Progress = gr.Progress(), *now: Any) -> Any:  # noqa: B008
            return _values(gr.skip() for _ in (ticket, *now)) if ticket else self._example(0, make, progress, now)

        self._heavy(event, run, [self.ticket, *self._controls])

    def _example(self, number: int, make: Callable[[int, Say], Any], progress: Any, now: Sequence[Any]) -> Any:
        ticket = self.services.example(f"{self.prefix}-{int(number)}", lambda: make(int(number), _say(progress)))
        return self._shown(ticket, now)

    def _shown(self, ticket: str, now: Sequence[Any]) -> Any:
        return _values((ticket, *self._start(self.services.shelf.get(ticket), *now)))

    def _heavy(self, event: Callable[..., Any], run: Callable[..., Any], inputs: Parts) -> None:
        event(
            run,
            list(inputs),
            [self.ticket, *self._controls],
            show_progress_on=self._busy,
            api_visibility="private",
            **HEAVY,
        )

    # -- what is seen ----------------------------------------------------------------------------------------------------

    def drawn(
        self,
        draw: Callable[..., Any],
        inputs: Parts,
        outputs: Parts,
        triggers: Sequence[Callable[..., Any]] = (),
        busy: gr.components.Component | None = None,
        show: str = "hidden",
    ) -> None:
        """Keep `outputs` as ``draw(answer, *inputs)`` gives them: after every new answer and after the `triggers`. No model runs.

        busy: where progress is told, if it takes long; then it is ``draw(say, answer, *inputs)``. show: "full": that `outputs` are drawn is shown on them.
        """
        outputs = list(outputs)

        def run(ticket: str | None, progress: gr.Progress = gr.Progress(), *values: Any) -> Any:  # noqa: B008
            told = () if busy is None else (_say(progress),)
            if ticket:
                try:
                    return self.services.attempt(lambda: draw(*told, self.services.shelf.get(ticket), *values))
                except gr.Error as error:  # no error: the browser would forget the run that waits behind this one
                    gr.Warning(error.message, duration=8)
            return _values(gr.skip() for _ in outputs)

        shown = QUIET | (
            {"show_progress": show} if busy is None else {"show_progress": "full", "show_progress_on": busy}
        )
        # A run that waits behind another one is started by its event anew, and with it all other runs of that event: two of them would keep each
        # other going for ever. So each run follows an empty step of its own, by which it alone is started.
        step = gr.on([self.ticket.change, *triggers], js="() => []", trigger_mode="multiple", queue=False, **QUIET)
        step.then(run, [self.ticket, *inputs], outputs, trigger_mode="always_last", **shown)

    def drawn_open(
        self,
        title: str,
        draw: Callable[..., Any],
        inputs: Parts,
        output: gr.components.Component,
        triggers: Sequence[Callable[..., Any]] = (),
    ) -> None:
        """`drawn`, but only while the view `title` is open: what is costly, or is shown only while it can be seen.

        Else it is left alone: the view may have been opened since, and opening it draws anew. It may take seconds, in which the view says so.
        """

        def run(answer: Any, opened: str, *values: Any) -> Any:
            return draw(answer, *values) if opened == title else gr.skip()

        self.drawn(run, [self._open, *inputs], [output], [self._views[title].select, *triggers], show="full")

    def drawn_shape(
        self,
        draw: Callable[..., Path | None],
        inputs: Parts,
        model: gr.Model3D,
        triggers: Sequence[Callable[..., Any]] = (),
    ) -> None:
        """The view "3D": ``draw(answer, folder, *inputs)`` writes the file to show."""

        def run(answer: Any, *values: Any) -> str | None:
            file = draw(answer, self.services.folder(), *values)
            if file is None:
                return None
            # Gradio's viewer forgets to load itself when it is given the same file again before it has loaded: each drawing has a name of its own.
            return str(file.rename(file.with_stem(f"{file.stem}_{secrets.token_hex(4)}")))

        self.drawn_open("3D", run, inputs, model, triggers)

    def drawn_files(
        self,
        write: Callable[..., Sequence[Path]],
        inputs: Parts,
        files: gr.File,
        triggers: Sequence[Callable[..., Any]] = (),
    ) -> None:
        """The view "Files": ``write(answer, folder, *inputs)`` writes them."""

        def run(answer: Any, *values: Any) -> list[str]:
            return [str(path) for path in write(answer, self.services.folder(), *values)]

        self.drawn_open("Files", run, inputs, files, triggers)


def page_load() -> Callable[..., Any]:
    """The event of a page that is opened."""
    return Context.root_block.load


def tab_opened() -> Callable[..., Any]:
    """The event of a visitor who opens the `gr.Tab` that is being filled."""
    block = Context.block
    while block is not None and not isinstance(block, gr.Tab):
        block = block.parent
    if block is None:
        raise RuntimeError("this must be called inside a gr.Tab")
    return block.select


def _values(values: Iterable[Any]) -> Any:
    """As an event returns them: a single one bare."""
    every = tuple(values)
    return every if len(every) > 1 else every[0]


def _say(progress: gr.Progress) -> Say:
    return lambda share, text: progress(share, desc=text)
