"""Content of a data directory, and its lock."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from skyhold.machine.endpoints import read_holder
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.errors import DirectoryInUse, DirectoryUnusable

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lowers servers to another user")


def test_secrets_are_made_once_and_for_the_owner_alone(scratch: Path) -> None:
    first = DataDirectory.open(scratch / "data")
    made = first.secrets
    first.close()
    again = DataDirectory.open(scratch / "data")
    again.close()
    assert again.secrets == made
    assert len({made.database_password, made.redis_password, made.secret_key}) == 3
    assert stat.S_IMODE((scratch / "data" / "secrets.json").stat().st_mode) == 0o600
    assert made.secret_key not in repr(first.secrets)


def test_two_directories_have_their_own_secrets(scratch: Path) -> None:
    one, other = DataDirectory.open(scratch / "one"), DataDirectory.open(scratch / "other")
    one.close()
    other.close()
    assert one.secrets != other.secrets


def test_a_taken_directory_is_refused_and_left_as_it_is(scratch: Path) -> None:
    holder = DataDirectory.open(scratch / "data")
    with pytest.raises(DirectoryInUse, match=rf"pid {os.getpid()}"):
        DataDirectory.open(scratch / "data", is_ephemeral=True)
    known = read_holder(scratch / "data")
    holder.close()
    assert known is not None
    assert known.pid == os.getpid()
    assert (scratch / "data" / "secrets.json").exists()


def test_lost_secrets_are_not_made_anew_over_bookings(scratch: Path) -> None:
    directory = DataDirectory.open(scratch / "data")
    (directory.server_folder("postgres") / "data").mkdir()
    directory.close()
    (scratch / "data" / "secrets.json").unlink()
    with pytest.raises(DirectoryUnusable, match=r"secrets\.json is lost"):
        DataDirectory.open(scratch / "data")


def test_a_path_that_cannot_be_a_directory_is_refused_in_words(scratch: Path) -> None:
    (scratch / "file").write_text("in the way")
    with pytest.raises(DirectoryUnusable, match="cannot be used"):
        DataDirectory.open(scratch / "file")


def test_an_ephemeral_directory_is_gone_at_the_end(scratch: Path) -> None:
    directory = DataDirectory.open(scratch / "data", is_ephemeral=True)
    directory.log("api")
    directory.close()
    assert not (scratch / "data").exists()


@as_root
def test_state_lies_elsewhere_where_the_lowered_user_cannot_pass(scratch: Path) -> None:
    (scratch / "closed").mkdir(mode=0o700)
    directory = DataDirectory.open(scratch / "closed" / "data", is_ephemeral=True)
    elsewhere = directory.server_state
    assert directory.server_user is not None
    assert not elsewhere.is_relative_to(scratch)
    assert directory.server_folder("postgres").stat().st_uid == directory.server_user.uid
    directory.close()
    assert not elsewhere.exists()


@as_root
def test_state_elsewhere_is_found_again_after_the_directory_moved(scratch: Path) -> None:
    (scratch / "closed").mkdir(mode=0o700)
    directory = DataDirectory.open(scratch / "closed" / "data")
    try:
        directory.close()
        (scratch / "closed" / "data").rename(scratch / "closed" / "moved")
        again = DataDirectory.open(scratch / "closed" / "moved")
        again.close()
        assert again.server_state == directory.server_state
    finally:
        shutil.rmtree(directory.server_state, ignore_errors=True)


@as_root
def test_the_first_owner_of_the_data_runs_the_servers_for_ever(scratch: Path) -> None:
    nobody = 65534
    directory = DataDirectory.open(scratch / "data")
    os.chown(directory.server_folder("postgres"), nobody, nobody)
    directory.close()
    again = DataDirectory.open(scratch / "data")
    again.close()
    assert again.server_user is not None
    assert again.server_user.uid == nobody


@as_root
def test_what_root_makes_in_a_plain_users_directory_stays_theirs(scratch: Path) -> None:
    nobody = 65534
    (scratch / "data").mkdir(mode=0o700)
    os.chown(scratch / "data", nobody, nobody)
    directory = DataDirectory.open(scratch / "data")
    directory.log("api")
    made = [directory.path / "secrets.json", directory.path / "supervisor.lock", directory.log("api")]
    made += [directory.folder("temporal"), directory.server_folder("redis")]
    directory.close()
    assert directory.server_user is not None
    assert directory.server_user.uid == nobody
    assert {path.stat().st_uid for path in made} == {nobody}
