"""Export to ONNX and `torch.export`, and prediction with the exported file."""

from perception.inference.export.examples import ExportError
from perception.inference.export.files import FORMATS, TOLERANCE, ExportReport, cached_export, export_model
from perception.inference.export.runtime import OnnxModel

__all__ = ["FORMATS", "TOLERANCE", "ExportError", "ExportReport", "OnnxModel", "cached_export", "export_model"]
