"""The settings of the scorers, one type each; `scorer` in the recipe says which."""

from curate.scores.settings.asked import Vlm
from curate.scores.settings.base import OfEmbeddings, OfModel, OfPool, Scorer
from curate.scores.settings.embedded import Aesthetics, Grammar, Quality, Safety
from curate.scores.settings.pictures import CLASSICAL, Brisque, Copies, Faces, Network, Pixels, Tmars, Watermark
from curate.scores.settings.pooled import ClipLoss, Clusters, Hype, NormSim, PseudoLabels
from curate.scores.settings.texts import Text, Toxicity

__all__ = [
    "CLASSICAL",
    "Aesthetics",
    "AnyScorer",
    "Brisque",
    "ClipLoss",
    "Clusters",
    "Copies",
    "Faces",
    "Grammar",
    "Hype",
    "Network",
    "NormSim",
    "OfEmbeddings",
    "OfModel",
    "OfPool",
    "Pixels",
    "PseudoLabels",
    "Quality",
    "Safety",
    "Scorer",
    "Text",
    "Tmars",
    "Toxicity",
    "Vlm",
    "Watermark",
]

AnyScorer = (
    Pixels
    | Text
    | Brisque
    | Faces
    | Quality
    | Aesthetics
    | Safety
    | Grammar
    | Toxicity
    | Watermark
    | Copies
    | Tmars
    | Vlm
    | ClipLoss
    | NormSim
    | Clusters
    | Hype
    | PseudoLabels
)
"""All of them, as a union: `Pixels | Text | ...`."""
