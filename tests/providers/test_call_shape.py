"""How a function is called follows from its signature, whatever it is wrapped in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import pytest

from convtui.providers.call_shape import CallShape, read_call_shape

TURNS = [{"turn": 1}]


def called(function: Any, **options: Any) -> Any:
    """The result of a function, called by its signature."""
    positional, named = read_call_shape(function, **options).bind("last", TURNS)
    return function(*positional, **named)


def takes(parameters: str, annotations: dict[str, Any] | None = None) -> Callable[..., Any]:
    """A function with these parameters that returns its arguments by name."""
    space: dict[str, Any] = {}
    exec(f"def answer({parameters}):\n    return dict(locals())", space)
    function: Callable[..., Any] = space["answer"]
    function.__annotations__ = annotations or {}
    return function


@pytest.mark.parametrize(
    "name",
    ["message", "prompt", "text", "user_message", "input", "user_input", "query", "last_message",
     "msg", "_message"],
)  # fmt: skip
@pytest.mark.parametrize(
    "form",
    [
        "{}", "{}=None", "*, {}", "*, {}=None", "{}, /", "{}, *more", "{}, **more",
        "{}, temperature=0.7", "temperature=0.7, {}=None",
    ],
)  # fmt: skip
def test_a_parameter_named_as_a_message_gets_the_last_text(name: str, form: str) -> None:
    function = takes(form.format(name))
    assert called(function)[name] == "last"
    shape = read_call_shape(function)
    assert shape.only_text
    assert shape.notes == ()


@pytest.mark.parametrize(
    "name",
    ["conversation_history", "messages", "history", "turns", "chat_history", "conversation"],
)
@pytest.mark.parametrize(
    "form",
    [
        "{}", "{}=None", "*, {}", "{}, /", "{}, **more", "{}=None, system_prompt=None",
        "{}=None, prompt=None",
    ],
)  # fmt: skip
def test_a_parameter_named_as_a_history_gets_all_turns(name: str, form: str) -> None:
    function = takes(form.format(name))
    given = called(function)
    assert given[name] is TURNS
    assert given.get("prompt") is None
    assert not read_call_shape(function).takes_text


@pytest.mark.parametrize(
    ("annotation", "gets"),
    [
        (str, "last"),
        ("Annotated[Optional[str], 1]", "last"),
        (str | None, "last"),
        (Annotated[str, "what was said"], "last"),
        ("Optional[str]", "last"),
        ("str | None", "last"),
        ("NotThere | str", TURNS),
        ("Optional[List[NotThere]]", TURNS),
        (list, TURNS),
        (list[dict[str, Any]], TURNS),
        ("Optional[List[Dict[str, Any]]]", TURNS),
        (Sequence[dict[str, Any]], TURNS),
        ("Union[str, List[Any]]", TURNS),
        (Any, TURNS),
    ],
)
def test_an_annotation_says_what_an_unknown_name_does_not(annotation: Any, gets: Any) -> None:
    assert called(takes("x", {"x": annotation}))["x"] == gets
    assert called(takes("x=None", {"x": annotation}))["x"] == gets


def test_an_annotation_outranks_a_name_and_that_is_noted() -> None:
    function = takes("message", {"message": list[dict[str, Any]]})
    assert called(function) == {"message": TURNS}
    function = takes("history", {"history": str})
    assert called(function) == {"history": "last"}
    assert "not a history" in read_call_shape(function).notes[0]
    function = takes("messages", {"messages": list[str]})
    assert called(function) == {"messages": TURNS}
    assert "given dictionaries, not texts" in read_call_shape(function).notes[0]
    function = takes("message", {"message": dict[str, str]})
    assert called(function) == {"message": "last"}
    assert "annotated dict[str, str]" in read_call_shape(function).notes[0]


def test_what_neither_name_nor_annotation_says_gets_the_turns_with_a_note() -> None:
    for function in (takes("x"), takes("x=None"), takes("x, y=1"), takes("*args"),
                     takes("*args, **kwargs")):  # fmt: skip
        shape = read_call_shape(function)
        assert not shape.takes_text
        assert len(shape.notes) == 1
        assert TURNS in [value for given in called(function).values()
                         for value in (given if isinstance(given, tuple) else [given])]  # fmt: skip
    assert called(takes("**kwargs")) == {"kwargs": {"conversation_history": TURNS}}


def test_a_message_beside_a_history() -> None:
    assert called(takes("message, history=None")) == {"message": "last", "history": TURNS}
    assert called(takes("message, *, history")) == {"message": "last", "history": TURNS}
    assert called(takes("history, message")) == {"history": TURNS, "message": "last"}
    assert called(takes("message, history, /")) == {"message": "last", "history": TURNS}
    assert not read_call_shape(takes("message, history=None")).only_text


def test_options_that_are_text_are_not_the_message() -> None:
    function = takes(
        "tone=None, conversation_history=None, system_prompt=None, style='plain'",
        {"tone": "Optional[str]", "system_prompt": str | None, "style": str},
    )
    assert called(function) == {
        "tone": None, "conversation_history": TURNS, "system_prompt": None, "style": "plain",
    }  # fmt: skip
    assert called(takes("tone=None, message=''", {"tone": str}))["tone"] is None


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("", "takes neither a message nor a history"),
        ("message, api_key", "needs api_key, which nobody gives"),
        ("conversation_id, message", "needs conversation_id, which nobody gives"),
        ("temperature=0.7", "takes neither"),
        ("message, system_prompt", "needs system_prompt"),
    ],
)
def test_what_cannot_be_called_says_why(parameters: str, says: str) -> None:
    annotations = {"temperature": float}
    assert says in read_call_shape(takes(parameters, annotations)).unusable


# --- decorators


def plainly(function: Any) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def wrapped(function: Any) -> Any:
    return functools.wraps(function)(plainly(function))


def adapting(function: Any) -> Any:
    """Its own parameters count, not those copied from the wrapped function."""

    @functools.wraps(function)
    def wrapper(conversation_history: Any) -> Any:
        return function(conversation_history[-1])

    return wrapper


def only_names(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(**kwargs: Any) -> Any:
        return function(**kwargs)

    return wrapper


def message(message: str | None = None) -> Any:
    return message


def test_decorators_are_looked_through() -> None:
    assert called(wrapped(message)) == "last"
    assert called(wrapped(wrapped(message))) == "last"
    assert called(only_names(message)) == "last"
    assert called(adapting(message)) == TURNS[-1]
    assert called(plainly(message)) == TURNS
    assert read_call_shape(plainly(message)).notes
    assert called(functools.partial(lambda a, message: message, 1)) == "last"


class Methods:
    """Every kind of method."""

    def plain(self, message: Any) -> Any:
        return message

    @staticmethod
    def static(message: Any) -> Any:
        return message

    @classmethod
    def of_class(cls, message: Any) -> Any:
        return message

    async def awaited(self, message: Any) -> Any:
        return message

    def prefixed(self, prefix: str, message: Any) -> Any:
        return message

    bound = functools.partialmethod(prefixed, "so: ")
    decorated = wrapped(plain)

    def __call__(self, prompt: Any) -> Any:
        return prompt


@pytest.mark.parametrize("name", ["plain", "static", "of_class", "bound", "decorated"])
def test_methods_of_every_kind(name: str) -> None:
    assert called(getattr(Methods(), name)) == "last"


async def test_awaited_methods_and_objects_that_are_called() -> None:
    assert await called(Methods().awaited) == "last"
    assert called(Methods()) == "last"


def test_what_is_overridden_says_it_where_the_override_does_not() -> None:
    def override(*args: Any, **kwargs: Any) -> Any:
        return args

    assert called(override, inherited=[plainly(message), message]) == ("last",)
    assert read_call_shape(override, inherited=[message]).notes == ()


def test_names_alone_do_not_decide_where_the_list_is_the_rule() -> None:
    shape = read_call_shape(takes("prompt"), names_decide=False)
    assert not shape.takes_text
    assert "annotate it as `str`" in shape.notes[0]
    assert called(takes("prompt", {"prompt": str}), names_decide=False) == {"prompt": "last"}
    for parameters in ("messages", "x", "*args"):
        assert not read_call_shape(takes(parameters), names_decide=False).takes_text
    assert read_call_shape(takes("messages"), names_decide=False).notes == ()


def test_a_builtin_without_a_signature_gets_the_list() -> None:
    assert called(type) is list


# --- return annotations


def returning(annotation: Any) -> CallShape:
    return read_call_shape(takes("message", {"return": annotation}))


def test_what_is_returned_in_words() -> None:
    from collections.abc import Awaitable

    assert returning(str).returns == "text"
    assert returning("str").returns == "text"
    assert returning(Awaitable[str]).returns == "text"
    for pair in (tuple[str, dict[str, Any]], tuple[str, dict[str, Any] | None], tuple[str, Any]):
        assert returning(pair).returns == "text and metadata"
    assert "content" in returning(dict[str, Any]).returns
    assert returning(Any).returns == returning(object).returns == ""


@pytest.mark.parametrize(
    "annotation",
    [None, int, bytes, tuple[str, dict[str, Any], int], tuple[str, ...], tuple[dict[str, Any], str],
     tuple[str, str], list[str]],
)  # fmt: skip
def test_a_reply_that_would_be_refused_is_known_before(annotation: Any) -> None:
    shape = returning(annotation)
    assert "is annotated to return" in shape.useless_reply
    assert shape.returns == ""
