"""mmengine's `Runner` with the parts replaced that lose work, execute text, or wait for the GPU at every iteration.

What differs from mmengine 0.10.7, and why:

- models, data sets and evaluators come from this package's registries; loops, hooks, optimisers and visual backends from mmengine's
- checkpoints are written atomically, hold no code and no configuration text, and are read by torch's safe loader
- a resumed run starts at its sample, with its random numbers, without reading again what was seen
- one wrapper does float32, bfloat16 and float16; on a CPU mixed precision falls back with a warning
- distributed training works on CPUs (gloo)
- nothing needs yapf, distutils, setuptools or a C compiler at start, so it is quick and runs on Python 3.12 and later
"""

from __future__ import annotations

import contextlib
import copy
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from perception.datasets.transforms.registry import build_batch_transform
from perception.engine import (
    distributed,
    layer_decay,  # noqa: F401  (registers its constructor)
    muon,  # noqa: F401  (registers its optimiser)
)
from perception.engine.checkpoint import get_rng_state, newest_loadable, write_checkpoint
from perception.engine.ema import WeightAverage
from perception.engine.guard import FiniteGuard
from perception.engine.hooks import checkpoints, metrics, pictures  # noqa: F401  (registers the hooks)
from perception.engine.loops import EvaluationLoop, EvaluationTestLoop, IterationTrainLoop
from perception.engine.optim import GuardedOptimWrapper
from perception.engine.recipe import jsonable
from perception.engine.run_state import checkpoint_of, restore_run, run_weights
from perception.engine.wrapper import TrainingModel
from perception.errors import RecipeError
from perception.io.checkpoints import load_fitting, load_strictly, read_checkpoint, state_dict_of
from perception.models.registry import build_model

DEFAULT_HOOKS: dict[str, Any] = {
    "log": {"type": "MetricsHook"},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "checkpoint": {"type": "SafeCheckpointHook"},
    "signals": {"type": "SignalHook"},
    "pictures": {"type": "SavePredictionsHook", "count": 4, "previews": True},
}
_AMP = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def _tracker(backend: dict[str, Any]) -> dict[str, Any]:
    """MLflow takes parameters without brackets and of limited length alone, so by default none of the recipe's keys become parameters."""
    return {"tracked_config_keys": [], **backend} if backend.get("type") == "MLflowVisBackend" else backend


class PerceptionRunner(Runner):
    """Runs a checked recipe (`perception.engine.recipe`, `perception.engine.schema`).

    Args:
        recipe: the resolved recipe.
        work_dir: the run folder.
        resume: go on from the newest loadable checkpoint of the run folder, or from `load_from`.
        trust: read checkpoints with the full unpickler.
        train: whether this runner trains (otherwise it only tests).
    """

    def __init__(
        self,
        recipe: dict[str, Any],
        work_dir: str | Path,
        resume: bool | str | Path = False,
        trust: bool = False,
        train: bool = True,
        launcher: str = "none",
    ) -> None:
        recipe = copy.deepcopy(recipe)
        self.recipe, self.trust, self.trains = jsonable(recipe), trust, train
        self.resume_from = resume
        self.average: WeightAverage | None = None
        self.best: dict[str, Any] = {}
        self.last_metrics: dict[str, float] = {}
        self.stop_signal: str | None = None
        self.resumed_path: Path | None = None
        training = {
            key: recipe.get(key) for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler")
        }
        validation = {key: recipe.get(key) for key in ("val_dataloader", "val_evaluator")}
        testing = {key: recipe.get(key) for key in ("test_dataloader", "test_evaluator")}
        if validation["val_dataloader"] is None:
            validation = {}
        if testing["test_dataloader"] is None:
            testing = {}
        visualizer = {
            "type": "Visualizer",
            "vis_backends": [_tracker(backend) for backend in recipe.get("vis_backends") or []],
            "save_dir": str(Path(work_dir) / "tracking"),
        }
        super().__init__(
            model=recipe["model"],
            work_dir=str(work_dir),
            **(training if train else {}),
            **(validation if train else {}),
            **({} if train else testing),
            val_cfg={} if train and validation else None,
            test_cfg={} if not train and testing else None,
            default_hooks=recipe.get("default_hooks") or {},
            custom_hooks=recipe.get("custom_hooks"),
            load_from=recipe.get("load_from"),
            launcher=launcher,
            env_cfg=recipe.get("env_cfg") or {"cudnn_benchmark": False, "mp_cfg": {"mp_start_method": "fork"}},
            log_level=recipe.get("log_level", "INFO"),
            visualizer=visualizer,
            randomness={"seed": recipe.get("seed", 0), "deterministic": bool(recipe.get("deterministic", False))},
            experiment_name=f"{recipe.get('name', 'run')}_{uuid.uuid4().hex[:6]}",  # mmengine's singletons are named by it
            cfg=None,
        )
        if train and recipe.get("vis_backends"):
            self._track_recipe()
        with contextlib.suppress(OSError):
            Path(self.log_dir).rmdir()  # mmengine's folder by date; this package logs into the run folder itself

    # -- building ------------------------------------------------------------------------------------------------------

    def build_logger(self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any) -> Any:
        return super().build_logger(log_level, log_file or str(Path(self.work_dir) / "train.log"), **kwargs)

    def _track_recipe(self) -> None:
        """Give the recipe to the tracking backends; MLflow also needs it to end its run and to keep the run folder's texts."""
        try:
            self.visualizer.add_config(Config({**self.recipe, "work_dir": str(self.work_dir)}))
        except Exception as error:  # of a service; the run folder has the recipe anyhow
            self.logger.warning(f"the recipe could not be given to the tracking backends: {error}")

    def close_logs(self) -> None:
        """Close ``train.log`` and the visual backends, so that nothing holds the run folder when the run is over."""
        for handler in list(self.logger.handlers):
            if isinstance(handler, logging.FileHandler):
                self.logger.removeHandler(handler)
                handler.close()
        with contextlib.suppress(Exception):  # a tracking service that is gone must not hide how the run ended
            self.visualizer.close()

    def build_model(self, model: dict[str, Any] | nn.Module) -> nn.Module:
        dtype = self._amp_dtype()
        options = self.recipe.get("compile")
        compile_options = None if not options else options if isinstance(options, dict) else {}
        return TrainingModel(
            build_model(self.recipe["model"]),
            [build_batch_transform(config) for config in self.recipe.get("batch_transform") or []],
            dtype,
            bool(self.recipe.get("channels_last", False)),
            compile_options,
        )

    def _amp_dtype(self) -> torch.dtype | None:
        name = self.recipe.get("amp")
        name = "bfloat16" if name is True else name
        if not name:
            return None
        if name not in _AMP:
            raise RecipeError(f"amp should be one of {', '.join(_AMP)} or None, found {name!r}")
        if not torch.cuda.is_available():
            self.logger.warning("mixed precision needs a GPU; training in float32")
            return None
        return _AMP[name]

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
        model = model.to(device)
        if not self.distributed:
            return model
        if self.recipe.get("sync_bn") and device.type == "cuda":
            model.net = nn.SyncBatchNorm.convert_sync_batchnorm(model.net)
        if self.recipe.get("strategy") == "fsdp2":
            from perception.engine.sharded import shard

            return shard(model)
        if not self.trains:
            return model
        return DistributedDataParallel(
            model,
            device_ids=[device.index] if device.type == "cuda" else None,
            broadcast_buffers=False,
            find_unused_parameters=bool(self.recipe.get("find_unused_parameters", False)),
        )

    @property
    def training_model(self) -> TrainingModel:
        """The model without what distributed training wraps around it."""
        return self.model.module if isinstance(self.model, DistributedDataParallel) else self.model

    def build_train_loop(self, loop: Any) -> Any:
        return (
            loop if isinstance(loop, IterationTrainLoop) else IterationTrainLoop(self, self._train_dataloader, **loop)
        )

    def build_val_loop(self, loop: Any) -> Any:
        return (
            loop
            if isinstance(loop, EvaluationLoop)
            else EvaluationLoop(self, self._val_dataloader, self._val_evaluator)
        )

    def build_test_loop(self, loop: Any) -> Any:
        if isinstance(loop, EvaluationLoop):
            return loop
        return EvaluationTestLoop(self, self._test_dataloader, self._test_evaluator)

    def build_optim_wrapper(self, optim_wrapper: Any) -> GuardedOptimWrapper:
        if isinstance(optim_wrapper, GuardedOptimWrapper):
            return optim_wrapper
        config = {**copy.deepcopy(optim_wrapper), "type": "GuardedOptimWrapper"}
        if "layer_decay" in (config.get("paramwise_cfg") or {}):
            config.setdefault("constructor", "LayerDecayConstructor")
        level = self.logger.level
        self.logger.setLevel(logging.WARNING)  # one line a parameter otherwise
        built = super().build_optim_wrapper(config)
        self.logger.setLevel(level)
        built.guard = FiniteGuard(self.recipe.get("non_finite", "stop"))
        if self.training_model.amp_dtype is torch.float16:
            built.use_loss_scaling()
        return built

    def _build_param_scheduler(self, scheduler: Any, optim_wrapper: Any) -> list[Any]:
        built = []
        for config in scheduler if isinstance(scheduler, list | tuple) else [scheduler]:
            config = dict(config)
            if PARAM_SCHEDULERS.get(config["type"]).__module__.startswith("perception."):
                config.setdefault("max_iters", self.max_iters)
                built.append(PARAM_SCHEDULERS.build({**config, "optimizer": optim_wrapper}))
            else:  # one of mmengine's: iterations are the unit here
                config.setdefault("by_epoch", False)
                built.extend(super()._build_param_scheduler([config], optim_wrapper))
        return built

    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None:
        chosen = {**DEFAULT_HOOKS, **(hooks or {})}
        for name, hook in chosen.items():
            if hook is not None:
                self.register_hook({**DEFAULT_HOOKS.get(name, {}), **copy.deepcopy(hook)})

    # -- running -------------------------------------------------------------------------------------------------------

    def train(self) -> nn.Module:
        """Train; on return the run folder holds a checkpoint of the last iteration."""
        average = self.recipe.get("ema")
        if average:
            self.average = WeightAverage(self.training_model.net, **(average if isinstance(average, dict) else {}))
        if self.rank:  # the weights were drawn alike; from here on processes augment differently
            torch.manual_seed(self.seed + 7919 * self.rank)
        try:
            return super().train()
        finally:
            for hook in self.hooks:
                if isinstance(hook, checkpoints.SignalHook):
                    hook.after_run(self)

    @contextlib.contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Let the model hold the averaged weights, where there are any, inside the block."""
        if self.average is None:
            yield
        else:
            with self.average.applied(self.training_model.net):
                yield

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self, path: Path, marker: bool) -> None:
        """Write a checkpoint of the present state. Raises `TrainingError` instead when the numbers are not finite."""
        self.optim_wrapper.guard.flush()
        rng = distributed.gather(get_rng_state())
        states = run_weights(self)
        if self.rank != 0:
            return
        checkpoint = checkpoint_of(self, states, rng)
        self.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        write_checkpoint(checkpoint, path, marker)
        self.logger.info(f"saved {path}")

    def save_checkpoint(self, out_dir: str, filename: str, *_: Any, **__: Any) -> None:
        """What hooks of mmengine call; every checkpoint goes through `save`."""
        self.save(Path(out_dir) / filename, marker=False)

    def load_or_resume(self) -> None:
        if self._has_loaded:
            return
        self._has_loaded = True
        if self.resume_from:
            self.resume(None if self.resume_from is True else self.resume_from)
        elif self._load_from:
            self.load_checkpoint(self._load_from)

    def resume(self, filename: str | Path | None, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Go on from `filename`, or from the newest loadable checkpoint of the run folder."""
        if filename is None:
            path, checkpoint, passed_over = newest_loadable(self.work_dir, self.trust)
            for sentence in passed_over:
                self.logger.warning(f"passed over: {sentence}")
        else:
            path = Path(filename)
            checkpoint = read_checkpoint(path, self.trust)
        restore_run(self, checkpoint, path)
        self.resumed_path, loop = path, self.train_loop
        self.logger.info(f"resumed {path} at iteration {loop.iter} of {loop.max_iters}")

    def load_checkpoint(self, filename: str, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Load weights alone: a training checkpoint (its average if it has one) or a published folder.

        Strictly, unless a training's recipe says ``load_partly``: then what fits is taken, and the rest is named in the log.
        """
        if Path(filename).is_dir():
            state = read_checkpoint(Path(filename) / "model.safetensors")
        else:
            content = read_checkpoint(filename, self.trust)
            state = state_dict_of(content, keys=("ema_state_dict", "state_dict", "model"))
        network, what = self.training_model.net, f"the weights in {str(filename)!r}"
        if self.trains and self.recipe.get("load_partly"):
            fit = load_fitting(network, state, what)
            rest = "" if fit.complete else f"; not taken: {fit}"
            self.logger.info(f"loaded {len(fit.fitting)} of {len(network.state_dict())} entries from {filename}{rest}")
        else:
            load_strictly(network, state, what)
            self.logger.info(f"loaded weights from {filename}")
        if self.average is not None:
            self.average.load(network.state_dict(), 0)

    def _init_model_weights(self) -> None:
        pass

    # -- what mmengine does at start and this package does elsewhere (`run_folder`) -------------------------------------

    def _log_env(self, env_cfg: dict) -> None:
        self.logger.log(logging.DEBUG, "the environment is recorded in environment.json")

    def dump_config(self) -> None:
        pass

    def get_hooks_info(self) -> str:
        return ", ".join(type(hook).__name__ for hook in self.hooks)

    def _maybe_compile(self, target: str) -> None:
        pass
