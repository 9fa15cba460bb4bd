"""One picture in, boxes out, in ONNX Runtime and in a saved `torch.export` program."""

import io

import pytest
import torch


class Boxes(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image, focal, height):
        out = self.model(image, focal, height)
        return tuple(out[name] for name in ("logits", "boxes", "sizes", "depths", "headings"))


def test_onnx_gives_the_same_boxes(tiny, batch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = Boxes(tiny(encoder_layers=1)).eval()
    inputs = {k: v[:1].contiguous() for k, v in model.model.inputs(batch).items()}
    with torch.no_grad():
        expected = model(**inputs)
        buffer = io.BytesIO()
        program = torch.onnx.export(model, (), kwargs=inputs, dynamo=True, opset_version=18, verbose=False)
    program.save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue())
    found = session.run(None, {i.name: inputs[i.name].numpy() for i in session.get_inputs()})
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(a), b, atol=2e-4, rtol=1e-3)
