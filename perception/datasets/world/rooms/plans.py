"""All kinds of rooms with their sizes, and what is added until a room is full enough."""

from __future__ import annotations

from perception.datasets.world.rooms import belongings, clutter, pot_plants, seating, storage
from perception.datasets.world.rooms.furnisher import Furnisher, desk_place, dining_set
from perception.datasets.world.rooms.homes import bathroom, bedroom, dining, kitchen, living, nursery, towel
from perception.datasets.world.rooms.offices import classroom, corridor, hall, library, office, store


def _seat(f: Furnisher) -> None:
    f.room.against(f.chair(), gap=0.05)


def _armchair(f: Furnisher) -> None:
    f.room.against(seating.armchair(f.kit), gap=0.08, before_windows=0.8)


def _chest(f: Furnisher) -> None:
    f.cupboard(storage.chest)


def _sideboard(f: Furnisher) -> None:
    f.cupboard(storage.sideboard)


def _wardrobe(f: Furnisher) -> None:
    f.cupboard(storage.wardrobe, (belongings.carton, belongings.bag), 1.2)


def _filing(f: Furnisher) -> None:
    f.cupboard(storage.filing_cabinet, clutter.DESK)


def _plant(f: Furnisher) -> None:
    f.room.against(pot_plants.plant(f.kit, f.kit.between(0.6, 1.8)), gap=0.03, before_windows=1.0)


def _desk(f: Furnisher) -> None:
    desk_place(f)


def _heap(f: Furnisher) -> None:
    f.floor_clutter(3)


_EXTRA = {
    "": (Furnisher.bookcase, _seat, _armchair, _chest, _sideboard, _plant, _heap),
    "bedroom": (_chest, _wardrobe, Furnisher.bookcase, _armchair, _desk, _heap, _plant),
    "nursery": (_chest, _wardrobe, Furnisher.bookcase, _heap, _desk),
    "living": (Furnisher.bookcase, _armchair, _sideboard, _chest, _plant, dining_set, _desk),
    "office": (_desk, _desk, Furnisher.bookcase, _filing, _plant, _heap),
    "classroom": (_desk, Furnisher.bookcase, _filing, _seat),
    "kitchen": (_sideboard, _seat, dining_set, _heap),
    "bathroom": (_chest, _heap, towel, _plant),
    "hall": (_sideboard, _plant, dining_set, _armchair),
    "store": (_heap, Furnisher.bookcase),
}


def fill_up(f: Furnisher, share: float, most: int = 7) -> None:
    """Add furniture that suits the room until it covers this share of the floor (or `most` pieces are in)."""
    kit, room = f.kit, f.room
    extra = _EXTRA.get(room.kind, _EXTRA[""])
    for _ in range(most):
        covered = sum(
            (o[2] - o[0]) * (o[3] - o[1]) for o in room.obstacles if o[4] < 0.3 and (o[4], o[5]) != (0.0, 2.0)
        )
        if covered > share * room.area:
            return
        kit.pick(extra)(f)


# plan -> (weight, (short side low, high), (long side low, high), (height low, high)), metres
PLANS = {
    office: (1.2, (2.4, 5.5), (3.0, 8.5), (2.4, 3.2)),
    bedroom: (1.7, (2.3, 4.2), (2.9, 5.2), (2.25, 2.9)),
    nursery: (0.5, (2.2, 3.6), (2.8, 4.6), (2.3, 2.8)),
    living: (2.0, (2.9, 5.5), (3.5, 7.5), (2.3, 3.3)),
    dining: (0.8, (2.6, 4.4), (3.2, 5.8), (2.3, 3.1)),
    kitchen: (1.4, (1.8, 4.0), (2.5, 5.5), (2.3, 2.9)),
    bathroom: (0.8, (1.4, 2.8), (1.9, 3.8), (2.2, 2.7)),
    corridor: (0.5, (1.15, 2.3), (4.0, 13.0), (2.3, 3.2)),
    hall: (0.6, (5.0, 10.0), (6.5, 15.0), (2.7, 5.0)),
    classroom: (0.6, (4.0, 7.5), (5.0, 10.0), (2.6, 3.4)),
    store: (0.4, (1.8, 4.5), (2.4, 7.0), (2.3, 3.2)),
    library: (0.5, (2.6, 4.8), (3.2, 6.5), (2.4, 3.3)),
}
