"""What the mails say, and what they refuse to say."""

import html
import pickle
import re
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_events import DomainEvent, event, secret
from dashtam_events.adapters.email import EmailTemplates
from dashtam_events.catalogue import (
    CATALOGUE,
    EmailVerificationSucceeded,
    PasswordResetRequestSucceeded,
    ProviderConnectionSucceeded,
    UserPasswordChangeSucceeded,
    UserRegistrationSucceeded,
)
from dashtam_events.errors import EmailRenderingError
from tests.adapters.marked import marked

BASE = "https://app.example.com/money"
TEMPLATES = EmailTemplates(base_url=f"{BASE}/", service_name="Tom & <Jerry>")
WITH_TOKEN: Mapping[type[DomainEvent], str] = {
    UserRegistrationSucceeded: "verification_token",
    PasswordResetRequestSucceeded: "reset_token",
}


def written(fact: DomainEvent, templates: EmailTemplates = TEMPLATES) -> EmailMessage:
    message = EmailMessage()
    templates.write(fact, message)
    return message


def part(message: EmailMessage, subtype: str) -> str:
    body = message.get_body((subtype,))
    assert body is not None
    content: str = body.get_content()
    return content


def links(fact: DomainEvent) -> list[str]:
    """The link of each part, as a reader's program sees it."""
    message = written(fact)
    (plain,) = re.findall(r"https?://\S+", part(message, "plain"))
    (marked_up,) = re.findall(r'href="([^"]*)"', part(message, "html"))
    return [plain, html.unescape(marked_up)]


def test_every_event_that_asks_for_mail_has_its_templates() -> None:
    assert TEMPLATES.missing(CATALOGUE.emailed()) == ()
    assert len(CATALOGUE.emailed()) == 8


@pytest.mark.parametrize("cls", CATALOGUE.emailed(), ids=lambda cls: cls.__name__)
def test_each_mail_has_a_subject_and_one_link_in_both_parts(cls: type[DomainEvent]) -> None:
    fact = marked(cls)
    message, (in_text, in_html) = written(fact), links(fact)
    assert 10 < len(message["Subject"]) < 90
    assert in_text == in_html
    assert in_text.startswith(f"{BASE}/")
    assert "Tom &amp; &lt;Jerry&gt;" in part(message, "html")
    assert "Tom & <Jerry>" in part(message, "plain")
    assert "\n\n\n\n" not in part(message, "plain")


@pytest.mark.parametrize(("cls", "field"), WITH_TOKEN.items())
@given(token=st.text(min_size=1))
def test_a_token_arrives_as_it_was_issued(cls: type[DomainEvent], field: str, token: str) -> None:
    for link in links(marked(cls, **{field: token})):
        assert parse_qs(urlsplit(link).query, keep_blank_values=True) == {"token": [token]}
        assert urlsplit(link).hostname == "app.example.com"


@pytest.mark.parametrize(("cls", "field"), WITH_TOKEN.items())
def test_an_event_without_its_token_makes_no_dead_link(cls: type[DomainEvent], field: str) -> None:
    with pytest.raises(EmailRenderingError, match="read back") as caught:
        written(marked(cls, **{field: None}))
    assert re.fullmatch(r"\w+\.txt\.jinja:\d+", caught.value.template)


@given(slug=st.text(min_size=1))
def test_no_value_can_end_a_header_or_become_markup(slug: str) -> None:
    message = written(marked(ProviderConnectionSucceeded, provider_slug=slug))
    assert message.keys() == ["Subject", "MIME-Version", "Content-Type"]
    assert str(message["Subject"]).isprintable()
    tags = re.findall(r"<\s*(\w+)", part(message, "html"))
    assert set(tags) <= {"html", "head", "meta", "title", "body", "main", "h1", "p", "a"}


def test_a_value_that_carries_a_header_stays_in_the_subject() -> None:
    hostile = "x\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script>"
    message = written(marked(ProviderConnectionSucceeded, provider_slug=hostile))
    assert message["Bcc"] is None
    assert b"\nBcc" not in message.as_bytes().partition(b"\n\n")[0]
    assert "<script" not in part(message, "html").lower()


@pytest.mark.parametrize(("who", "said"), [("admin", "administrator"), ("user", "Your password")])
def test_a_changed_password_says_who_changed_it(who: str, said: str) -> None:
    message = written(marked(UserPasswordChangeSucceeded, initiated_by=who))
    assert said in part(message, "plain")
    assert said in part(message, "html")


def own(directory: Path) -> EmailTemplates:
    return EmailTemplates(base_url=BASE, service_name="Own", directory=directory)


def test_a_template_of_the_service_goes_first(tmp_path: Path) -> None:
    (tmp_path / "email_verification_succeeded.txt.jinja").write_text(
        "{% set subject = 'Hi' %}Hi {{ event.email }}"
    )
    message = written(marked(EmailVerificationSucceeded, email="a@b.example"), own(tmp_path))
    assert message["Subject"] == "Hi"
    assert part(message, "plain") == "Hi a@b.example\n"
    assert "Your account is ready" in part(message, "html")


def test_one_file_moves_all_links(tmp_path: Path) -> None:
    (tmp_path / "_links.jinja").write_text("{% set verify_email = 'auth/confirm' %}")
    message = written(marked(UserRegistrationSucceeded), own(tmp_path))
    assert f"{BASE}/auth/confirm?token=" in part(message, "plain")


def test_one_file_changes_the_look_of_all_mails(tmp_path: Path) -> None:
    (tmp_path / "_base.html.jinja").write_text("<i>{% block body %}{% endblock %}</i>")
    message = written(marked(EmailVerificationSucceeded), own(tmp_path))
    assert part(message, "html").startswith("<i>")


@pytest.mark.parametrize(
    ("template", "where", "reason"),
    [
        ("{% set subject='x' %}\n{{ event.nothing }}", ":2", "UndefinedError"),
        ("{% set subject='x' %}\n\n{{ {}[event.email] }}", ":3", "UndefinedError"),
        ("{% set subject='x' %}{{ event.email | int / 0 }}", ":1", "ZeroDivisionError"),
        ("{% if %}", ":1", "TemplateSyntaxError"),
        ("{{ url('x', who=None) }}", ":1", "None"),
        ("no subject", "", "sets no subject"),
        ("{% include event.email %}", "", "no such template"),
    ],
)
def test_a_broken_template_says_where_and_no_value(
    tmp_path: Path, template: str, where: str, reason: str
) -> None:
    (tmp_path / "email_verification_succeeded.txt.jinja").write_text(template)
    with pytest.raises(EmailRenderingError) as caught:
        written(marked(EmailVerificationSucceeded, email="canary@x.example"), own(tmp_path))
    assert caught.value.template.endswith(where)
    assert caught.value.template.startswith("email_verification_succeeded")
    assert reason in caught.value.reason
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@event
class StatementReady(DomainEvent):
    """A statement can be read."""

    member: str
    ticket: str | None = secret(default=None)


def test_a_missing_template_is_found_before_the_first_mail(tmp_path: Path) -> None:
    wanted = ("statement_ready.txt.jinja", "statement_ready.html.jinja")
    assert own(tmp_path).missing([StatementReady]) == wanted
    with pytest.raises(EmailRenderingError, match="statement_ready: there is no such template"):
        written(StatementReady(member="x"))


def test_a_value_that_is_none_is_never_printed(tmp_path: Path) -> None:
    (tmp_path / "statement_ready.txt.jinja").write_text("{% set subject = 'x' %}{{ event.ticket }}")
    (tmp_path / "statement_ready.html.jinja").write_text("x")
    assert part(written(StatementReady(member="m", ticket="t"), own(tmp_path)), "plain") == "t\n"
    with pytest.raises(EmailRenderingError, match="is None"):
        written(StatementReady(member="m"), own(tmp_path))


def test_its_error_pickles() -> None:
    error = pickle.loads(pickle.dumps(EmailRenderingError("x.txt.jinja:3", "UndefinedError")))
    assert (type(error), str(error)) == (EmailRenderingError, "x.txt.jinja:3: UndefinedError")


@given(segment=st.text(min_size=1), query=st.text())
def test_each_part_of_a_link_is_quoted(segment: str, query: str) -> None:
    link = urlsplit(TEMPLATES._url("a b/c", segment, q=query))
    base, shown = urlsplit(f"{BASE}/a%20b/c/"), link.path
    assert shown.startswith(base.path)
    assert unquote(shown.removeprefix(base.path)) == segment
    assert "/" not in shown.removeprefix(base.path)
    assert parse_qs(link.query, keep_blank_values=True) == {"q": [query]}


@pytest.mark.parametrize(
    "base_url", ["", "/app", "app.example.com", "ftp://x.example", "https://x?y=1", "https://x#y"]
)
def test_the_base_url_is_absolute(base_url: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        EmailTemplates(base_url=base_url, service_name="X")
