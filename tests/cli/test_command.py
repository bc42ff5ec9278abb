"""The shape of the command line: help, version, one-line refusals, exit codes."""

from pathlib import Path

import pytest

from tests.cli.running import call, run, run_code

COMMANDS = ("catalogue", "demo", "diagram", "log", "stream")


def test_without_arguments_the_command_says_what_it_can_do() -> None:
    shown = call()
    assert shown.exit_code == 0
    assert all(f"\n  {name} " in shown.stdout for name in COMMANDS)
    assert "Begin with: dashtam-events demo" in shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_text(name: str) -> None:
    shown = call(name, "--help")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"Usage: command {name} ")


def test_the_version_is_told() -> None:
    shown = call("--version")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("dashtam-events ")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("bogus",), "No such command 'bogus'."),
        (("log",), "Missing argument 'FILE|URL'."),
        (("log", "/nowhere/events.db"), "/nowhere/events.db: there is no such file"),
        (("log", ":memory:"), "a SQLite store is a file"),
        (("log", "sqlite:///a%00b"), "write sqlite:///FILE or postgresql://"),
        (("audit", "sqlite:///a%00b"), "write sqlite:///FILE or postgresql://"),
        (("parked", "postgres://127.0.0.1:1/db", "list"), "the checkpoint cannot be reached"),
        (("log", __file__), "it is not an SQLite database"),
        (("log", "PLAYED", "--limit", "0"), "0 is not in the range x>=1"),
        (("log", "PLAYED", "--category", "x"), "'x' is not one of 'authentication'"),
        (("log", "PLAYED", "--stream", "x"), "a stream is written category-id"),
        (("stream", "PLAYED", "provider_connection-1"), "has no stream provider_connection-1"),
        (("demo", "--db", "/nowhere/events.db"), "its directory does not exist"),
        (("demo", "--db", __file__), "it is not an SQLite database"),
        (("demo", "--statement", "/nowhere"), "File '/nowhere' does not exist."),
        (("catalogue", "zebra"), "no event of the catalogue is like that"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    arguments: tuple[str, ...], why: str, played: Path
) -> None:
    told = call(*(played if each == "PLAYED" else each for each in arguments))
    assert told.exit_code == 2
    assert told.stdout == ""
    assert told.stderr.startswith("dashtam-events: ")
    assert why in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_file_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop.db"
    loop.symlink_to(loop)
    for arguments in (("demo", "--plain", "--db"), ("log",)):
        told = call(*arguments, loop)
        assert (told.exit_code, told.stderr.count("\n")) == (2, 1)


def test_a_refusal_is_the_same_from_a_process() -> None:
    told = run("log", "/nowhere/events.db")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("missing", ["click", "rich", "ofxparse"])
def test_a_missing_extra_is_named(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from dashtam_events.cli import main; main()"
    )
    told = run_code(code)
    assert told.returncode == 2
    assert told.stderr == (
        'dashtam-events: this needs an extra: pip install "dashtam-events[cli]"\n'
    )


def test_the_door_of_the_extra_opens_without_it() -> None:
    code = (
        "import sys; import dashtam_events.cli; "
        "print([name for name in ('click', 'rich', 'ofxparse') if name in sys.modules])"
    )
    told = run_code(code)
    assert told.stdout == "[]\n"


def test_the_statement_reader_names_the_extra_too() -> None:
    code = (
        "import sys; sys.modules['ofxparse'] = None\n"
        "from dashtam_events.errors import MissingExtra\n"
        "try:\n    import dashtam_events.cli.statement\n"
        "except MissingExtra as error:\n    print(error.extra)"
    )
    told = run_code(code)
    assert told.stdout == "cli\n"
