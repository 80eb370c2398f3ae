"""A WordNet of five synsets in the format of wndb(5WN)."""

import pytest

LICENCE = "  1 This software and database is being provided to you\n"


@pytest.fixture
def princeton(tmp_path):
    folder = tmp_path / "wordnet"
    folder.mkdir()
    lines = {
        "data.noun": ["00001740 03 n 01 entity 0 000 | x", "00001930 03 n 02 physical_entity 0 thing 0 000 | x"],
        "data.verb": ["00001740 29 v 01 entity 0 000 01 + 02 00 | x"],
        "data.adj": ["00001740 00 a 01 outback(a) 0 000 | x"],
        "data.adv": ["00001740 02 r 01 et_al. 0 000 | x"],
    }
    for file, synsets in lines.items():
        (folder / file).write_text(LICENCE + "".join(line + "  \n" for line in synsets))
    return folder
