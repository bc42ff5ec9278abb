"""Fields whose names suggest that somebody should not see them, and that are not marked so."""

import typing
from collections.abc import Iterator
from datetime import date
from typing import Any, NewType, get_args

import attrs

from dashtam_events.declaration import Privacy
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.privacy import privacy_of

__all__ = ["unmarked_fields"]

_SECRET = frozenset(
    """password passwd passphrase pin token secret credential credentials otp cvv cvc api_key
    private_key access_key encryption_key verification_code authorization_code""".split()
)
_PERSONAL = frozenset(
    """email phone mobile fax address ip user_agent device_info location latitude longitude
    first_name last_name full_name middle_name maiden_name given_name family_name surname username
    birthday birthdate date_of_birth dob ssn passport iban account_number card_number tax_id
    national_id""".split()
)
# Values of these types hold a secret or a person's data in any field of that name; of the second,
# only where the name ends with the word (`pin` and not `token_count`).
_TELLING: tuple[Any, ...] = (str, bytes, Any, object)
_TELLING_AT_THE_END: tuple[Any, ...] = (int, float, date)


def unmarked_fields(event_class: type[DomainEvent]) -> Iterator[tuple[str, Privacy]]:
    """The path of each such field (`field`, or `field.inner`), and the mark that it asks for."""
    for field in spec_of(event_class).fields:
        yield from _unmarked(field.name, field.name, field.type, field.privacy, ())


def _unmarked(
    path: str, name: str, annotation: Any, privacy: Privacy, within: tuple[Any, ...]
) -> Iterator[tuple[str, Privacy]]:
    kinds = set(_kinds(annotation))
    wanted = _suggested(name, kinds)
    if wanted is not None and privacy not in (wanted, Privacy.SECRET):
        yield path, wanted
    if privacy is not Privacy.PUBLIC:
        return
    for kind in kinds:
        if isinstance(kind, type) and attrs.has(kind) and kind not in within:
            hints = typing.get_type_hints(kind)
            for inner in attrs.fields(kind):
                place, marked = f"{path}.{inner.name}", privacy_of(inner)
                yield from _unmarked(place, inner.name, hints[inner.name], marked, (*within, kind))


def _suggested(name: str, kinds: set[Any]) -> Privacy | None:
    for words, privacy in ((_SECRET, Privacy.SECRET), (_PERSONAL, Privacy.PERSONAL)):
        if kinds.intersection(_TELLING) and any(f"_{word}_" in f"_{name}_" for word in words):
            return privacy
        if kinds.intersection(_TELLING_AT_THE_END) and any(
            f"_{name}".endswith(f"_{word}") for word in words
        ):
            return privacy
    return None


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that a value of this type is made of."""
    if isinstance(annotation, NewType):
        annotation = annotation.__supertype__
    if typing.get_origin(annotation) is typing.Literal:
        return
    parts = get_args(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        parts = parts[:1]
    if not parts:
        yield annotation
    for part in parts:
        yield from _kinds(part)
