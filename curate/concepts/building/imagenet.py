"""The table of WordNet's nouns that finds ImageNet-21k's synsets in texts; see `curate.texts.synsets`."""

import io
import json
import re
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curate import __version__
from curate.concepts.building.assembling import ACCOUNT, BuildError, mark
from curate.store import Dataset

FILES = ("index.noun", "noun.exc")
TABLE = "nouns.parquet"
WNID = re.compile(r"n(\d{8})")


def shipped_list() -> Path:
    """ImageNet-21k's synsets (21,843) as the package timm ships them. Raises BuildError where it is not installed."""
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise BuildError("--synsets: no list is given, and timm, which ships one, is not installed: pip install timm")
    return Path(spec.origin).parent / "data" / "_info" / "imagenet21k_goog_synsets.txt"


def build(wordnet: Path, synsets: Path, out: str) -> int:
    """Writes `nouns.parquet` and `provenance.json` into a folder or URL; equal files give equal bytes. Returns the number of nouns.

    `wordnet` has index.noun and noun.exc of WordNet 3.0 (wndb(5WN)), whose offsets the ids of ImageNet are; `synsets` an id
    (`n02084071`) a line. Raises BuildError for files that are not these.
    """
    wanted = _ids(synsets)
    first = _first_synsets(wordnet / FILES[0])
    strangers = wanted - set(first.values())
    irregular = _irregular(wordnet / FILES[1])
    words = sorted({*first, *irregular})
    table = pa.table(
        {
            "word": pa.array(words, pa.string()),
            "noun": pa.array([word in first for word in words], pa.bool_()),
            "synset": pa.array([s if (s := first.get(word)) in wanted else None for word in words], pa.int32()),
            "bases": pa.array([irregular.get(word) for word in words], pa.list_(pa.string())),
        }
    )
    found = len(set(table["synset"].drop_null().to_pylist()))
    if not found:
        raise BuildError(f"{synsets}: no id in it is a synset of {wordnet}; ImageNet's ids are offsets of WordNet 3.0")
    account = {
        "nouns": len(first),
        "irregular_forms": len(irregular),
        "imagenet_synsets": len(wanted),
        "first_of_a_noun": found,
        "never_first": len(strangers),
        "inputs": {file.name: mark(str(file)) for file in (*(wordnet / name for name in FILES), synsets)},
        "code": __version__,
    }
    buffer = io.BytesIO()
    encodings = {"word": "DELTA_BYTE_ARRAY", "noun": "RLE", "synset": "PLAIN", "bases.list.element": "PLAIN"}
    pq.write_table(
        table, buffer, compression="zstd", compression_level=19, use_dictionary=False, column_encoding=encodings
    )
    place = Dataset(out, "imagenet21k")
    for name, data in ((TABLE, buffer.getvalue()), (ACCOUNT, (json.dumps(account, indent=1) + "\n").encode())):
        place.put(name, data)
    return len(first)


def _ids(file: Path) -> set[int]:
    found = set()
    for number, line in enumerate(_lines(file, "give a list of ImageNet's synset ids, one a line"), 1):
        wnid = WNID.fullmatch(line.strip())
        if line.strip() and wnid is None:
            raise BuildError(f"{file}, line {number}: {line[:40]!r} is not a WordNet id of a noun (n02084071)")
        found |= {int(wnid[1])} if wnid else set()
    return found


def _first_synsets(file: Path) -> dict[str, int]:
    """Each noun and the offset of its first synset."""
    first = {}
    for number, line in enumerate(_lines(file, "give the folder of WordNet's database files"), 1):
        if not line.strip() or line.startswith("  "):  # the licence stands in indented lines at the top
            continue
        try:
            # lemma pos synsets pointers [pointer ...] senses tagged offset [offset ...]
            fields = line.split()
            first[fields[0]] = int(fields[6 + int(fields[3])])
        except (ValueError, IndexError) as error:
            raise BuildError(
                f"{file}, line {number}: not a line of an index as wndb(5WN) has it: {line[:40]!r}"
            ) from error
    return first


def _irregular(file: Path) -> dict[str, list[str]]:
    lines = (line.split() for line in _lines(file, "give the folder of WordNet's database files"))
    return {form: bases for form, *bases in (line for line in lines if line)}


def _lines(file: Path, hint: str) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{file}: it cannot be read ({error}); {hint}") from error
