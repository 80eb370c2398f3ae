"""Captions of labels: templates with the label's readable name in them."""

from collections.abc import Iterable, Mapping
from string import Formatter

COLUMNS = ("image", "label", "report", "caption")
"""What a table of labelled images may have, as we call it."""
TEMPLATES = (
    "{label}",
    "an image of {label}",
    "a picture showing {label}",
    "this image shows {label}",
    "an example of {label}",
    "an image labelled {label}",
    "{label} is seen in this image",
    "a typical appearance of {label}",
    "an image that was classified as {label}",
    "shown here: {label}",
)
"""What a source takes that names none: ten a label, as UniMed has them, and of no one field."""


def check(templates: Iterable[str]) -> None:
    """Raises ValueError for a template without `{label}`, or with anything else in braces."""
    for template in templates:
        try:
            parts = list(Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"labels.templates: {template!r}: {error}; write braces that are text twice") from error
        fields = {(name, spec, conversion) for _, name, spec, conversion in parts if name is not None}
        other = sorted(name for name, spec, conversion in fields if (name, spec, conversion) != ("label", "", None))
        if other:
            raise ValueError(
                f"labels.templates: {template!r} has the field {other[0]!r}; known is 'label' alone, plain"
            )
        if not fields:
            raise ValueError(
                f"labels.templates: {template!r} says nothing of the label; write {{label}} where it belongs"
            )


def captions(labels: Iterable[str], templates: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """A caption for each label and template, labels first, each once."""
    templates = tuple(templates) or TEMPLATES
    readable = (names.get(label, label.replace("_", " ").strip()) for label in labels)
    return list(dict.fromkeys(template.format(label=label) for label in readable for template in templates))
