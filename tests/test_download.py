"""Downloads by name, from a server on this machine: checked, resumed, refused where they are not what was promised."""

from __future__ import annotations

import hashlib
import shutil
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from _trees import mask_tree
from intarsia.core.errors import CannotHold, OptionError, UnreadableFile
from intarsia.data.download import SOURCES, Source, download
from intarsia.data.open import open_dataset


class Server:
    """Serves one file; `cut` breaks the next answer off after so many bytes."""

    def __init__(self, content: bytes) -> None:
        self.content, self.cut, self.asked = content, 0, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.asked.append(asked)
                start = int(asked[6:-1]) if asked else 0
                if start >= len(outer.content):
                    self.send_response(416)
                    self.end_headers()
                    return
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(outer.content) - start))
                self.end_headers()
                body, outer.cut = outer.content[start : outer.cut or None], 0
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/data.zip"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    mask_tree(tmp_path / "source" / "inner")
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((tmp_path / "source").rglob("*")):
            file.write(path, path.relative_to(tmp_path / "source"))
    running = Server(archive.read_bytes())
    yield running
    running.server.shutdown()
    running.server.server_close()


def sources(server: Server, checksum: str = "") -> dict[str, Source]:
    checksum = checksum or f"md5:{hashlib.md5(server.content).hexdigest()}"
    return {"some": Source({server.url: checksum}, "CC0-1.0", "three images", "inner")}


def test_a_data_set_comes_whole_with_its_terms(server, tmp_path):
    told = []
    out = download("some", tmp_path / "out", tell=told.append, sources=sources(server))
    assert told == ["some: three images\nterms: CC0-1.0"]
    assert len(open_dataset(out)) == 3
    assert not list(Path(out).glob(".*"))
    download("some", tmp_path / "again", tell=told.append, sources=sources(server))
    assert server.asked == [None]  # the second came from the cache


def test_what_was_cut_off_goes_on_where_it_stopped(server, tmp_path):
    server.cut = 1000
    with pytest.raises(UnreadableFile, match="it goes on where it stopped"):
        download("some", tmp_path / "out", tell=str, sources=sources(server))
    assert not (tmp_path / "out").exists()
    download("some", tmp_path / "out", tell=str, sources=sources(server))
    assert server.asked == [None, "bytes=1000-"]
    assert len(open_dataset(tmp_path / "out")) == 3


def test_another_file_than_promised_is_refused(server, tmp_path):
    with pytest.raises(UnreadableFile, match="md5:00"):
        download("some", tmp_path / "out", tell=str, sources=sources(server, "md5:" + "0" * 32))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [7, -200])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_broken_archive_does_not_stay_in_the_cache(kind, keep, server, tmp_path):
    """Where no checksum is known, the archive itself tells; what comes after it is mended is taken."""
    whole = server.content
    if kind == "tar.gz":
        whole = Path(shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path / "source")).read_bytes()
    url = server.url.replace("data.zip", f"data.{kind}")
    some = {"some": Source({url: ""}, "CC0-1.0", "three images", "inner")}
    server.content = whole[:keep]
    with pytest.raises(UnreadableFile, match=r"expected a whole archive, received .* It was deleted here: call it again"):
        download("some", tmp_path / "out", tell=str, sources=some)
    assert not (tmp_path / "out").exists()
    server.content = whole
    assert len(open_dataset(download("some", tmp_path / "out", tell=str, sources=some))) == 3


def test_an_archive_of_something_else(server, tmp_path):
    some = {"some": Source({server.url: ""}, "CC0-1.0", "three images", "outer")}
    with pytest.raises(UnreadableFile, match=r"data.zip: expected a folder outer in the archive, received inner"):
        download("some", tmp_path / "out", tell=str, sources=some)
    assert not (tmp_path / "out").exists()


def test_no_server_and_no_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    nowhere = {"some": Source({"http://127.0.0.1:9/data.zip": ""}, "", "")}
    with pytest.raises(UnreadableFile, match="expected a whole download"):
        download("some", tmp_path / "out", tell=str, sources=nowhere)
    with pytest.raises(OptionError, match="Did you mean 'voc2012'"):
        download("voc2021", tmp_path / "out", tell=str)


def test_a_folder_with_files_is_left_alone(server, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(CannotHold, match="a new or an empty folder"):
        download("some", tmp_path / "out", tell=str, sources=sources(server))


def test_every_source_says_its_terms():
    for source in SOURCES.values():
        assert source.licence
        assert source.about
        assert all(url.startswith("http") for url in source.files)
