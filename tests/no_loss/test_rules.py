"""The rules accept what is correct, however it overlaps, and each finds what it is there for."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.no_loss.history import History
from tests.no_loss.invented import correct
from tests.no_loss.rules import RULES, Rule, check
from tests.no_loss.spoiled import SPOILED, Spoil

histories = st.integers(0, 2**32).map(lambda seed: correct(random.Random(seed)))


@given(histories)
def test_a_correct_history_breaks_no_rule(history: History) -> None:
    assert check(history) == []


@pytest.mark.parametrize(("spoil", "rule"), SPOILED)
def test_a_spoiled_history_breaks_the_rule(spoil: Spoil, rule: Rule) -> None:
    @settings(max_examples=10)
    @given(histories)
    def breaks(history: History) -> None:
        assert rule.__name__ in {violation.rule for violation in check(spoil(history))}

    breaks()


def test_every_rule_is_shown_to_be_broken() -> None:
    assert {rule for _, rule in SPOILED} == set(RULES)
