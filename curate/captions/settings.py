"""What the settings of all captioners have in common; `captioner` in the recipe says which one it is."""

from typing import ClassVar

from curate.settings import Name, Share, Tagged


class Captioner(Tagged, frozen=True, kw_only=True, tag_field="captioner"):
    """One item of `recaption.captioners`: its table is `captions/<name>`, its word a key of `curate.captions.registry.KINDS`."""

    shows: ClassVar[bool] = False
    """Whether its requests show the image."""

    sample: Share = 1.0
    """Share of the images, drawn by hash, whose pairs are captioned; a smaller one lies inside a larger one, of any captioner."""

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
