"""The pytest plugin: its fixtures work as a service would use them, and cost nothing unused."""

import sys
from collections.abc import Callable
from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]
PLUGIN = "dashtam_events.testing.plugin"
EVENTS = """
    from dashtam_events.event import DomainEvent, event
    from dashtam_events.registry import EventRegistry

    @event
    class Rung(DomainEvent):
        '''A bell was rung.'''

    EVENTS = EventRegistry([Rung])
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test file in a process of its own, in which the plugin is installed."""
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}:{':'.join(sys.path)}")
    pytester.makepyfile(bells=EVENTS)
    installed = entry_points(group="pytest11", name="dashtam_events")
    plugin = [] if installed else ["-p", PLUGIN]

    def run(source: str, *options: str, mode: str = "strict") -> pytest.RunResult:
        pytester.makepyfile(test_it=source)
        scope = ("-o", "asyncio_default_fixture_loop_scope=function")
        wanted = (*plugin, "-W", "error", "-o", f"asyncio_mode={mode}", *scope, *options)
        return pytester.runpytest_subprocess(*wanted)

    return run


STORES = """
    import pytest
    from hypothesis import find
    from dashtam_events.testing import events
    from dashtam_events.recorded import StreamId
    from dashtam_events.catalogue import UserLogoutSucceeded as Happened

    {mark}
    @pytest.mark.parametrize("fixture", ["event_store", "sqlite_event_store"])
    async def test_a_store(fixture, request):
        happened = find(events(Happened), lambda _: True)
        async with request.getfixturevalue(fixture) as store:
            await store.append(StreamId("user", "1"), [happened])
            assert [each.event async for each in store.read_all()] == [happened]

    {mark}
    async def test_a_bus(event_bus, event_registry):
        assert Happened in event_registry
        await event_bus.publish(find(events(Happened), lambda _: True))
        event_bus.assert_published(Happened)
"""


@pytest.mark.parametrize(("mode", "mark"), [("auto", ""), ("strict", "@pytest.mark.asyncio")])
def test_the_fixtures_work_in_both_modes_of_pytest_asyncio(run: Run, mode: str, mark: str) -> None:
    run(STORES.format(mark=mark), mode=mode).assert_outcomes(passed=3)


OWN = """
    from bells import EVENTS, Rung
    from dashtam_events.recorded import StreamId

    async def test_own_events(event_store, event_registry):
        assert event_registry is EVENTS
        await event_store.append(StreamId("bell", "1"), [Rung()])
"""


def test_a_setting_names_the_registry_of_ones_own(run: Run) -> None:
    setting = ("-o", "dashtam_events_registry=bells:EVENTS")
    run(OWN, *setting, mode="auto").assert_outcomes(passed=1)


def test_a_fixture_may_give_the_registry_of_ones_own(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import pytest
        from bells import EVENTS

        @pytest.fixture(scope="session")
        def event_registry():
            return EVENTS
    """)
    run(OWN, mode="auto").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "setting", ["bells:NOTHING", "no_such_module:EVENTS", "bells:Rung", "not a name"]
)
def test_a_setting_that_names_no_registry_is_an_error_that_says_so(run: Run, setting: str) -> None:
    result = run(OWN, "-o", f"dashtam_events_registry={setting}", mode="auto")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*UsageError: dashtam_events_registry = {setting}: *"])


def test_time_and_ids_stand_still(run: Run) -> None:
    run(
        """
        from datetime import UTC, datetime, timedelta
        import pytest
        from bells import EVENTS, Rung
        from dashtam_events.recorded import StreamId

        @pytest.fixture(scope="session")
        def event_registry():
            return EVENTS

        async def test_held(held_clock, held_ids, event_store):
            first = Rung()
            held_clock.advance(timedelta(hours=1))
            result = await event_store.append(StreamId("bell", "1"), [first, Rung()])
            assert first.occurred_at == datetime(2026, 1, 1, 12, tzinfo=UTC)
            assert [each.recorded_at.hour for each in result.recorded] == [13, 13]
            ids = [each.event.event_id for each in result.recorded]
            assert ids == [held_ids.nth(1), held_ids.nth(2)]
            assert str(ids[0]) == "00000000-0000-7000-8000-000000000001"

        def test_free_again():
            assert Rung().occurred_at != datetime(2026, 1, 1, 12, tzinfo=UTC)
            assert Rung().event_id.int >> 80
    """,
        mode="auto",
    ).assert_outcomes(passed=2)


def test_the_option_reaches_the_check_of_a_registry(run: Run, pytester: pytest.Pytester) -> None:
    source = """
        from pathlib import Path
        from bells import EVENTS
        from dashtam_events.testing import check_registry

        def test_forms(update_event_forms):
            golden = Path(__file__).with_name("forms.json")
            check_registry(EVENTS, golden=golden, update=update_event_forms)
    """
    run(source).assert_outcomes(failed=1)
    run(source, "--update-event-forms").assert_outcomes(passed=1)
    run(source).assert_outcomes(passed=1)


def test_the_plugin_loads_no_library_of_the_extras_at_the_start_of_a_run(run: Run) -> None:
    run(
        """
        import sys

        def test_nothing_is_loaded():
            assert "dashtam_events.testing.plugin" in sys.modules
            kit = {name for name in sys.modules if name.startswith("dashtam_events.testing.")}
            assert kit == {"dashtam_events.testing.plugin"}
            assert not {"rich", "click", "ofxtools", "sqlalchemy"} & set(sys.modules)
            assert "hypothesis" not in sys.modules
    """,
        "-p",
        "no:hypothesispytest",
        "-p",
        "no:returns",
    ).assert_outcomes(passed=1)
