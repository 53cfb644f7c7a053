from __future__ import annotations

import re

import pytest

from hf_pack.model.gates import Gate
from hf_pack.model.signature_policy import SignaturePolicy
from hf_pack.model.workspace_document import Policy, WorkspaceProblems, WorkspaceSettings, parse
from hf_pack.model.workspace_template import NEW_TEXT


def test_everything_is_optional() -> None:
    assert parse("") == parse(NEW_TEXT) == WorkspaceSettings()


def test_the_commented_parts_of_a_new_workspace_are_right() -> None:
    _, examples = NEW_TEXT.split("\n", 1)
    assert parse(re.sub("^# ", "", examples, flags=re.M)) == WorkspaceSettings(
        caches=("https://cache.example.org",),
        mirrors=("https://mirror.example.org",),
        policy=Policy(
            allow_licences=("apache-2.0", "mit"),
            deny_licences=("other",),
            publish_deny_licences=("agpl-3.0",),
            deny=(Gate.REMOTE_CODE, Gate.PICKLE),
        ),
    )


def test_the_policy_says_whose_signatures_count() -> None:
    text = '[policy]\nsignatures = "enforce"\ntrusted_keys = ["key-1:AAAA"]'
    assert parse(text).policy == Policy(trusted_keys=("key-1:AAAA",), signatures=SignaturePolicy.ENFORCE)


def test_problems_come_at_once() -> None:
    with pytest.raises(WorkspaceProblems) as caught:
        parse('cache = []\ntargets = "x"\n[policy]\ndeny_licence = []\nallow_licences = [1]')
    assert [str(problem) for problem in caught.value.problems] == [
        "cache: unknown key: expected one of policy, caches, mirrors, targets (did you mean 'caches'?)",
        "policy.deny_licence: unknown key: expected one of allow_licences, deny_licences, "
        "publish_allow_licences, publish_deny_licences, deny, trusted_keys, signatures "
        "(did you mean 'deny_licences'?)",
        "policy.allow_licences[0]: unexpected type: expected a string, found 1",
        'targets: unexpected type: expected a list of strings, found "x"',
    ]


def test_bad_toml_says_where() -> None:
    with pytest.raises(WorkspaceProblems, match=r"not TOML: .*line 1, column 3"):
        parse("a b")
