"""Chairs, armchairs, sofas, stools."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.rooms.piece import Part, Piece


class ChairDesign:
    """One design, so that the chairs around a table match."""

    def __init__(self, kit: Kit, office: bool = False) -> None:
        self.kit = kit
        self.kind = (
            kit.pick(("office", "office", "shell"))
            if office
            else kit.pick(("slats", "slats", "panel", "padded", "shell", "wire", "stool"))
        )
        self.seat = kit.between(0.41, 0.49)
        self.width, self.depth = kit.between(0.38, 0.52), kit.between(0.38, 0.5)
        self.back = kit.between(0.78, 1.08)
        self.frame = kit.metal() if kit.chance(0.35) else (kit.wood() if kit.chance(0.8) else kit.plastic())
        self.pad = kit.leather() if kit.chance(0.2) else kit.fabric()
        self.shell = kit.plastic()
        self.arms = kit.chance(0.25)
        self.slats = int(kit.rng.integers(2, 6))
        self.upright = kit.chance(0.5)

    def build(self) -> Part:
        """One chair of this design."""
        kit = self.kit
        if self.kind == "office":
            return _office_chair(kit, self)
        piece = Piece(kit, "chair", self.kind)
        w, d, z, t = self.width, self.depth, self.seat, 0.035
        x, y = d / 2 - t / 2, w / 2 - t / 2
        if self.kind == "stool":
            r = min(w, 0.4)
            piece.cylinder((0, 0, z - 0.02), (r, r, 0.04), self.frame, sides=16)
            for k in range(4):
                a = np.pi / 4 + k * np.pi / 2
                c, s = np.cos(a), np.sin(a)
                piece.tube((r * 0.5 * c, r * 0.5 * s, 0), (r * 0.32 * c, r * 0.32 * s, z - 0.03), 0.028, self.frame)
            return piece.finish()
        tilt = 0.1
        rise = self.back - z
        if self.kind in ("slats", "panel", "padded"):
            for sy in (-1, 1):
                piece.box((x, sy * y, z / 2), (t, t, z), self.frame)
                piece.box((-x, sy * y, z / 2), (t, t, z), self.frame)
                piece.tube((-x, sy * y, z - 0.02), (-x - rise * tilt, sy * y, self.back), t * 0.95, self.frame)
            if self.kind == "padded":
                piece.soft((0, 0, z), (d * 1.02, w * 1.02, 0.09), self.pad, power=0.3)
                piece.soft(
                    (-x - rise * tilt * 0.6, 0, z + rise * 0.58),
                    (0.07, w, rise * 0.75),
                    self.pad,
                    power=0.3,
                    pitch=-tilt,
                )
            else:
                piece.rounded((0, 0, z - 0.015), (d, w, 0.03), self.frame, bevel=0.06)
                if kit.chance(0.3):
                    piece.soft((0.01, 0, z + 0.02), (d * 0.9, w * 0.9, 0.05), self.pad, power=0.35)
                if self.kind == "panel":
                    piece.box(
                        (-x - rise * tilt * 0.62, 0, z + rise * 0.65),
                        (0.02, w - t, rise * 0.6),
                        self.frame,
                        pitch=-tilt,
                    )
                elif self.upright:
                    piece.box((-x - rise * tilt, 0, self.back - 0.03), (0.025, w, 0.07), self.frame)
                    for k in range(self.slats):
                        sy = (k + 1) / (self.slats + 1) * 2 - 1
                        piece.tube(
                            (-x, sy * y, z), (-x - rise * tilt, sy * y, self.back - 0.03), 0.018, self.frame, sides=5
                        )
                else:
                    for k in range(self.slats):
                        part = (k + 1) / self.slats
                        h = rise / self.slats * 0.55
                        piece.box(
                            (-x - rise * tilt * part, 0, z + rise * part - h / 2),
                            (0.018, w - t, h),
                            self.frame,
                            pitch=-tilt,
                        )
            if self.arms:
                for sy in (-1, 1):
                    piece.box((0, sy * y, z + 0.2), (d, t, 0.025), self.frame)
                    piece.box((x * 0.8, sy * y, z + 0.1), (t, t, 0.2), self.frame)
            return piece.finish()
        legs = self.frame
        if self.kind == "shell":  # a bent sheet: seat and back in one
            n, m = 9, 7
            s = np.linspace(0, 1, n)[:, None]
            c = np.linspace(-1, 1, m)[None]
            px = np.interp(s, [0, 0.12, 0.5, 0.65, 1], [d / 2 + 0.02, d / 2, -d * 0.32, -d * 0.45, -d * 0.58]) + 0 * c
            pz = np.interp(s, [0, 0.12, 0.5, 0.65, 1], [z - 0.03, z, z - 0.02, z + 0.08, self.back - 0.1]) + 0.05 * c**2
            py = c * w / 2 * np.interp(s, [0, 0.5, 1], [0.92, 1.05, 0.9])
            px = px + 0.06 * (c**2) * (s > 0.5)
            sheet = np.stack([px, py, pz], -1)
            piece.surface(sheet, self.shell)
            piece.surface(sheet - np.array([0, 0, 0.012]), self.shell)
            for sx in (-1, 1):
                for sy in (-1, 1):
                    piece.tube((sx * d * 0.48, sy * w * 0.46, 0), (sx * d * 0.25, sy * w * 0.28, z - 0.03), 0.026, legs)
            return piece.finish()
        for sy in (-1, 1):  # wire: cantilever of bent tube
            yy = sy * y
            piece.tube((-x, yy, 0.014), (x, yy, 0.014), 0.026, legs)
            piece.tube((x, yy, 0.014), (x, yy, z), 0.026, legs)
            piece.tube((x, yy, z), (-x, yy, z), 0.026, legs)
            piece.tube((-x, yy, z), (-x - rise * tilt, yy, self.back), 0.026, legs)
        piece.tube((-x, -y, 0.014), (-x, y, 0.014), 0.026, legs)
        piece.rounded((0, 0, z + 0.01), (d, w, 0.035), self.pad, bevel=0.2)
        piece.rounded(
            (-x - rise * tilt * 0.7, 0, z + rise * 0.65), (0.03, w, rise * 0.5), self.pad, bevel=0.2, pitch=-tilt
        )
        return piece.finish()


def _office_chair(kit: Kit, design: ChairDesign) -> Part:
    piece = Piece(kit, "chair", "office")
    dark = kit.plastic((0.02, 0.02, 0.022))
    w, d, z = design.width + 0.03, design.depth, design.seat + 0.02
    turn = kit.between(0, 1)
    for k in range(5):
        a = turn + k * 2 * np.pi / 5
        end = (0.3 * np.cos(a), 0.3 * np.sin(a), 0.07)
        piece.tube((0, 0, 0.11), end, 0.045, dark, sides=6, taper=0.6)
        piece.sphere((end[0], end[1], 0.03), (0.06, 0.06, 0.06), dark, level=1)
    piece.cylinder((0, 0, z / 2 + 0.03), (0.055, 0.055, z - 0.1), design.frame, sides=8)
    piece.soft((0, 0, z), (d, w, 0.11), design.pad, power=0.35)
    rise = design.back - 0.45 + kit.between(0, 0.2)
    piece.soft((-d / 2 - 0.02, 0, z + 0.12 + rise / 2), (0.1, w * 0.95, rise), design.pad, power=0.35, pitch=-0.12)
    piece.tube((-d * 0.3, 0, z - 0.03), (-d / 2 - 0.03, 0, z + 0.25), 0.05, dark)
    if design.arms or kit.chance(0.5):
        for sy in (-1, 1):
            piece.box((0.02, sy * (w / 2 + 0.03), z + 0.2), (0.26, 0.05, 0.03), dark)
            piece.box((0.0, sy * (w / 2 + 0.03), z + 0.1), (0.05, 0.03, 0.2), dark)
    return piece.finish()


def sofa(kit: Kit, width: float | None = None) -> Part:
    """Sofa or armchair with cushions, arms and legs; sometimes a corner sofa."""
    piece = Piece(kit, "sofa", "sofa")
    seats = kit.pick((1, 2, 2, 3, 3, 4)) if width is None else max(1, round(width / 0.75))
    seat_width = kit.between(0.55, 0.78)
    arm = kit.between(0.1, 0.26)
    inner = seats * seat_width if width is None else width - 2 * arm
    seat_width = inner / seats
    depth, z, back = kit.between(0.78, 1.0), kit.between(0.36, 0.48), kit.between(0.68, 0.98)
    cover = kit.leather() if kit.chance(0.22) else kit.fabric(0.18)
    foot = kit.between(0.03, 0.14)
    base = z - 0.14
    back_depth = kit.between(0.16, 0.26)
    style = kit.pick(("box", "soft", "soft"))
    total = inner + 2 * arm
    build = piece.rounded if style == "box" else piece.soft
    extra = {"bevel": 0.08} if style == "box" else {"power": 0.22}
    piece.rounded((0, 0, (foot + base) / 2), (depth, total, base - foot), cover, bevel=0.05)
    arm_top = z + kit.between(0.08, 0.24)
    for side in (-1, 1):
        y = side * (inner + arm) / 2
        if kit.chance(0.0 if style == "box" else 0.3):  # rolled arm
            piece.box((0, y, (foot + arm_top) / 2 - 0.05), (depth * 0.96, arm * 0.8, arm_top - foot - 0.1), cover)
            piece.tube(
                (-depth * 0.48, y, arm_top - arm * 0.3),
                (depth * 0.48, y, arm_top - arm * 0.3),
                arm * 1.1,
                cover,
                sides=12,
            )
        else:
            build((0, y, (foot + arm_top) / 2), (depth, arm, arm_top - foot), cover, **extra)
    build((-depth / 2 + back_depth / 2, 0, (base + back) / 2), (back_depth, total, back - base), cover, **extra)
    room = depth - back_depth
    for k in range(seats):
        y = (k - (seats - 1) / 2) * seat_width
        piece.soft((back_depth / 2, y, z - 0.07), (room, seat_width * 0.985, 0.17), cover, power=0.22)
        if kit.chance(0.85):
            piece.soft(
                (-depth / 2 + back_depth + 0.07, y, z + 0.2),
                (0.16, seat_width * 0.97, back - z + 0.02),
                cover,
                power=0.3,
                pitch=-0.2,
            )
    leg = kit.wood() if kit.chance(0.6) else kit.metal()
    for sx in (-1, 1):
        for sy in (-1, 1):
            piece.cylinder((sx * depth * 0.42, sy * total * 0.46, foot / 2), (0.05, 0.05, foot), leg, sides=8)
    if seats >= 3 and width is None and kit.chance(0.3):  # chaise at one end
        side = kit.pick((-1, 1))
        y = side * (inner / 2 - seat_width / 2)
        long = kit.between(0.5, 0.8)
        piece.rounded(
            (depth / 2 + long / 2 - 0.02, y, (foot + base) / 2),
            (long, seat_width + arm, base - foot),
            cover,
            bevel=0.05,
        )
        piece.soft((depth / 2 + long / 2 - 0.05, y, z - 0.07), (long + 0.08, seat_width, 0.17), cover, power=0.22)
    for _ in range(int(kit.rng.integers(0, 2 + seats))):  # loose cushions
        side = kit.between(0.36, 0.52)
        y = kit.between(-inner / 2 + 0.1, inner / 2 - 0.1)
        cushion = kit.fabric(0.6)
        piece.pillow(
            (-depth / 2 + back_depth + 0.22, y, z + side * 0.5), (side, side, 0.17), cushion,
            pitch=np.pi / 2 - 0.35 + kit.between(-0.2, 0.2), yaw=kit.between(-0.4, 0.4),
        )  # fmt: skip
    if kit.chance(0.25):  # throw over the back or an arm
        throw, w = kit.fabric(0.6), min(kit.between(0.35, 0.7), inner * 0.8)
        y0 = kit.between(-inner / 2, inner / 2 - w)
        s = np.linspace(0, 1, 12)
        bx = -depth / 2 + back_depth
        px = np.interp(
            s,
            [0, 0.3, 0.38, 0.5, 0.8, 1],
            [bx - back_depth - 0.012, bx - back_depth - 0.012, bx - back_depth / 2, bx + 0.05, bx + 0.26, depth / 2],
        )
        pz = np.interp(s, [0, 0.3, 0.38, 0.5, 0.8, 1], [base, back, back + 0.02, back, z + 0.045, z + 0.03])
        c = np.linspace(0, 1, 8)[None]
        fold = 0.008 * np.sin(c * 19)
        points = np.stack([px[:, None] + fold, y0 + w * c + 0 * px[:, None], pz[:, None] + np.abs(fold)], -1)
        piece.surface(points, throw)
    if seats > 1 and kit.chance(0.15):
        piece.top(-0.1, depth / 2 - 0.1, -inner / 2, inner / 2, z + 0.015, 0.4)
    return piece.finish()


def armchair(kit: Kit) -> Part:
    """Upholstered chair for one."""
    piece = sofa(kit, kit.between(0.75, 1.0))
    piece.model = "armchair"
    return piece


def pouf(kit: Kit) -> Part:
    """Round or square footstool, bean bag."""
    piece = Piece(kit, "sofa", "pouf")
    size, height = kit.between(0.4, 0.75), kit.between(0.3, 0.48)
    if kit.chance(0.3):
        piece.soft((0, 0, height * 0.75), (size * 1.3, size * 1.3, height * 1.5), kit.fabric(), power=0.75)
    elif kit.chance(0.5):
        piece.cylinder((0, 0, height / 2), (size, size, height), kit.fabric(0.4), sides=20)
    else:
        piece.soft((0, 0, height / 2), (size, size, height), kit.fabric(0.4), power=0.2)
    return piece.finish()
