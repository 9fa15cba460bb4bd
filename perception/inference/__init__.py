"""From a name to a model that takes pictures: the zoo, safe loading, prediction."""

from perception.inference.loading import load
from perception.inference.predictor import Predictor
from perception.inference.zoo import Entry, list_models

__all__ = ["Entry", "Predictor", "list_models", "load"]
