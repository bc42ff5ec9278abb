"""The catalogue on the command line, and the diagram."""

import json
import re

from dashtam_events.adapters.wiring import asked_by
from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.export import describe
from dashtam_events.connection.diagram import mermaid
from tests.cli.running import call, on_a_terminal


def names(*arguments: str) -> list[str]:
    return list(json.loads(call("catalogue", "--json", *arguments).stdout))


def test_json_is_the_whole_catalogue_as_it_describes_itself() -> None:
    shown = call("catalogue", "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == describe(CATALOGUE)


def test_the_filters_apply_to_json_and_must_all_hold() -> None:
    assert names("--workflow", "file_import", "failed") == ["FileImportFailed"]
    assert len(names("--category", "provider")) == len(CATALOGUE.by_category("provider"))


def test_a_word_is_looked_for_in_names_fields_and_what_is_asked_for() -> None:
    assert "ProviderConnectionSynced" in names("SYNCED")
    assert "FileImportProgress" in names("total_records")
    assert names("provider.token.refreshed") == ["ProviderTokenRefreshSucceeded"]
    assert names("PROVIDER_DISCONNECTED") == ["ProviderDisconnectionSucceeded"]


def test_the_table_has_one_line_for_every_event() -> None:
    shown = call("catalogue")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == list(describe(CATALOGUE))
    assert lines[-1].startswith("80 events: ")


def test_the_table_says_what_an_event_asks_for() -> None:
    line = call("catalogue", "ProviderTokenRefreshSucceeded").stdout.splitlines()[1]
    assert line.split() == [
        *("ProviderTokenRefreshSucceeded", "provider", "succeeded", "audit"),
        *("provider.token.refreshed", "provider_token_refresh"),
    ]


def test_the_diagram_is_the_one_made_from_the_table() -> None:
    shown = call("diagram")
    assert (shown.exit_code, shown.stdout) == (0, mermaid())


def listening(*arguments: str) -> dict[str, dict[str, dict[str, object]]]:
    shown: dict[str, dict[str, dict[str, object]]] = json.loads(
        call("catalogue", "--handlers", "--json", *arguments).stdout
    )
    return shown


def test_the_handlers_shown_are_those_that_wire_subscribes() -> None:
    shown = listening()
    assert list(shown) == list(describe(CATALOGUE))
    for cls in CATALOGUE:
        spec = CATALOGUE.spec_of(cls)
        assert tuple(shown[spec.name]) == asked_by(spec)


def test_each_handler_is_shown_with_what_the_event_tells_it() -> None:
    told = listening("--workflow", "provider_token_refresh", "failed")
    assert told == {
        "ProviderTokenRefreshFailed": {
            "logging": {"level": "warning"},
            "audit": describe(CATALOGUE)["ProviderTokenRefreshFailed"]["audit"],
            "email": {"when": "needs_user_action"},
            "sse": describe(CATALOGUE)["ProviderTokenRefreshFailed"]["sse"],
        }
    }
    assert listening("UserPasswordChangeSucceeded")["UserPasswordChangeSucceeded"]["sessions"]


def test_the_table_of_handlers_has_a_line_for_every_event() -> None:
    shown = call("catalogue", "--handlers")
    assert shown.exit_code == 0
    head, *lines, _tally = shown.stdout.splitlines()
    assert head.split() == ["event", "logging", "audit", "email", "sse", "sessions"]
    assert [line.split()[0] for line in lines] == list(describe(CATALOGUE))
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert rows["UserPasswordChangeSucceeded"][-3::2] == ["always", "end"]
    assert "when needs_user_action" in shown.stdout


def test_the_table_of_handlers_fits_a_terminal() -> None:
    code, shown = on_a_terminal("catalogue", "--handlers")
    assert code == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()]
    assert [line.split()[0] for line in lines[1:-1]] == list(describe(CATALOGUE))
    assert max(map(len, lines)) <= 100


def test_ones_own_events_are_among_those_that_are_handled() -> None:
    own = listening("--registry", "tests.cli.own_events:OWN")
    assert len(own) > len(CATALOGUE)
