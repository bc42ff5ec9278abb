"""Which partition a stream is in does not change, and shares are fair."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_events.recorded import StreamId
from dashtam_events.subscriptions import partition_of
from dashtam_events.subscriptions.partitions import fair_share
from tests.store.starting import ENVIRONMENT

# Found with another program: printf %s user-1 | b2sum -l 64
GOLDEN = [
    ("user", "1", 8, 8),
    ("user", "2", 8, 4),
    ("provider_connection", "0190a8e2-7c4b-7f00-8000-000000000001", 34, 8),
    ("account", "Zürich-12", 51, 1),
    ("account", "口座", 33, 1),
]


@pytest.mark.parametrize(("category", "name", "of_64", "of_10"), GOLDEN)
def test_a_stream_stays_in_its_partition_for_ever(
    category: str, name: str, of_64: int, of_10: int
) -> None:
    stream = StreamId(category, name)
    assert (partition_of(stream, 64), partition_of(stream, 10)) == (of_64, of_10)


def test_every_process_finds_the_same_partition() -> None:
    program = (
        "from dashtam_events.recorded import StreamId\n"
        "from dashtam_events.subscriptions import partition_of\n"
        "print(*[partition_of(StreamId('user', str(n)), 64) for n in range(100)])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=ENVIRONMENT | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_streams_are_spread_evenly() -> None:
    counts = [0] * 64
    for number in range(64_00):
        counts[partition_of(StreamId("user", str(number)), 64)] += 1
    assert min(counts) > 60
    assert max(counts) < 150


@given(st.integers(1, 200), st.sets(st.sampled_from("abcdefghijklmnop"), min_size=1))
def test_shares_cover_everything_and_differ_by_one_at_most(
    partitions: int, members: set[str]
) -> None:
    shares = [fair_share(partitions, members, member) for member in members]
    assert sum(shares) == partitions
    assert max(shares) - min(shares) <= 1
