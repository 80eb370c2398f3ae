"""The recipe: one frozen value tree, read from YAML, that says everything a run needs to know.

YAML maps onto the types below one to one. An unknown key, a wrong type or a value out of range stops at once, with
the place, the value and the nearest valid name. `runtime` fields change how fast or from where, never what comes
out; they are not part of a dataset's identity.
"""

from curate.recipe.choosing import Branch, Dedup, Rule, Select, Shard, Value
from curate.recipe.images import Download
from curate.recipe.networks import FilterNetwork, FineTune, GrammarHead, Trusted
from curate.recipe.pools import Extract, Labels, Pmc, Slides, Source, Table
from curate.recipe.proving import Evaluate, EvaluationSet, Report, Train
from curate.recipe.reading import build, load
from curate.recipe.recaptioning import Recaption
from curate.recipe.scoring import Model, Score
from curate.recipe.texts import Balance, Match
from curate.recipe.tree import STAGES, Recipe
from curate.scores.settings import AnyScorer, Scorer
from curate.settings import Count, Limit, Name, Positive, RecipeError, Settings, Share, Threshold

__all__ = [
    "STAGES",
    "AnyScorer",
    "Balance",
    "Branch",
    "Count",
    "Dedup",
    "Download",
    "Evaluate",
    "EvaluationSet",
    "Extract",
    "FilterNetwork",
    "FineTune",
    "GrammarHead",
    "Labels",
    "Limit",
    "Match",
    "Model",
    "Name",
    "Pmc",
    "Positive",
    "Recaption",
    "Recipe",
    "RecipeError",
    "Report",
    "Rule",
    "Score",
    "Scorer",
    "Select",
    "Settings",
    "Shard",
    "Share",
    "Slides",
    "Source",
    "Table",
    "Threshold",
    "Train",
    "Trusted",
    "Value",
    "build",
    "load",
]
