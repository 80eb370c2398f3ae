"""Which texts are made beside the alt text, and who makes them."""

from typing import ClassVar

from curate.backends.settings import AnyBackend, Backend
from curate.captions.registry import AnyCaptioner
from curate.captions.settings import Captioner
from curate.recipe.scoring import Score
from curate.settings import Count, Settings
from curate.store import nearest


class Recaption(Settings, frozen=True, kw_only=True):
    runtime: ClassVar[tuple[str, ...]] = ("workers", "device", "threads", "cache")

    backends: tuple[AnyBackend, ...] = ()
    """Models that answer in words (`{backend: openai, endpoint: ..., model: ...}`); see `curate.backends.settings`."""
    captioners: tuple[AnyCaptioner, ...] = ()
    """Tables `captions/<name>`, made in this order; a later one may read those before it."""
    cache: str | None = None
    """Folder with what backends have answered; by default `answers` in the workdir. Several workdirs may share one."""
    device: str = "auto"
    workers: Count = 1
    threads: Count = 2

    def __post_init__(self) -> None:
        for what, items in (("backends", self.backends), ("captioners", self.captioners)):
            names = [item.name for item in items]
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"two of {what} are called {twice[0]!r}; give one of them another name")
        known: list[str] = []
        for captioner in self.captioners:
            for of in captioner.captions_of():
                if of not in known:
                    raise ValueError(
                        f"captioners: {captioner.name} reads the captions of {of!r}, which is none of those before it: "
                        + self._hint(of, known)
                    )
            known.append(captioner.name)
            self.backend_of(captioner)

    def _hint(self, of: str, known: list[str]) -> str:
        if of in self.names() and of not in known:
            return f"{of!r} stands behind it, or is itself; put what is read first"
        return nearest(of, known) if known else "there are none"

    def backend_of(self, captioner: Captioner) -> Backend | None:
        """The backend that a captioner asks. ValueError for a name that none has, and one that is blind where it has to see."""
        from curate.backends import registry

        name = captioner.asked()
        if name is None:
            return None
        named = {backend.name: backend for backend in self.backends}
        if name not in named:
            hint = nearest(name, list(named)) if named else "there are none"
            raise ValueError(f"captioners: {captioner.name} asks {name!r}, which is none of recaption.backends: {hint}")
        if captioner.shows and not registry.kind(named[name]).sees:
            raise ValueError(f"captioners: {captioner.name} shows images, and the backend {name!r} takes none")
        return named[name]

    def check(self, score: Score) -> None:
        """ValueError for a captioner that names a model or scorer which `score` has not."""
        models = [model.name for model in score.models]
        for captioner in self.captioners:
            wanted = [(name, "score.models", models) for name in captioner.models()]
            for name, place, known in [*wanted, *((name, "score", score.names()) for name in captioner.scores())]:
                if name not in known:
                    hint = nearest(name, known) if known else "there are none"
                    raise ValueError(f"recaption.captioners: {captioner.name}: {name!r} is none of {place}: {hint}")

    def names(self) -> list[str]:
        """What the tables of this stage are called, after `captions/`, in order."""
        return [captioner.name for captioner in self.captioners]
