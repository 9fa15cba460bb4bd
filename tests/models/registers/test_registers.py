"""PH-Reg: the student starts as the teacher, the target is cleaned, and the right parameters learn."""

from __future__ import annotations

import torch

from perception.models.backbones.adapter import Backbone
from perception.models.registers.model import RegisterDistillation, _overlap, _shifted, dense_features, save_student
from perception.models.registry import build_model

TINY = {"embed_dim": 32, "depth": 3, "num_heads": 2}


def model(**arguments) -> RegisterDistillation:
    torch.manual_seed(0)
    return build_model(
        {
            "type": "RegisterDistillation",
            "backbone": "vit_tiny_patch16_224",
            "model_args": TINY,
            "registers": 4,
            **arguments,
        }
    )


def batch(height: int = 80, width: int = 100) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"image": torch.randint(0, 255, (2, 3, height, width), generator=generator, dtype=torch.uint8)}


def test_student_is_the_teacher_plus_registers():
    net = model()
    teacher, student = net.teacher.state_dict(), net.student.state_dict()
    assert set(student) - set(teacher) == {"reg_token"} and student["reg_token"].shape == (1, 4, 32)
    for name, value in teacher.items():
        if name != "pos_embed":
            assert torch.equal(student[name], value)
    table = student["pos_embed"]
    assert torch.equal(torch.cat([table[:, :1], table[:, 5:]], 1), teacher["pos_embed"]) and not table[:, 1:5].any()


def test_shifts_and_overlaps_belong_together():
    ramp = torch.arange(48.0).view(1, 1, 6, 8)
    for down, right in ((0, 0), (2, -3), (-1, 4)):
        moved = _shifted(ramp, down, right)
        rows, columns = _overlap(6, down), _overlap(8, right)
        assert torch.equal(moved[..., rows[1], columns[1]], ramp[..., rows[0], columns[0]])
        assert ramp[..., rows[0], columns[0]].numel() == (6 - abs(down)) * (8 - abs(right))


def test_views_clean_the_target():
    """Noise of the teacher that stays with no patch fades: the mean over views is nearer to the truth than one view."""
    net = model(views=8, shift=0.4)
    truth = torch.arange(20.0).view(1, 1, 4, 5).expand(1, 32, 4, 5)
    image = truth[:, :3].repeat_interleave(16, 2).repeat_interleave(16, 3)
    generator = torch.Generator().manual_seed(1)

    def noisy(network, x):
        clean = torch.nn.functional.avg_pool2d(x[:, :1], 16).expand(-1, 32, -1, -1)
        return clean + torch.randn(clean.shape, generator=generator)

    from perception.models.registers import model as module

    original = module.dense_features
    module.dense_features = noisy
    try:
        error = [(net.target(image) - truth).square().mean().sqrt() for _ in range(5)]
    finally:
        module.dense_features = original
    assert sum(error) / 5 < 0.6


def test_it_learns_and_only_what_should():
    net = model().train()
    assert not net.teacher.training
    before = {name: p.clone() for name, p in net.named_parameters()}
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 1e-3)
    values = []
    for _ in range(8):
        torch.manual_seed(0)  # the same views
        optimiser.zero_grad()
        losses = net.loss(net(**net.inputs(batch())), batch())
        sum(losses.values()).backward()
        optimiser.step()
        values.append(float(sum(losses.values()).detach()))
    assert values[-1] < values[0]
    changed = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert {n.split(".")[1] for n in changed} == {"reg_token", "pos_embed", "patch_embed", "blocks"}
    assert {n for n in changed if "blocks" in n} and all(
        n.startswith("student.blocks.2.") for n in changed if "blocks" in n
    )
    assert not [n for n, p in net.named_parameters() if p.requires_grad and p.grad is None]


def test_student_serves_in_the_adapter(tmp_path):
    net = model()
    save_student(net, tmp_path / "student.pth")
    trunk = Backbone(
        "vit_tiny_patch16_224",
        model_args={**TINY, "reg_tokens": 4},
        checkpoint=str(tmp_path / "student.pth"),
        mode="sfp",
    ).eval()
    assert torch.equal(trunk.net.model.reg_token, net.student.reg_token)
    assert [tuple(m.shape[2:]) for m in trunk(torch.rand(1, 3, 75, 118))] == [(19, 30), (10, 15), (5, 8), (3, 4)]
    assert dense_features(net.student, torch.rand(1, 3, 64, 64)).shape == (1, 32, 4, 4)


def test_artefacts_are_planted_and_measured(tmp_path):
    """The tool behind the card's figures: spoiled places show as tokens of large norm, and a student that unlearns them shows none."""
    from tools.benchmarks.registers import measure, plant

    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        f"model = dict(type='RegisterDistillation', backbone='vit_tiny_patch16_224', registers=2, model_args={TINY!r})\n"
    )
    assert plant(str(recipe), tmp_path / "teacher.pth", share=0.05, strength=5.0) == 10
    clean, spoiled = (model(registers=2, checkpoint=file) for file in (None, str(tmp_path / "teacher.pth")))
    images = batch(224, 224)["image"]
    assert measure(clean, images, views=2)["teacher"]["artefacts"] == 0
    rows = measure(spoiled, images, views=2)
    assert 0.03 < rows["teacher"]["artefacts"] < 0.1 and rows["teacher"]["ratio"] > 2
    spoiled.student.load_state_dict(clean.student.state_dict())
    assert measure(spoiled, images, views=2)["student"]["artefacts"] == 0
