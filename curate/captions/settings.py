"""What the settings of all captioners have in common; `captioner` in the recipe says which one it is."""

from typing import Any, ClassVar

import msgspec

from curate.settings import Name, Settings, Share


class Captioner(Settings, frozen=True, kw_only=True, tag_field="captioner"):
    """One item of `recaption.captioners`."""

    runtime: ClassVar[tuple[str, ...]] = ("name",)
    shows: ClassVar[bool] = False
    """Whether its requests show the image."""

    name: Name = ""
    """The table is `captions/<name>`; by default the captioner's own word."""
    sample: Share = 1.0
    """Share of the images, drawn by hash, whose pairs are captioned; a smaller one lies inside a larger one, of any captioner."""

    def __post_init__(self) -> None:
        if not self.name:
            msgspec.structs.force_setattr(self, "name", self.word)

    @property
    def word(self) -> str:
        """Which captioner this is: a key of `curate.captions.registry.KINDS`."""
        return str(self.__struct_config__.tag)

    def identity(self) -> dict[str, Any]:
        return {"captioner": self.word} | super().identity()

    def asked(self) -> str | None:
        """The backend that it asks."""
        return None

    def captions_of(self) -> tuple[str, ...]:
        """Captioners of the recipe whose tables it reads; pairs that have no caption there have none here."""
        return ()

    def may_lack(self) -> tuple[str, ...]:
        """Those of `captions_of` whose tables need not have kept the pair."""
        return ()

    def models(self) -> tuple[str, ...]:
        """Models of `score.models` that it is loaded with."""
        return ()

    def scores(self) -> tuple[str, ...]:
        """Models and scorers of `score` whose tables it reads; pairs that have no score there fail here."""
        return self.models()


class Asks(Captioner, frozen=True, kw_only=True):
    """A captioner that asks a backend."""

    backend: Name
    """One of recaption.backends."""

    def asked(self) -> str | None:
        return self.backend
