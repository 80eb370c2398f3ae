"""What sections of the recipe are made of: frozen values that know which of them decide what comes out."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from curate import CurateError
from curate.hints import nearest

Count = Annotated[int, msgspec.Meta(ge=1)]
Limit = Annotated[int, msgspec.Meta(ge=0)]
Threshold = Annotated[int, msgspec.Meta(ge=1, lt=10**18)]
"""t: counts are 64-bit, and `curate plan` reads 18 digits."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NAME = "^[a-z0-9][a-z0-9_-]*$"
Name = Annotated[str, msgspec.Meta(pattern=NAME)]


class RecipeError(CurateError, ValueError):
    """A recipe that cannot be used; the message names the place, the value and what would be valid."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the recipe."""

    runtime: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> dict[str, Any]:
        """The settings that decide what comes out, as plain values."""
        plain: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name not in self.runtime:
                plain[name] = _plain(value)
        return plain

    def chosen(self) -> dict[str, Any]:
        """Of those, what is not as it is by default, inside too; in the order of the fields."""
        defaults = {field.name: _default(field) for field in msgspec.structs.fields(self)}
        return {
            name: _chosen(getattr(self, name, plain))
            for name, plain in self.identity().items()
            if name not in defaults or plain != _plain(defaults[name])
        }


class Tagged(Settings, frozen=True, kw_only=True):
    """An item of a list in the recipe, of one of several kinds. Each kind has a word of its own; a list has a field that says the word
    (`tag_field`)."""

    runtime: ClassVar[tuple[str, ...]] = ("name",)

    name: Name = ""
    """What others call it; by default its own word."""

    def __post_init__(self) -> None:
        if not self.name:
            msgspec.structs.force_setattr(self, "name", self.word)

    @property
    def word(self) -> str:
        """Which kind this is: a key of the registry of its kinds."""
        return str(self.__struct_config__.tag)

    def identity(self) -> dict[str, Any]:
        return {str(self.__struct_config__.tag_field): self.word} | super().identity()


def tagged(kinds: Sequence[type[Settings]], item: dict[str, Any], where: str) -> tuple[type[Settings], dict[str, Any]]:
    """Which of several types an item of the recipe is by its tag, and its keys without that.

    Raises RecipeError for a tag that is missing or stands for none of them.
    """
    field = kinds[0].__struct_config__.tag_field
    if field is None:
        return kinds[0], item
    by_tag = {kind.__struct_config__.tag: kind for kind in kinds}
    word = item.get(field)
    if word not in by_tag:
        raise RecipeError(
            f"{where}: {field} {word!r} is none that is known: {nearest(str(word), [str(t) for t in by_tag])}"
        )
    return by_tag[word], {key: value for key, value in item.items() if key != field}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """What a field is where nobody says; NODEFAULT where somebody has to."""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _chosen(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.chosen()
    if isinstance(value, tuple | list):
        return [_chosen(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.identity()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
