"""The files of a pool: found, named, and known again wherever they are."""

import pytest

from curate.pools import inputs
from curate.pools.inputs import identity
from curate.recipe import Extract, RecipeError, Source


def expand(patterns):
    return inputs.expand(Extract(inputs=patterns))


def pool(folder, **files: str):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_patterns_expand_to_files_each_once_in_order(tmp_path):
    pool(tmp_path, b="22", a="1", c__d="333")
    files = expand([f"{tmp_path}/*", f"{tmp_path}/a", f"file://{tmp_path}/c/d", f"{tmp_path}/**/d"])
    assert [(file.name, file.size) for file in files] == [("a", 1), ("b", 2), ("d", 3)]


def test_names_are_as_long_as_it_takes(tmp_path):
    pool(tmp_path, x__one__w="", x__two__w="", y__one__v="")
    assert [file.name for file in expand([f"{tmp_path}/*/*/*"])] == ["one/v", "one/w", "two/w"]


def test_a_pool_is_the_same_wherever_it_is_kept(tmp_path):
    one = expand([f"{pool(tmp_path / 'here', a='1', b='2')}/*"])
    other = expand([f"{pool(tmp_path / 'there' / 'deep', a='x', b='y')}/*"])
    grown = expand([f"{pool(tmp_path / 'grown', a='1', b='22')}/*"])
    assert identity(one) == identity(other) != identity(grown)
    assert identity(one).startswith("2 files of 2 bytes, ")


@pytest.mark.parametrize("pattern", ["*.warc.gz", "missing.warc.gz", "folder"])
def test_a_pattern_without_files_is_an_error_that_names_it(tmp_path, pattern):
    pool(tmp_path, a="1", folder__b="2")
    with pytest.raises(RecipeError, match=r"extract.inputs\[1\]: .*matches no file"):
        expand([f"{tmp_path}/a", f"{tmp_path}/{pattern}"])


def test_no_patterns_are_an_error():
    with pytest.raises(RecipeError, match="the list is empty"):
        expand([])


def test_named_sources_keep_their_files_apart(tmp_path):
    pool(tmp_path, one__a="1", two__a="22")
    sources = [Source(name=name, inputs=(f"{tmp_path}/{name}/*",)) for name in ("one", "two")]
    files = inputs.expand(Extract(sources=tuple(sources)))
    assert [(file.name, file.source.name) for file in files] == [("one/a", "one"), ("two/a", "two")]
    assert identity(files) != identity(expand([f"{tmp_path}/*/a"]))
    with pytest.raises(RecipeError, match=r"sources\[0\].inputs\[0\]: .*/two/a belongs to extract.inputs and to one"):
        inputs.expand(
            Extract(inputs=(f"{tmp_path}/two/a",), sources=(Source(name="one", inputs=(f"{tmp_path}/*/a",)),))
        )
