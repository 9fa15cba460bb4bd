"""`tools/train.py` and `tools/test.py` as a user calls them, on the toy recipe."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from perception.errors import WeightsError
from tests.engine.helpers import RECIPE, Child, curve, differences, rows, run, train, train_here

CHANGES = ("default_hooks.checkpoint.keep=0",)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of the toy recipe, all checkpoints kept. 22 samples in batches of 4: iteration 5 is inside an epoch."""
    folder = tmp_path_factory.mktemp("finished")
    done = train(folder, options=CHANGES)
    assert done.returncode == 0, done.stdout
    return folder


def test_run_folder_and_published_model(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert {"recipe.json", "recipe.py", "environment.json", "metrics.jsonl", "train.log", "last_checkpoint"} <= names
    assert (finished / "last_checkpoint").read_text() == "iter_16.pth"
    assert json.loads((finished / "status.json").read_text()) == {"ended": "finished", "iteration": 16, "max_iters": 16}
    assert len(rows(finished)) == 16 and [row["iter"] for row in rows(finished, "val")] == [5, 10, 15, 16]
    assert not list(finished.glob(".*"))
    assert len(list((finished / "pictures" / "iter_10").glob("*.png"))) == 4, "pictures of validation samples"
    environment_row = json.loads((finished / "environment.json").read_text())
    assert environment_row["packages"]["torch"] in torch.__version__ and "commit" in (
        environment_row["git"] or {"commit": 0}
    )
    config = json.loads((finished / "export" / "config.json").read_text())
    assert config["model"] == {"type": "ToyNet", "width": 8} and config["provenance"]["iterations"] == 16
    assert config["provenance"]["metrics"]["toy/mae"] == rows(finished, "val")[-1]["toy/mae"]


def test_training_reduces_the_loss(finished: Path) -> None:
    losses = [row["loss"] for row in rows(finished)]
    assert sum(losses[-4:]) < sum(losses[:4])


def test_own_checkpoints_hold_no_unsafe_globals(finished: Path) -> None:
    for path in finished.glob("*.pth"):
        assert get_unsafe_globals_in_checkpoint(path) == []
        torch.load(path, weights_only=True)


def test_resume_is_bit_equal_inside_an_epoch(finished: Path, tmp_path: Path) -> None:
    iteration = 5
    (tmp_path / f"iter_{iteration}.pth").write_bytes((finished / f"iter_{iteration}.pth").read_bytes())
    done = train(tmp_path, "--resume", options=CHANGES)
    assert done.returncode == 0, done.stdout
    assert f"resumed {tmp_path / f'iter_{iteration}.pth'} at iteration {iteration} of 16" in done.stdout
    first = torch.load(finished / "iter_16.pth", weights_only=True)
    second = torch.load(tmp_path / "iter_16.pth", weights_only=True)
    assert {"state_dict", "ema_state_dict", "optimizer", "param_schedulers", "rng"} <= first.keys()
    assert set(differences(first, second)) <= {"/meta/time"}  # none within one second
    assert curve(finished)[iteration:] == curve(tmp_path)


def test_same_seed_same_curve_and_another_seed_another(finished: Path, tmp_path: Path) -> None:
    assert train_here(tmp_path / "same", CHANGES)[0] == 0
    assert curve(tmp_path / "same") == curve(finished)
    assert train_here(tmp_path / "other", seed=7)[0] == 0
    assert curve(tmp_path / "other") != curve(finished)


def test_workers_do_not_change_the_curve(finished: Path, tmp_path: Path) -> None:
    code, text = train_here(tmp_path, ("train_dataloader.num_workers=2",))
    assert code == 0, text
    assert curve(tmp_path) == curve(finished)


def test_data_sets_may_hand_out_batches(tmp_path: Path) -> None:
    option = "train_dataloader.dataset.type=ToyBatches"
    for workers in (0, 2):
        code, text = train_here(tmp_path / str(workers), (option, f"train_dataloader.num_workers={workers}"))
        assert code == 0, text
    assert curve(tmp_path / "0") == curve(tmp_path / "2")


def test_test_tool_repeats_the_validation(finished: Path, tmp_path: Path) -> None:
    from perception.engine.evaluate import evaluate

    out = tmp_path / "metrics.json"
    done = run("test", RECIPE, "--checkpoint", finished / "iter_16.pth", "--json", out)
    assert done.returncode == 0, done.stdout
    metrics = json.loads(out.read_text())["metrics"]
    # batches of 3 instead of 4: the convolution rounds differently, nothing else may change
    assert (
        metrics["toy/mae"] == pytest.approx(rows(finished, "val")[-1]["toy/mae"], rel=1e-6)
        and metrics["toy/images"] == 7
    )
    # the published weights are half precision by the base recipe
    shown = tmp_path / "shown"
    assert run("test", RECIPE, "--checkpoint", finished / "export", "--show-dir", shown).returncode == 0
    assert len(list(shown.glob("*/depth.npy"))) == 7
    same, other = (evaluate(RECIPE, finished / "export", world_seed=seed)["toy/mae"] for seed in (1, 9))
    assert same == pytest.approx(metrics["toy/mae"], rel=1e-3) and other != pytest.approx(same, rel=1e-3)


def test_check_runs_one_batch_of_everything(tmp_path: Path) -> None:
    code, text = train_here(tmp_path / "unused", check=True)
    assert code == 0 and "check passed" in text, text
    for word in ("ToyNet", "waiting for data", "peak memory", "predicted and scored by toy", "checkpoint:"):
        assert word in text
    assert not (tmp_path / "unused").exists()


def test_sigterm_saves_and_exits_zero_with_the_command_to_resume(tmp_path: Path) -> None:
    options = ("train_cfg.max_iters=100000", "train_dataloader.dataset.slow=0.005")

    def body() -> int:
        done = train(tmp_path / "run", options=options)
        print(done.stdout)
        return done.returncode

    child = Child(body, tmp_path / "log")
    tmp_path = tmp_path / "run"
    deadline = time.monotonic() + 120
    while not (tmp_path / "iter_5.pth").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGTERM)
    code, output = child.wait(60), child.output
    assert code == 0, output
    iteration = int((tmp_path / "last_checkpoint").read_text().removeprefix("iter_").removesuffix(".pth"))
    assert f"Stopped by SIGTERM at iteration {iteration}" in output and "Resume with: python" in output
    assert torch.load(tmp_path / f"iter_{iteration}.pth", weights_only=True)["meta"]["iter"] == iteration
    assert json.loads((tmp_path / "status.json").read_text())["ended"] == "SIGTERM"
    line = next(line for line in output.splitlines() if line.startswith("Resume with: python "))
    assert line.endswith("--resume") and str(RECIPE) in line
    done = train(tmp_path, "--resume", options=(f"train_cfg.max_iters={iteration + 2}",))
    assert done.returncode == 0 and f"at iteration {iteration} of {iteration + 2}" in done.stdout, done.stdout


def test_max_minutes_stops_saves_and_publishes(tmp_path: Path) -> None:
    code, text = train_here(tmp_path, ("train_cfg.max_iters=100000",), max_minutes=0.02)
    assert code == 0 and "time limit reached" in text, text
    iterations = json.loads((tmp_path / "export" / "config.json").read_text())["provenance"]["iterations"]
    assert 0 < iterations < 100000 and (tmp_path / f"iter_{iterations}.pth").is_file()


def test_nan_stops_within_one_iteration_and_names_the_samples(tmp_path: Path) -> None:
    done = train(tmp_path, options=("train_dataloader.dataset.nan_at=13", "train_cfg.max_iters=60"))
    assert done.returncode == 2 and "Traceback" not in done.stdout, done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith("error: "))
    assert "loss 'depth'" in line and "toy/013" in line and "is not finite at iteration" in line
    iteration = int(line.split("at iteration ")[1].split()[0])
    assert len(rows(tmp_path)) == iteration - 1
    for path in tmp_path.glob("*.pth"):
        checkpoint = torch.load(path, weights_only=True)
        assert checkpoint["meta"]["iter"] < iteration
        assert all(torch.isfinite(value).all() for value in checkpoint["state_dict"].values())


def test_nan_may_be_skipped_instead(tmp_path: Path) -> None:
    code, text = train_here(tmp_path, ("train_dataloader.dataset.nan_at=13", "non_finite=skip"))
    assert code == 0, text
    state = torch.load(tmp_path / "iter_16.pth", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_sample_is_named_by_index_and_path(tmp_path: Path, workers: int) -> None:
    options = ("train_dataloader.dataset.broken_at=13", f"train_dataloader.num_workers={workers}")
    code, text = train_here(tmp_path / "stop", options)
    assert code == 2, text
    assert "error: sample 13 (toy/013.png) of data set ToyData cannot be read: image file is truncated" in text
    code, text = train_here(tmp_path / "skip", (*options, "train_dataloader.skip_bad=True"))
    assert code == 0 and "skipped (3 so far)" in text, text


def test_a_killed_worker_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    done = train(tmp_path, options=("train_dataloader.dataset.kill_at=13", "train_dataloader.num_workers=2"))
    assert done.returncode == 2 and "error: a data worker died" in done.stdout, done.stdout
    assert "Traceback" not in done.stdout


def test_a_hanging_worker_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    options = ("train_dataloader.dataset.hang_at=13", "train_dataloader.num_workers=2", "train_dataloader.timeout=3")
    done = train(tmp_path, options=options)
    assert done.returncode == 2 and "error: no data came from the 2 data workers for 3 s" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("optim_wraper.optimizer.lr=1", "the recipe has no 'optim_wraper'. Did you mean 'optim_wrapper'?"),
        ("chanels_last=True", "a recipe has no key 'chanels_last'. Did you mean 'channels_last'?"),
        ("model.widht=4", "model: ToyNet takes no 'widht'. Did you mean 'width'?"),
        ("model.type=ToyNett", "model type 'ToyNett' is not registered. Did you mean 'ToyNet'?"),
        ("train_dataloader.dataset.type=ToyDta", "'ToyDta' is not registered. Did you mean 'ToyData'?"),
        ("train_dataloader.num_worker=1", "train_dataloader has no key 'num_worker'. Did you mean 'num_workers'?"),
        ("train_cfg.max_iter=3", "train_cfg has no key 'max_iter'. Did you mean 'max_iters'?"),
        ("optim_wrapper.optimizer.type=AdmW", "optimizer type 'AdmW' does not exist. Did you mean 'AdamW'?"),
        ("optim_wrapper.optimizer.learning_rate=1", "AdamW takes no 'learning_rate'."),
        ("param_scheduler.0.type=WarmupCosinLR", "Did you mean 'WarmupCosineLR'?"),
        ("custom_hooks=[{'type': 'EarlyStopingHook'}]", "Did you mean 'EarlyStoppingHook'?"),
        ("default_hooks.checkpoint.intervall=3", "SafeCheckpointHook takes no 'intervall'. Did you mean 'interval'?"),
        ("batch_transform=[{'type': 'ToyJiter'}]", "Did you mean 'ToyJitter'?"),
        ("val_evaluator.0.type=ToyEvaluater", "Did you mean 'ToyEvaluator'?"),
    ],
)
def test_misspelt_names_and_keys_get_their_nearest_match(tmp_path: Path, option: str, sentence: str) -> None:
    code, text = train_here(tmp_path, (option,))
    assert code == 2 and sentence in text, text
    assert not list(tmp_path.glob("*.pth"))


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("train_cfg.max_iters=abc", "train_cfg.max_iters should be a whole number of at least 1; found 'abc'"),
        ("train_cfg.max_iters=-1", "train_cfg.max_iters should be a whole number of at least 1; found -1"),
        ("train_dataloader.batch_size=2.5", "train_dataloader.batch_size should be a whole number"),
        ("val_dataloader.num_workers=-1", "val_dataloader.num_workers should be a whole number of at least 0"),
        ("optim_wrapper.optimizer.lr=abc", "optim_wrapper.optimizer.lr should be a number of at least 0; found 'abc'"),
        ("optim_wrapper.clip_grad=1", "optim_wrapper.clip_grad should be a dictionary such as dict(max_norm=1.0)"),
        ("optim_wrapper.accumulative_counts=0", "optim_wrapper.accumulative_counts should be a whole number"),
        ("seed=-1", "seed should be a whole number from 0"),
        ("ema=maybe", "ema should be True, False or dict(decay, warmup); found 'maybe'"),
        ("ema.decay=2", "ema.decay should be a number from 0 to below 1; found 2"),
    ],
)
def test_values_that_cannot_be_are_named(tmp_path: Path, option: str, sentence: str) -> None:
    code, text = train_here(tmp_path, (option,))
    assert code == 2 and sentence in text, text


def test_what_is_no_checkpoint_is_told_before_any_work(tmp_path: Path) -> None:
    from perception.engine.evaluate import evaluate

    (tmp_path / "notes.pth").write_text("# weights to come")
    with pytest.raises(WeightsError, match="'notes.pth' is no checkpoint: expected a file of PyTorch or safetensors$"):
        evaluate(RECIPE, tmp_path / "notes.pth")
    with pytest.raises(WeightsError, match="has no weights: neither a run's last_checkpoint nor a model.safetensors"):
        evaluate(RECIPE, tmp_path)


def test_hostile_checkpoint_is_refused_and_does_not_run(tmp_path: Path) -> None:
    from perception.engine.evaluate import evaluate

    victim, file = tmp_path / "victim", tmp_path / "hostile.pth"
    torch.save({"meta": Hostile(str(victim)), "state_dict": {}}, file)
    done = train(tmp_path / "run", "--resume", str(file))
    assert done.returncode == 2 and "Traceback" not in done.stdout, done.stdout
    assert "hostile.pth" in done.stdout and "--trust-checkpoint" in done.stdout
    with pytest.raises(WeightsError, match="hostile.pth.*--trust-checkpoint"):
        evaluate(RECIPE, file)
    assert not victim.exists()


def test_text_in_a_checkpoint_is_never_executed(finished: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    checkpoint = torch.load(finished / "iter_15.pth", weights_only=True)
    code = f"open({str(victim)!r}, 'w').write('ran')"
    checkpoint["meta"] |= {"cfg": code, "config": code}
    folder = tmp_path / "run"
    folder.mkdir()
    torch.save(checkpoint, folder / "iter_15.pth")
    from perception.engine.evaluate import evaluate

    assert train_here(folder, resume=True)[0] == 0
    assert evaluate(RECIPE, folder / "iter_15.pth")["toy/images"] == 7
    assert not victim.exists()


def test_an_earlier_run_is_not_overwritten(finished: Path) -> None:
    code, text = train_here(finished)
    assert code == 2 and "add --resume to go on with it or choose another --work-dir" in text


def test_unwritable_work_dir_fails_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, text = train_here(tmp_path / "file")
    assert code == 2 and "cannot be written" in text


class Hostile:
    """Unpickling it creates a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path(self.path),))


def test_a_full_disk_is_told_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10 * 2**20})
    monkeypatch.setattr("perception.engine.run_folder.shutil.disk_usage", lambda folder: usage)
    code, text = train_here(tmp_path / "run")
    assert code == 2 and "GiB free, the checkpoints of this run need about" in text, text
    assert not list((tmp_path / "run").glob("*.pth"))


def test_missing_files_are_counted_and_listed_before_training(tmp_path: Path) -> None:
    (tmp_path / "data" / "image").mkdir(parents=True)
    began = time.monotonic()
    options = (f"train_dataloader.dataset={{'type': 'ImageFolder', 'root': '{tmp_path / 'data'}'}}",)
    code, text = train_here(tmp_path / "run", options)
    assert code == 2 and str(tmp_path / "data") in text and time.monotonic() - began < 30, text


def test_a_missing_tracking_backend_is_a_sentence_before_training(tmp_path: Path) -> None:
    code, text = train_here(tmp_path, ("vis_backends=[{'type': 'MLflowVisBackend'}]",))
    try:
        import mlflow  # noqa: F401
    except ImportError:
        assert code == 2 and "error: tracking with MLflowVisBackend needs" in text and "perception3d[mlflow]" in text
        assert not list(tmp_path.glob("*.pth"))
    else:
        assert code == 0, text


def test_tensorboard_gets_the_losses(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed (extra `track`)")
    code, text = train_here(tmp_path, ("vis_backends=[{'type': 'TensorboardVisBackend'}]",))
    assert code == 0, text
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = next((tmp_path / "tracking").rglob("events.out*")).parent
    events = EventAccumulator(str(folder)).Reload()
    assert {"train/loss", "val/toy/mae", "lr"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("val/toy/mae")] == [5, 10, 15, 16]


@pytest.mark.timeout(1800)  # its import alone takes long where a machine is busy
def test_wandb_gets_the_losses_without_a_network(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="W&B is not installed (extra `wandb`)")
    backend = "{'type': 'WandbVisBackend', 'init_kwargs': {'mode': 'offline', 'project': 'toy'}}"
    code, text = train_here(tmp_path, (f"vis_backends=[{backend}]",))
    assert code == 0, text
    (log,) = (tmp_path / "tracking").rglob("offline-run-*/*.wandb")
    held = log.read_bytes()
    assert all(name in held for name in (b"train/loss", b"val/toy/mae", b"lr"))


def test_mlflow_gets_the_losses(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed (extra `mlflow`)")
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    places = f"'tracking_uri': '{address}', 'artifact_location': '{tmp_path / 'artifacts'}'"
    backend = f"{{'type': 'MLflowVisBackend', 'exp_name': 'toy', {places}}}"
    code, text = train_here(tmp_path / "run", (f"vis_backends=[{backend}]",))
    assert code == 0, text
    client = mlflow.MlflowClient(address)
    (run,) = client.search_runs([client.get_experiment_by_name("toy").experiment_id])
    assert run.info.status == "FINISHED" and list((tmp_path / "artifacts").rglob("config.py")), (
        "the recipe is there too"
    )
    assert {"train/loss", "val/toy/mae", "lr"} <= set(run.data.metrics)
    assert [point.step for point in client.get_metric_history(run.info.run_id, "val/toy/mae")] == [5, 10, 15, 16]


def test_the_training_benchmark_measures(tmp_path: Path) -> None:
    from tools.benchmarks.train import measure

    fast = measure(RECIPE, [], steps=10, warmup=2)
    slow = measure(RECIPE, ["train_dataloader.dataset.slow=0.01"], steps=10, warmup=2)
    assert fast["images_per_second"] > 0 and fast["memory_mib"] > 50
    assert slow["data_share"] > 0.5 and slow["seconds"] >= 0.04, "four samples of 10 ms each, read without workers"
    done = run("benchmark", "train", RECIPE, "--steps", "3", "--json", tmp_path / "out.json")
    assert done.returncode == 0 and "waiting for data" in done.stdout, done.stdout
    assert set(json.loads((tmp_path / "out.json").read_text())) == set(fast)


def test_trust_checkpoint_is_the_one_way_in(finished: Path, tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "run"
    checkpoint = torch.load(finished / "iter_15.pth", weights_only=True)
    checkpoint["meta"]["extra"] = Hostile(str(victim))
    folder.mkdir()
    torch.save(checkpoint, folder / "iter_15.pth")
    refused = train(folder, "--resume")
    assert refused.returncode == 2 and "--trust-checkpoint" in refused.stdout and not victim.exists(), refused.stdout
    trusted = train(folder, "--resume", "--trust-checkpoint")
    assert trusted.returncode == 0 and victim.exists(), trusted.stdout
