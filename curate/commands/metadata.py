"""`curate metadata`: build an entry list from its sources, or import one."""

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from curate.concepts.building import assembling, files, imagenet, presets
from curate.concepts.building.assembling import Built, Candidate
from curate.concepts.building.given import Counted, Given
from curate.concepts.building.imported import imported
from curate.concepts.rules import RULES
from curate.hints import nearest
from curate.recipe import RecipeError

app = typer.Typer(help="Entry lists: the metadata that texts are matched against.", no_args_is_help=True)

Language = Annotated[str, typer.Option(help="code of the language, as language id gives it (en, de, zh ...)")]
Languages = Annotated[
    str, typer.Option(help="one or several codes, comma-separated; {lang} in a path is then the code")
]
Out = Annotated[str, typer.Option(help="folder of the lists, or a URL (s3://...); this one goes to <out>/<language>")]
Rule = Annotated[
    str, typer.Option(help="rule for which entries that can never match are counted: metaclip1 or metaclip2")
]


WordNet = Annotated[
    Path | None, typer.Option("--wordnet", help="folder with WordNet's data.noun, data.verb, data.adj, data.adv")
]
MoreWordNets = Annotated[
    list[str] | None, typer.Option(help="an Open Multilingual Wordnet: wn-data-*.tab or WN-LMF, .gz or not")
]
InTable = Annotated[
    str | None, typer.Option(help="language in a table that has several (three letters, as it writes it)")
]
Dumps = Annotated[list[str] | None, typer.Option(help="pages-articles dumps (.xml, .xml.bz2, .xml.gz); paths or globs")]
Views = Annotated[list[str] | None, typer.Option(help="hourly page-view files (.gz); paths or globs")]
Words = Annotated[int, typer.Option(min=0, help="how many of wordfreq's most frequent words")]
OnSpark = Annotated[bool, typer.Option("--spark", help="count dumps and views on Spark")]
Thresholds = Annotated[
    str | None,
    typer.Option(
        help="published thresholds, metaclip1 or metaclip2; as published, the first for en and the second for others"
    ),
]
LeastCount = Annotated[int | None, typer.Option(min=0, help="instead of the preset's: least count of a word")]
LeastInformation = Annotated[
    float | None, typer.Option(help="instead of the preset's: least mutual information of a pair")
]
LeastViews = Annotated[int | None, typer.Option(min=0, help="instead of the preset's: least views of an article")]


@app.command()
def build(
    out: Out,
    language: Languages = "en",
    preset: Thresholds = None,
    rule: Rule = "metaclip1",
    wordnet: WordNet = None,
    omw: MoreWordNets = None,
    omw_language: InTable = None,
    wikipedia: Dumps = None,
    pageviews: Views = None,
    words: Words = 0,
    spark: OnSpark = False,
    unigram_count: LeastCount = None,
    bigram_pmi: LeastInformation = None,
    title_views: LeastViews = None,
) -> None:
    """Build the list of a language; over a list that is there, which keeps its ids.

    Sources in the order in which they claim an entry: WordNet, other WordNets, Wikipedia's words, pairs and titles, frequent words,
    and 0 to 99 always.
    """
    given = Given(wordnet, omw or [], omw_language, wikipedia or [], pageviews or [], words)
    changes = {"unigram_count": unigram_count, "bigram_pmi": bigram_pmi, "title_views": title_views}
    codes = [code.strip() for code in language.split(",")]
    # All languages first: counting one may take hours, and what is wrong with another is known before.
    for code in codes:
        check(code, rule)
        presets.preset(preset or published(code))
        given.check(code)
        assembling.before(out, code)
    with counting(spark) as counted:
        for code in codes:
            name = preset or published(code)
            wanted = presets.preset(name, **changes)
            sources, inputs = given.read(code, wanted, counted)
            finish(code, sources, wanted, name, rule, inputs, out)


def published(language: str) -> str:
    """The preset that a language's published list was made with."""
    return "metaclip1" if language == "en" else "metaclip2"


def counting(spark: bool) -> AbstractContextManager[Counted]:
    """What counts dumps and views: on Spark, or in this process."""
    if not spark:
        return nullcontext(files.counted)
    from jobs import build_metadata

    return build_metadata.counting()


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON: a list of strings, or an object with the entries as keys")],
    out: Out,
    language: Language = "en",
    preset: Annotated[str, typer.Option(help="metaclip2 leaves out entries of more than 256 characters")] = "metaclip1",
    rule: Rule = "metaclip1",
) -> None:
    """Take a list that you have; its order gives the ids, over a list that is there new ones are appended."""
    check(language, rule)
    candidates, refused = imported(file)
    inputs = {"imported": {"file": file.name, "refused": refused} | assembling.mark(str(file))}
    finish(language, {"imported": candidates}, presets.preset(preset), preset, rule, inputs, out)


@app.command()
def imagenet21k(
    wordnet_: Annotated[
        Path, typer.Option("--wordnet", help="folder with WordNet 3.0's index.noun and noun.exc (/usr/share/wordnet)")
    ],
    out: Annotated[str, typer.Option(help="folder of the lists, or a URL; the table goes to <out>/imagenet21k")],
    synsets: Annotated[
        Path | None, typer.Option(help="ImageNet-21k's synset ids, one a line; as timm ships them when left out")
    ] = None,
) -> None:
    """Build the table of nouns by which ImageNet-21k's synsets are found in texts."""
    nouns = imagenet.build(wordnet_, synsets or imagenet.shipped_list(), out)
    Console(soft_wrap=True).print(f"{out.rstrip('/')}/imagenet21k/{imagenet.TABLE}: {nouns:,} nouns", markup=False)


def check(language: str, rule: str) -> None:
    """Raises RecipeError for a language that is no folder's name, and for an unknown rule."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", language):
        raise RecipeError(
            f"--language {language!r}: a code in small letters is wanted, as language id gives it (en, de, zh ...)"
        )
    if rule not in RULES:
        raise RecipeError(f"no rule {rule!r}: {nearest(rule, RULES)}")


def finish(
    language: str, sources: Mapping[str, Iterable[Candidate]], wanted: presets.Preset, name: str, rule: str,
    inputs: Mapping[str, Any], out: str,
) -> None:  # fmt: skip
    """Assembles, writes and says what came of it."""
    before, earlier = assembling.before(out, language)
    built = assembling.build(language, sources, wanted, rule, before)
    account = built.account | {"preset": name, "inputs": dict(inputs)}
    same = {key: account[key] for key in assembling.OF_A_BUILD}
    account["earlier"] = [build for build in earlier if build != same]
    assembling.write(Built(table=built.table, account=account), out, language)
    say(account, f"{out.rstrip('/')}/{language}/{assembling.FILE}", before)


def say(account: Mapping[str, Any], file: str, before: pa.Table | None) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table("source", "offered", "taken", box=None)
    for source in sorted({*account["by_source"], *account["offered_by_source"]}):
        numbers = (account["offered_by_source"].get(source), account["by_source"].get(source, 0))
        table.add_row(source, *("" if number is None else f"{number:,}" for number in numbers))
    console.print(table)
    old = f", {len(before):,} of them with the ids that they had" if before is not None else ""
    console.print(f"{file}: {account['entries']:,} entries{old}", markup=False)
    for source, kind in (("wikipedia", "pages"), ("pageviews", "lines"), ("imported", "refused")):
        fates = account["inputs"].get(source, {}).get(kind)
        if fates:
            console.print(f"{source}, {kind}: {', '.join(f'{count:,} {fate}' for fate, count in fates.items())}")
    for reason, count in account["left_out"].items():
        console.print(f"{count:,} left out: {reason}")
    never = account["never_match"]
    if never["count"]:
        shown = ", ".join(repr(text) for text in never["examples"][:5])
        console.print(
            f"{never['count']:,} can never match by {never['rule']} ({never['why']}), such as {shown}", markup=False
        )
