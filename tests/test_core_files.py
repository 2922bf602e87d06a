import errno
import os
import stat

import pytest

from intarsia.core.files import whole_file, write_json


def test_a_full_disk_leaves_the_older_file_and_no_draft(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"older")

    def write():
        with whole_file(path) as draft:
            draft.write_bytes(b"half of the new")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write()
    assert path.read_bytes() == b"older"
    assert [file.name for file in tmp_path.iterdir()] == ["weights.safetensors"]


def test_nothing_is_seen_under_the_name_until_the_end(tmp_path):
    path = tmp_path / "new" / "scores.json"
    with whole_file(path) as draft:
        draft.write_text("{}")
        assert not path.exists()
        assert draft.suffix == ".json"
    assert path.read_text() == "{}"


def test_files_can_be_read_by_others_as_files_usually_can(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    (tmp_path / "plain").touch()
    assert os.stat(tmp_path / "a.json").st_mode & stat.S_IRGRP == os.stat(tmp_path / "plain").st_mode & stat.S_IRGRP
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 1\n}\n'


def test_the_umask_of_the_process_holds_and_is_never_touched(tmp_path, monkeypatch):
    before = os.umask(0o077)
    try:
        monkeypatch.setattr(os, "umask", None)  # set, even for a moment, it would hold for the files of all threads
        write_json(tmp_path / "a.json", {})
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "a.json").st_mode) == 0o600
