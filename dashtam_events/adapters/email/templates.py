"""What the mails say: the only module that knows Jinja.

A template is found by the event's name in snake case, `NAME.txt.jinja` and `NAME.html.jinja`,
first in the service's own directory and then among those that come with the package.
"""

from collections.abc import Iterable
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from dashtam_events.adapters._names import snake_name
from dashtam_events.errors import EmailRenderingError, MissingExtra
from dashtam_events.event import DomainEvent, spec_of

try:
    import jinja2
except ModuleNotFoundError as _absent:
    raise MissingExtra("email") from _absent

__all__ = ["EmailTemplates"]

_SUFFIXES = (".txt.jinja", ".html.jinja")


class EmailTemplates:
    """Writes the subject and both bodies of the mail that an event asks for.

    A template sees `event` with all its fields, secrets too, `service_name`, and `url`, which
    makes a link under the base URL: `url("connections", event.connection_id, tab="history")`.
    Each part and each value is quoted. The text template sets `subject`. In HTML every value is
    escaped. What is missing is an error, never an empty place: a name that does not exist, and
    also None where a value is printed or linked to. So an event that was read back from a store,
    without the token that its link needs, makes no mail with a dead link.

    To change one mail, its look or the paths of all links, put a file of the same name into
    `directory`: `NAME.txt.jinja` and `NAME.html.jinja`, `_base.html.jinja`, `_links.jinja`.

    Args:
        base_url: where the service's pages are, such as `https://app.example.com`.
        service_name: what the service calls itself.
        directory: where the service's own templates are looked for first.

    Raises:
        ValueError: the base URL is not absolute, or has a query or a fragment.
    """

    def __init__(
        self, *, base_url: str, service_name: str, directory: Path | str | None = None
    ) -> None:
        self._base_url = _checked(base_url)
        own = [] if directory is None else [jinja2.FileSystemLoader(directory)]
        package = jinja2.PackageLoader("dashtam_events.adapters.email")
        self._environment = jinja2.Environment(
            loader=jinja2.ChoiceLoader([*own, package]),
            autoescape=jinja2.select_autoescape(["html.jinja"], default=False),
            undefined=jinja2.StrictUndefined,
            finalize=_given,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        names = cast(dict[str, Any], self._environment.globals)
        names.update(service_name=service_name, url=self._url)

    def missing(self, events: Iterable[type[DomainEvent]]) -> tuple[str, ...]:
        """The templates that these events need and that are nowhere; ask before the first mail."""
        known = set(self._environment.list_templates())
        names = [snake_name(spec_of(cls).name) for cls in events]
        wanted = [name + suffix for name in names for suffix in _SUFFIXES]
        return tuple(name for name in wanted if name not in known)

    def write(self, event: DomainEvent, message: EmailMessage) -> None:
        """Put the event's subject, text and HTML into a mail.

        Raises:
            EmailRenderingError: a template is missing or broken, or a value that it needs is.
        """
        name = snake_name(spec_of(type(event)).name)
        failure = self._fill(name, event, message)
        if failure is not None:
            # Raised here, where no frame below and no exception before it holds a value.
            raise failure

    def _fill(
        self, name: str, event: DomainEvent, message: EmailMessage
    ) -> EmailRenderingError | None:
        text, html = (name + suffix for suffix in _SUFFIXES)
        try:
            written = self._environment.get_template(text).make_module({"event": event})
            message["Subject"] = _one_line(str(vars(written)["subject"]))
            message.set_content(str(written))
            written = self._environment.get_template(html).make_module({"event": event})
            message.add_alternative(str(written), subtype="html")
        except jinja2.TemplateNotFound:
            return EmailRenderingError(name, "there is no such template, in text and in HTML")
        except Exception as error:  # noqa: BLE001  # a template may do anything; its values stay here
            return EmailRenderingError(_where(error, name), _reason(error))
        return None

    def _url(self, *path: Any, **query: Any) -> str:
        page = quote(str(_given(path[0])).strip("/")) if path else ""
        parts = (quote(str(_given(part)), safe="") for part in path[1:])
        asked = urlencode({key: _given(value) for key, value in query.items()}, quote_via=quote)
        return "/".join((self._base_url, page, *parts)) + (f"?{asked}" if asked else "")


class _NotGiven(Exception):
    """A value that a template prints or links to is None."""


def _given(value: Any) -> Any:
    if value is None:
        raise _NotGiven
    return value


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("base_url must be absolute and end in a path: https://app.example.com")
    return base_url.rstrip("/")


def _one_line(text: str) -> str:
    """Text that cannot end a header: one line of what can be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _reason(error: Exception) -> str:
    if isinstance(error, _NotGiven):
        return "a value that it prints is None; secrets are, in an event that was read back"
    if isinstance(error, KeyError):
        return "the text template sets no subject"
    # The text of the error may quote values.
    return type(error).__name__


def _where(error: Exception, name: str) -> str:
    """The template and the line in it; the name alone where no template was running."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name}:{error.lineno}"
    found, trace = name, error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            found = f"{template.name}:{template.get_corresponding_lineno(trace.tb_lineno)}"
        trace = trace.tb_next
    return found
