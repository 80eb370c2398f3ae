"""The whole recipe, and the stages that its sections are named after."""

from curate.recipe.choosing import Dedup, Select, Shard
from curate.recipe.images import Download
from curate.recipe.networks import FilterNetwork, GrammarHead
from curate.recipe.pools import Extract
from curate.recipe.proving import Evaluate, Report, Train
from curate.recipe.recaptioning import Recaption
from curate.recipe.scoring import Score
from curate.recipe.texts import Balance, Match
from curate.scores.settings import PseudoLabels
from curate.settings import Name, Settings
from curate.store import nearest


class Recipe(Settings, frozen=True, kw_only=True):
    """The whole tree. Sections are named after the stages."""

    name: Name
    extract: Extract
    seed: int = 0
    match: Match = Match()
    balance: Balance = Balance()
    download: Download = Download()
    score: Score = Score()
    dedup: Dedup = Dedup()
    recaption: Recaption = Recaption()
    select: Select = Select(preset="basic")
    shard: Shard = Shard()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    report: Report = Report()
    filter_network: FilterNetwork = FilterNetwork()
    """No stage: what `curate filter-network` trains is named in `score.models`."""
    grammar_head: GrammarHead = GrammarHead()
    """No stage: what `curate grammar-head` trains is named by the scorer `grammar`."""

    def __post_init__(self) -> None:
        from curate.selection.resolving import resolve

        # A misspelt rule is said before a crawl is read, not days later when its stage begins.
        resolve(self.select, self.score, self.recaption)
        self.recaption.check(self.score)
        self._check_captions()
        finders = [scorer.name for scorer in self.score.scorers if scorer.word == "faces"]
        if self.shard.blur_faces is not None and self.shard.blur_faces not in finders:
            raise ValueError(
                f"shard.blur_faces: no scorer of faces is called {self.shard.blur_faces!r}: "
                + (nearest(self.shard.blur_faces, finders) if finders else "add `{scorer: faces}` to score.scorers")
            )
        sets = [one.name for one in self.evaluate.sets]
        for scorer in self.score.scorers:
            if isinstance(scorer, PseudoLabels) and scorer.classes not in sets:
                raise ValueError(
                    f"score.scorers: {scorer.name}: classes {scorer.classes!r} is not in evaluate.sets: {nearest(scorer.classes, sets)}"
                )
        for lang in self.balance.t_of if "all" not in self.match.languages else ():
            if lang not in self.match.languages:
                raise ValueError(
                    f"balance.t_of: {lang!r} is none of match.languages: {nearest(lang, self.match.languages)}"
                )
        if self.train.online_balance and not self.balance.online:
            raise ValueError(
                "train.online_balance draws from all matched pairs, and balance.online is false: they would be drawn twice. "
                "Set balance.online to true, or train.online_balance to false"
            )

    def _check_captions(self) -> None:
        """ValueError for a text policy that names a captioner which the recipe has not, or not of the kind that it needs."""
        words = {one.name: one.word for one in self.recaption.captioners}
        models = [model.name for model in self.score.models]
        reinforce, regions = self.shard.reinforce, self.shard.regions
        wanted = [("reinforce.teachers", name, models) for name in (reinforce.teachers if reinforce else ())]
        wanted += [("reinforce.of", name, list(words)) for name in (reinforce.of if reinforce else ())]
        wanted += [("regions.model", regions.model, models)] if regions else []
        for place, name, known in wanted:
            if name not in known:
                hint = nearest(name, known) if known else "there are none"
                raise ValueError(f"shard.{place}: {name!r} is not in the recipe: {hint}")
        if regions and "regions" not in words.values():
            raise ValueError("shard.regions wants a captioner `regions`, and recaption.captioners has none")
        policy = self.shard.captions
        for names, kind in ((policy.reads(), None), (policy.weighed_by(), "consistency")):
            fit = [name for name, word in words.items() if kind in (None, word)]
            for name in names:
                if name not in fit:
                    hint = nearest(name, fit) if fit else "there are none"
                    raise ValueError(
                        f"shard.captions: no captioner{f' {kind}' if kind else ''} is called {name!r}: {hint}"
                    )


STAGES = (
    "extract", "match", "balance", "download", "score", "dedup", "recaption", "select", "shard", "train", "evaluate", "report",
)  # fmt: skip
"""The road, in order."""
