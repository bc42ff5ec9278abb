"""An aggregate is the fold of its events, and nothing else."""

import pickle
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_events.aggregate import Aggregate, applies
from dashtam_events.errors import InvalidHistory, UnappliedEvent
from dashtam_events.recorded import StreamId, UnknownEvent
from tests.aggregate.accounts import Account, Deposited, Renamed, Withdrawn, stored

ID = UUID(int=7)
AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=2)
EVENTS = st.lists(
    AMOUNTS.flatmap(
        lambda amount: st.sampled_from([Deposited(amount=amount), Withdrawn(amount=amount)])
    )
)


def test_a_new_aggregate_has_an_id_a_stream_and_no_past() -> None:
    account = Account(ID)
    assert account.id == ID
    assert account.stream == StreamId("account", ID)
    assert (account.version, account.pending_events) == (0, ())
    assert repr(account) == f"Account(id={ID!r}, version=0)"


def test_recording_applies_the_event_and_keeps_it_pending() -> None:
    account = Account(ID)
    account.deposit(Decimal(5))
    assert account.balance == 5
    assert [type(event) for event in account.pending_events] == [Deposited]
    assert account.version == 0


def test_an_event_without_a_fold_is_refused_when_recorded_and_changes_nothing() -> None:
    account = Account(ID)
    with pytest.raises(UnappliedEvent) as caught:
        account.record(Renamed(name="savings"))
    assert (caught.value.aggregate, caught.value.event_type) == (f"account-{ID}", "Renamed")
    assert "savings" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert account.pending_events == ()


def test_an_event_without_a_fold_is_refused_when_replayed() -> None:
    with pytest.raises(UnappliedEvent, match="Renamed: add one with @applies, or upgrade"):
        Account.replay(ID, stored(ID, Renamed(name="savings")))


def test_an_unknown_event_is_refused_by_the_name_under_which_it_is_stored() -> None:
    unknown = UnknownEvent(name="Frozen", schema_version=1, data=b"{}")
    with pytest.raises(UnappliedEvent, match="no method applies Frozen"):
        Account.replay(ID, stored(ID, unknown))


def test_a_history_with_a_hole_is_invalid() -> None:
    history = stored(ID, Deposited(amount=Decimal(1)), Deposited(amount=Decimal(2)))
    with pytest.raises(InvalidHistory, match="version 0, as number 2"):
        Account.replay(ID, history[1:])


def test_a_history_out_of_order_is_invalid() -> None:
    history = stored(ID, Deposited(amount=Decimal(1)), Deposited(amount=Decimal(2)))
    with pytest.raises(InvalidHistory):
        Account.replay(ID, history[::-1])


@given(EVENTS)
def test_replaying_what_was_recorded_gives_the_same_state(
    events: list[Deposited | Withdrawn],
) -> None:
    account = Account(ID)
    for event in events:
        account.record(event)
    account.mark_saved(len(events))
    replayed = Account.replay(ID, stored(ID, *events))
    assert replayed.same_state_as(account)
    assert (replayed.version, replayed.pending_events) == (len(events), ())


@given(EVENTS, st.data())
def test_a_snapshot_and_the_rest_equal_all_the_events(
    events: list[Deposited | Withdrawn], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(events)))
    history = stored(ID, *events)
    at_cut = Account.replay(ID, history[:cut])
    shortened = Account.replay_from(ID, cut, at_cut.take_snapshot())
    for recorded in history[cut:]:
        shortened.advance(recorded)
    assert shortened.same_state_as(Account.replay(ID, history))


def test_events_recorded_while_others_were_being_saved_stay_pending() -> None:
    account = Account(ID)
    account.deposit(Decimal(1))
    account.deposit(Decimal(2))
    account.mark_saved(1)
    (left,) = account.pending_events
    assert isinstance(left, Deposited)
    assert (left.amount, account.version) == (Decimal(2), 1)


def test_the_same_state_needs_the_same_type_id_version_and_attributes() -> None:
    account = Account(ID)
    assert account.same_state_as(Account(ID))
    assert not account.same_state_as(Account(UUID(int=8)))
    other = Account(ID)
    other.deposit(Decimal(1))
    assert not account.same_state_as(other)
    assert not account.same_state_as(object())


def test_a_subclass_inherits_stream_and_folds_and_may_replace_them() -> None:
    class Strict(Account):
        @applies(Renamed)
        def _renamed(self, event: Renamed) -> None:
            self.name = event.name

        @applies(Withdrawn)
        def _withdrawn(self, event: Withdrawn) -> None:
            self.balance -= event.amount * 2

    account = Strict(ID)
    account.record(Renamed(name="savings"))
    account.record(Withdrawn(amount=Decimal(1)))
    account.record(Deposited(amount=Decimal(1)))
    assert (account.stream_category, account.name, account.balance) == (
        "account",
        "savings",
        Decimal(-1),
    )


def test_two_methods_for_one_event_are_refused_when_the_class_is_defined() -> None:
    with pytest.raises(TypeError, match="Torn: two methods apply Deposited"):

        class Torn(Aggregate, stream="torn"):
            @applies(Deposited)
            def _one(self, event: Deposited) -> None: ...

            @applies(Deposited)
            def _two(self, event: Deposited) -> None: ...


def test_a_stream_that_is_no_category_is_refused_when_the_class_is_defined() -> None:
    with pytest.raises(ValueError, match="category"):

        class Spaced(Aggregate, stream="a b"): ...


def test_an_aggregate_without_snapshots_says_so() -> None:
    class Plain(Aggregate, stream="plain"): ...

    with pytest.raises(NotImplementedError, match="Plain takes no snapshots"):
        Plain(ID).take_snapshot()
    with pytest.raises(NotImplementedError, match="Plain takes no snapshots"):
        Plain(ID).restore_snapshot(None)
