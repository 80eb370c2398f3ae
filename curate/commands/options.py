"""Options that several commands share."""

from typing import Annotated

import typer

RecipeOption = Annotated[str, typer.Option("--recipe", "-c", help="YAML file, or the name of a recipe that ships")]
WorkdirOption = Annotated[str, typer.Option("--workdir", "-w", help="folder or fsspec URL that holds the datasets")]
Overrides = Annotated[list[str] | None, typer.Argument(help="dotted settings, e.g. balance.t=20000")]
