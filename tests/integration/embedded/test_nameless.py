"""A user id without a passwd entry can create PostgreSQL's cluster, or gets the remedies."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from skyhold_local.embedded import nameless
from skyhold_local.embedded.errors import DirectoryUnusable
from skyhold_local.embedded.nameless import Alias, alias_of_this_process

UNUSED = 3_999_999


@pytest.fixture
def no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that our user id has no entry, on a machine without nss_wrapper."""
    with pytest.raises(KeyError):
        pwd.getpwuid(UNUSED)
    monkeypatch.setattr(os, "geteuid", lambda: UNUSED)
    monkeypatch.setattr(nameless, "_WRAPPERS", ())


def test_a_user_with_a_name_needs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert alias_of_this_process(tmp_path) == Alias()


@pytest.mark.usefixtures("no_name")
def test_where_a_namespace_can_be_made_a_named_user_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nameless, "_can_appear_as", lambda _: True)
    user = alias_of_this_process(tmp_path).user
    assert user is not None
    assert pwd.getpwuid(user.uid).pw_name == user.name
    assert user.uid != 0


@pytest.mark.usefixtures("no_name")
def test_where_nss_wrapper_is_installed_it_gives_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = tmp_path / "libnss_wrapper.so"
    wrapper.touch()
    monkeypatch.setattr(nameless, "_WRAPPERS", (str(wrapper),))
    variables = alias_of_this_process(tmp_path).variables
    assert variables["LD_PRELOAD"] == str(wrapper)
    assert Path(variables["NSS_WRAPPER_PASSWD"]).read_text().startswith(f"skyhold:x:{UNUSED}:")


@pytest.mark.usefixtures("no_name")
def test_where_neither_is_possible_each_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nameless, "_can_appear_as", lambda _: False)
    with pytest.raises(DirectoryUnusable) as unusable:
        alias_of_this_process(tmp_path)
    for word in (f"User id {UNUSED}", f"skyhold:x:{UNUSED}:", "nss_wrapper", "DATABASE_URL"):
        assert word in str(unusable.value)
