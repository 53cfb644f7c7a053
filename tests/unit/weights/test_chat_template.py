from __future__ import annotations

import pytest

from hf_pack.weights.chat_template import TEMPLATE_LIMIT, escapes, is_template, may_hold_templates, templates_in_config

REACHES = "a chat template that reaches outside Jinja's sandbox: line 1 "
PLAIN = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message['role'] + message.content | trim }}"
    "{%- if loop.last and tools is defined %}{{ tools | tojson(indent=2) }}{% endif %}{%- endfor -%}"
    "{% generation %}{{ x }}{% endgeneration %}{% for a in range(3) %}{% break %}{% endfor %}"
    "{% set ns = namespace(found=false) %}{{ raise_exception('no') }}{{ strftime_now('%Y') }}"
)


def test_an_honest_one() -> None:
    assert escapes(PLAIN) is None
    assert escapes("") is None
    assert escapes("text alone, and __this__ is none of an expression's") is None


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{ ''.__class__.__mro__ }}", "asks for the attribute __mro__"),
        ("{{ x._private }}", "asks for the attribute _private"),
        ("{{ x['__class__'] }}", "asks for the attribute __class__"),
        ("{{ x['__cla' ~ 'ss__'] }}", "asks for the attribute __class__"),
        ("{{ x['__cla' + 'ss__'] }}", "asks for the attribute __class__"),
        ("{{ x | attr('__class__') }}", "asks for the attribute __class__"),
        ("{{ x | attr(y) }}", "makes up the name of an attribute"),
        ("{{ x | map(attribute='__class__') | list }}", "holds the text __class__"),
        ("{{ '{0.__class__}'.format(x) }}", "holds the text {0.__class__}"),
        ("{{ '{0._secret}'.format(x) }}", "holds the text {0._secret}"),
        ("{{ x.mro() }}", "asks for the attribute mro"),
        ("{{ (x for y).gi_frame }}", None),
        ("{{ lipsum.func_globals }}", "asks for the attribute func_globals"),
        ("{{ __import__('os') }}", "asks for __import__"),
        ("{% include 'a' %}", "loads another template"),
        ("{% import 'a' as b %}", "loads another template"),
        ("{% from 'a' import b %}", "loads another template"),
        ("{% extends 'a' %}", "loads another template"),
        ("{% macro m() %}{% if x %}{{ self._TemplateReference__context }}{% endif %}{% endmacro %}", "asks for"),
    ],
)
def test_what_reaches_out(template: str, found: str | None) -> None:
    said = escapes(template)
    assert said is not None
    if found is None:
        assert said.startswith("a chat template that Jinja does not parse, line 1: ")
    else:
        assert said.startswith(REACHES + found)


@pytest.mark.parametrize("template", ["{{ " + "(" * 5000 + ")" * 5000 + " }}", "{{ 1" + "+1" * 20_000 + " }}"])
def test_depth_ends_in_a_sentence(template: str) -> None:
    assert escapes(template) == (
        "a chat template that Jinja does not parse: it is nested too deep, or has a number of too many digits"
    )


def test_length_ends_in_a_sentence() -> None:
    assert escapes("x" * (TEMPLATE_LIMIT + 1)) is not None


def test_an_unknown_tag_is_no_honest_one() -> None:
    said = escapes("{% shell 'rm' %}")
    assert said is not None
    assert "does not parse, line 1: Encountered unknown tag 'shell'" in said


def test_the_line_is_that_of_the_place() -> None:
    assert escapes("a\n\n{{ x.__class__ }}") == REACHES.replace("1", "3") + "asks for the attribute __class__"


def test_what_is_told_is_one_printable_line() -> None:
    said = escapes("{{ x['_\\u202e\\n' ~ '" + "y" * 500 + "'] }}")
    assert said is not None
    assert said.isprintable()
    assert len(said) < 300


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("a", ("a",)),
        ([{"name": "x", "template": "a"}, {"name": "y", "template": "b"}], ("a", "b")),
        ({"default": "a", "rag": "b"}, ("a", "b")),
        ([1, {"name": "x"}, "a"], ("a",)),
        (None, ()),
    ],
)
def test_where_they_stand_in_settings(stated: str, found: tuple[str, ...]) -> None:
    assert templates_in_config({"chat_template": stated}) == found


def test_files_that_hold_them() -> None:
    assert is_template("chat_template.jinja") and is_template("additional_chat_templates/rag.JINJA2")
    assert may_hold_templates("tokenizer_config.json") and may_hold_templates("a/processor_config.json")
    assert not is_template("config.json") and not may_hold_templates("config.json")
