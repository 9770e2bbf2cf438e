"""Every mistake is found by the law that is about it, in words that help; what is right passes."""

import pytest

from seqjax.laws import LAWS, LawBroken, Subject
from tests.laws.broken_cells import BROKEN, Sound

SIZES = {"input_size": 3, "hidden_size": 4}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_mistake_is_told_in_words(name: str) -> None:
    law, words, kind = BROKEN[name]
    more = {"units": 2} if name == "NeedsMore" else {}
    with pytest.raises(LawBroken) as caught:
        LAWS[law].check(Subject(kind(**SIZES, **more)))
    message = str(caught.value)
    assert message.startswith(f"{name} breaks the law {law}: {LAWS[law].says}\n")
    for each in words:
        assert each in message


def test_what_is_right_passes() -> None:
    for law in LAWS.values():
        law.check(Subject(Sound(**SIZES)))


def test_every_law_says_what_it_demands_in_one_sentence() -> None:
    for law in LAWS.values():
        assert law.says.endswith(".")
        assert 20 < len(law.says) < 120
