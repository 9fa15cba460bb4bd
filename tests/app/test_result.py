"""Late answers never overwrite newer ones: who may write what, and what is drawn when events overlap."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from app.jobs.ruler import in_pictures
from app.page import build_page
from app.parts.inputs import PictureInput, VideoInput
from app.parts.result import Result
from app.parts.views import Ruler
from app.services import Services
from app.settings import Settings
from app.workspace import Shelf, Workspace
from perception.results import DepthResult, Prediction

MODELS = {"photo": ("a", "b"), "boxes3d": ("c",), "panorama": ("panorama-a",), "rig": ("d",)}


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    workspace = Workspace()
    yield Services(Settings(device="cpu"), workspace, Shelf(), MODELS)
    workspace.close()


@pytest.fixture(scope="module")
def events(services: Services) -> list:
    """All events of the page that are not for programs."""
    return [event for event in build_page(services).fns.values() if event.api_visibility != "public"]


def of_page(event) -> dict:
    return event.get_config()


def heavy(event) -> bool:
    return event.concurrency_id == "device"


def entered_by_visitors(events: list) -> set[int]:
    """What a prediction reads: the visitor's own."""
    clicks = [event for event in events if heavy(event) and any(name == "click" for _, name in event.targets)]
    own = {part._id for event in clicks for part in event.inputs if not isinstance(part, (gr.State, gr.Dataset))}
    written = {part._id for event in clicks for part in event.outputs}
    return own - written


def test_what_takes_long_never_writes_what_a_visitor_enters(events: list) -> None:
    """An example that is finished late would replace the picture that a quick visitor has uploaded meanwhile."""
    entered = entered_by_visitors(events)
    assert len(entered) > 40
    for event in filter(heavy, events):
        assert not entered & {part._id for part in event.outputs}, event.targets
        assert not any(isinstance(part, (PictureInput, VideoInput)) for part in event.outputs)


def test_what_is_seen_is_written_by_one_event_that_draws_the_last_answer(events: list) -> None:
    """Two events that write the same picture would show whichever is slower."""
    kinds = (gr.Image, gr.ImageSlider, gr.Video, gr.Model3D, gr.File, gr.Code, gr.Dataframe)
    given = entered_by_visitors(events)
    steps = {event._id: event for event in events}
    writers: Counter = Counter()
    seen = 0
    for event in events:
        parts = [part for part in event.outputs if isinstance(part, kinds) and part._id not in given]
        writers.update(part._id for part in parts)
        if parts:
            seen += 1
            assert not heavy(event) and of_page(event)["trigger_mode"] == "always_last"
            step = steps[event.trigger_after]  # its own: runs that share an event start each other
            assert step.js and of_page(step)["trigger_mode"] == "multiple"
            assert [other.trigger_after for other in events].count(step._id) == 1
            assert any(name == "change" for _, name in step.targets) and isinstance(event.inputs[0], gr.State)
    assert seen >= 7 * 3 and set(writers.values()) == {1}


def test_views_that_take_seconds_to_open_say_that_they_are_drawn(events: list) -> None:
    """3D and files are made when they are opened: until then there would be nothing to see."""
    slow = [event for event in events if any(isinstance(part, (gr.Model3D, gr.File)) for part in event.outputs)]
    slow = [event for event in slow if isinstance(event.inputs[0], gr.State) and not heavy(event)]
    assert len(slow) == 2 * 7 and all(event.show_progress == "full" for event in slow)


def test_what_takes_long_waits_in_one_queue(events: list) -> None:
    """Then answers come in the order in which they were asked for, the first example before what was asked after it."""
    tickets = [event for event in events if any(isinstance(part, gr.State) for part in event.outputs) and heavy(event)]
    assert len(tickets) >= 7 * 2 and all(event.concurrency_limit == 1 for event in tickets)


def test_an_uploads_camera_is_forgotten_in_the_browser(services: Services, events: list) -> None:
    """A visitor who uploads and predicts at once must not be given the camera of the example."""
    uploads = [event for event in events if any(name == "upload" for _, name in event.targets)]
    assert len(uploads) == 4 and all(event.fn is None and event.js and "Picture" in event.js for event in uploads)


@dataclasses.dataclass
class Answer:
    result: object
    megabytes: float = 1.0


def test_drawing_follows_the_answer_that_is_kept(services: Services) -> None:
    with gr.Blocks() as page:
        result, text = Result(services, "x"), gr.Textbox()
        with gr.Tabs():
            with result.view("First"):
                pass
            files = result.files_view()
        result.drawn(lambda answer, word: f"{answer.result} {word}", [text], [text], [text.input])
        result.drawn_files(lambda answer, folder: [folder / answer.result], [], files)
    texts, listed = (event.fn for event in page.fns.values() if event.fn is not None)
    first, second = services.shelf.put(Answer("one")), services.shelf.put(Answer("two"))
    say = gr.Progress()
    assert texts(None, say, "red") == gr.skip()
    assert [texts(ticket, say, "red") for ticket in (first, second)] == ["one red", "two red"]
    assert listed(second, say, "First") == gr.skip()  # closed: left alone, and made when it is opened
    assert [Path(path).name for path in listed(second, say, "Files")] == ["two"]
    with pytest.warns(UserWarning, match="no longer kept"):  # no error: that would end what waits behind it
        assert texts("gone", say, "red") == gr.skip()


def test_clicks_in_an_older_answer_are_no_points_of_this_one(services: Services) -> None:
    with gr.Blocks() as page:
        result = Result(services, "x")
        with gr.Tabs():
            ruler = Ruler(result, "Click")
        ruler.connect(result, lambda answer: in_pictures({"": answer.result}))
    clicked, typed, draw = (event.fn for event in page.fns.values() if event.fn is not None)
    first, second = (
        services.shelf.put(Answer(Prediction(depth=DepthResult(depth), image=np.zeros((40, 60, 3), np.uint8))))
        for depth in np.full((2, 40, 60), 3, np.float32)
    )

    def click(x: int, ticket: str, clicks: tuple) -> tuple:
        return clicked(gr.SelectData(None, {"index": (x, 5), "value": None}), ticket, clicks)

    say = gr.Progress()
    one = click(10, first, (None, ()))
    two = click(20, first, one)
    at, between = (draw(first, say, first, clicks)[1] for clicks in (one, two))
    assert "at (10, 5)" in at and "between (10, 5) and (20, 5)" in between
    assert "at (30, 5)" in draw(first, say, first, click(30, first, two))[1]  # a third click starts anew
    image, text = draw(second, say, second, two)
    assert text == "" and not image.any()
    assert "at (40, 5)" in draw(second, say, second, click(40, second, one))[1]
    assert "between (7, 8) and (9, 1)" in draw(second, say, second, typed("7, 8; 9, 1", second))[1]


def test_each_drawing_of_the_3d_view_has_a_name_of_its_own(services: Services) -> None:
    """Gradio's viewer, given the same file twice before it has loaded itself, shows nothing at all."""

    def draw(answer: Answer, folder: Path) -> Path:
        (folder / "shape.glb").write_bytes(b"same")
        return folder / "shape.glb"

    with gr.Blocks() as page:
        result = Result(services, "y")
        with gr.Tabs(), result.view("3D"):
            model = gr.Model3D()
        result.drawn_shape(draw, [], model)
    (shape,) = (event.fn for event in page.fns.values() if event.fn is not None)
    ticket = services.shelf.put(Answer("one"))
    one, two = (Path(shape(ticket, gr.Progress(), "3D")) for _ in range(2))
    assert one.name != two.name and one.read_bytes() == two.read_bytes() == b"same"
    assert shape(ticket, gr.Progress(), "Files") == gr.skip()
