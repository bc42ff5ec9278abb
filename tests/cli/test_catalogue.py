"""The catalogue on the command line, and the diagram."""

import json

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.export import describe
from dashtam_events.connection.diagram import mermaid
from tests.cli.running import call


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
