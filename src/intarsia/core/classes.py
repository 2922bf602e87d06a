"""ClassSet: what the numbers in a label mean."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import InvalidNoun, OptionError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["ClassSet", "default_colours"]

Colour = tuple[int, int, int]


def default_colours(count: int) -> tuple[Colour, ...]:
    """`count` distinct colours, none black: the PASCAL VOC bit-interleaved map from entry 1 on (VOC devkit, VOClabelcolormap.m).

    >>> default_colours(3)
    ((128, 0, 0), (0, 128, 0), (128, 128, 0))
    """

    def colour(entry: int) -> Colour:
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= ((entry >> channel) & 1) << (7 - bit)
            entry >>= 3
        return channels[0], channels[1], channels[2]

    return tuple(colour(entry) for entry in range(1, count + 1))


@dataclass(frozen=True)
class ClassSet:
    """Names, colours, things or stuff, void, and groups of the classes; travels with data, checkpoint, export and server.

    Void is not a class: `void` only names what files call it, so `names` holds what is trained and scored.

    >>> roads = ClassSet(("sky", "road", "car"), things=("car",), void=("Void",))
    >>> len(roads), roads.index("car"), roads.is_thing.tolist()
    (3, 2, [False, False, True])
    """

    names: tuple[str, ...]
    """One per class, by index."""
    colours: tuple[Colour, ...] = ()
    """RGB 0..255 per class; empty takes `default_colours`."""
    things: tuple[str, ...] = ()
    """The countable classes; the rest is stuff."""
    void: tuple[str, ...] = ("void",)
    """What the files call the pixels that are never trained and never scored."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Classes of one group exclude each other (soft-max), groups are independent (sigmoid where alone); empty: one group of all.
    With several, a pixel may be none of a group's classes, whether or not `nothing` is set."""
    nothing: bool = False
    """Whether a pixel may belong to no class; a network then has one more channel, the last."""
    index_of: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        for name in ("names", "things", "void"):
            if isinstance(getattr(self, name), str):  # tuple("car") would be three names
                raise InvalidNoun(f"ClassSet {name}", expected="a list of names", received=repr(getattr(self, name)))
            set_(self, name, tuple(getattr(self, name)))
        if not self.names or any(not isinstance(name, str) or not name for name in self.names):
            raise InvalidNoun("ClassSet names", expected="at least one non-empty name", received=list(self.names))
        twice = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if twice:
            raise InvalidNoun("ClassSet names", expected="each name once", received=f"{twice} more than once")
        set_(self, "index_of", {name: index for index, name in enumerate(self.names)})
        colours = tuple(tuple(int(v) for v in colour) for colour in self.colours) or default_colours(len(self))
        if len(colours) != len(self) or any(len(c) != 3 or not all(0 <= v <= 255 for v in c) for c in colours):
            raise InvalidNoun("ClassSet colours", expected=f"{len(self)} triples of 0..255", received=f"{len(colours)}: {colours}")
        set_(self, "colours", colours)
        groups = tuple(tuple(group) for group in self.groups) or (self.names,)
        if sorted(name for group in groups for name in group) != sorted(self.names):
            raise InvalidNoun("ClassSet groups", expected=f"each of {list(self.names)} in one group", received=groups)
        set_(self, "groups", groups)
        strangers = [name for name in self.things if name not in self.index_of]
        if strangers:
            raise InvalidNoun("ClassSet things", expected=f"names among {list(self.names)}", received=strangers)
        shared = [name for name in self.void if name in self.index_of]
        if shared:
            raise InvalidNoun("ClassSet void", expected="names that are no classes", received=shared)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> int:
        """The channels of a dense network's logits: one per class, and one more where a pixel may be nothing.

        With several groups one per class: "none of this group" is a logit that is always 0, beside those of the group.
        """
        return len(self) + (self.nothing and len(self.groups) == 1)

    @property
    def group_indices(self) -> tuple[tuple[int, ...], ...]:
        """The groups as class indices, what losses and decoders take.

        >>> ClassSet(("tumour", "core", "rest"), groups=(("tumour",), ("core", "rest"))).group_indices
        ((0,), (1, 2))
        """
        return tuple(tuple(self.index(name) for name in group) for group in self.groups)

    @property
    def is_thing(self) -> NDArray[np.bool_]:
        """(C,) whether each class is countable."""
        return np.array([name in self.things for name in self.names])

    def index(self, name: str) -> int:
        """The index of a class; an unknown name raises OptionError with the nearest."""
        if name not in self.index_of:
            raise OptionError(f"class {name!r}", expected="a name of the class set", hint=nearest(name, self.names))
        return self.index_of[name]

    def table_to(self, other: ClassSet) -> NDArray[np.int64]:
        """(C,) the index in `other` of each class here, matched by name; -1 where `other` lacks it.

        >>> ClassSet(("a", "b")).table_to(ClassSet(("b", "c"))).tolist()
        [-1, 0]
        """
        return np.array([other.index_of.get(name, -1) for name in self.names], dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists for JSON; `ClassSet.from_dict` takes them back."""
        plain = asdict(self)
        del plain["index_of"]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ClassSet:
        """The inverse of `to_dict`."""
        return cls(
            names=tuple(plain["names"]),
            colours=tuple(tuple(colour) for colour in plain.get("colours", ())),
            things=tuple(plain.get("things", ())),
            void=tuple(plain.get("void", ("void",))),
            groups=tuple(tuple(group) for group in plain.get("groups", ())),
            nothing=bool(plain.get("nothing", False)),
        )
