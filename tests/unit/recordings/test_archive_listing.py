"""Which archives a record has, by its own listing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from tests.archive_server import ArchiveServer, archive_server

from oddsound.errors import ConfigError, DataError, DownloadError
from oddsound.recordings.archives.listing import list_archives, machine_in, of_machines, require_parts
from oddsound.recordings.archives.records import RECORDS
from oddsound.recordings.archives.web import Patience, Web

pytestmark = pytest.mark.server


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with archive_server() as server:
        server.records = {
            4562016: {"dev_data_fan.zip": b"x", "README.md": b"y", "dev_data_ToyCar.zip": b"zz"}
        }
        yield server


def web(slept: list[float] | None = None) -> Web:
    return Web(Patience(sleep=(slept if slept is not None else []).append, timeout_s=(5.0, 0.5)))


def keys(server: ArchiveServer, slept: list[float] | None = None) -> list[str]:
    return [a.key for a in list_archives(web(slept), server.uri, "dcase2021", ["dev"])]


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("dev_data_ToyCar", "ToyCar"),  # 2020, 2021
        ("eval_data_train_slider", "slider"),  # 2020
        ("eval_data_test_valve", "valve"),
        ("eval_data_fan_train", "fan"),  # 2021 on
        ("eval_data_3DPrinter_train_r2", "3DPrinter"),  # 2024
        ("dev_bearingEmu", "bearingEmu"),  # 2026
        ("dev_data", ""),
        ("README", "README"),
        ("some_other_thing", ""),
    ],
)
def test_the_machine_type_is_in_the_name(name: str, machine: str) -> None:
    assert machine_in(name) == machine


def test_a_record_is_what_its_listing_says(server: ArchiveServer) -> None:
    (fan, car) = sorted(
        list_archives(web(), server.uri, "dcase2021", ["dev"]), key=lambda a: a.machine, reverse=True
    )
    assert (fan.key, fan.part, fan.machine, fan.size) == ("dev_data_fan.zip", "dev", "fan", 1)
    assert fan.checksum == "md5:9dd4e461268c8034f5c8564e155c67a6"
    assert fan.url == f"{server.uri}/api/records/4562016/files/dev_data_fan.zip/content"
    assert car.machine == "ToyCar"
    assert server.asked[0].agent.startswith("oddsound/")


@pytest.mark.parametrize("link", ["https://elsewhere.example/fan.zip", "http://[/x"])
def test_a_link_to_another_host_is_not_followed(server: ArchiveServer, link: str) -> None:
    server.listed["dev_data_fan.zip"] = {"links": {"self": link}}
    urls = {a.machine: a.url for a in list_archives(web(), server.uri, "dcase2021", ["dev"])}
    assert urls["fan"] == f"{server.uri}/api/records/4562016/files/dev_data_fan.zip/content"


def test_the_last_revision_counts(server: ArchiveServer) -> None:
    names = ("dev_data_fan.zip", "dev_data_fan_r2.zip", "dev_data_fan_r10.zip", "dev_data_valve_r2.zip")
    server.records = {4562016: dict.fromkeys(names, b"x")}
    assert keys(server) == ["dev_data_fan_r10.zip", "dev_data_valve_r2.zip"]


def test_machine_types_are_chosen_by_name(server: ArchiveServer) -> None:
    archives = list_archives(web(), server.uri, "dcase2021", ["dev"])
    assert [a.machine for a in of_machines(archives, ["fan"])] == ["fan"]
    with pytest.raises(DataError, match=r"'toycar'; did you mean ToyCar\? there are: ToyCar, fan"):
        of_machines(archives, ["toycar", "fan"])


def test_parts_are_those_of_the_year() -> None:
    assert require_parts("dcase2021", None) == ("dev", "train", "test", "labels")
    assert require_parts("dcase2022", ["test", "dev"]) == ("dev", "test")
    with pytest.raises(ConfigError, match="no part 'tset'; did you mean test"):
        require_parts("dcase2022", ["tset"])
    with pytest.raises(ConfigError, match="dcase2022 has no record of labels"):
        require_parts("dcase2022", ["labels"])
    assert len({number for year in RECORDS.values() for number in year.values()}) == 22


@pytest.mark.parametrize(
    ("key", "said", "message"),
    [
        ("dev_data_fan.zip", {"size": -1}, "no size of a file"),
        ("dev_data_fan.zip", {"size": True}, "no size of a file"),
        ("dev_data_fan.zip", {"size": 2**50}, "no size of a file"),
        ("dev_data_fan.zip", {"checksum": "md5:xyz"}, "no checksum that is known"),
        ("dev_data_fan.zip", {"checksum": "crc32:00000000"}, "no checksum that is known"),
        ("dev_data_fan.zip", {"checksum": None}, "a file without key"),
        ("dev_data_fan.zip", {"links": {}}, "a file without key"),
    ],
)
def test_a_listing_that_cannot_be_is_named(
    server: ArchiveServer, key: str, said: dict[str, object], message: str
) -> None:
    server.listed[key] = said
    with pytest.raises(DownloadError, match=message):
        keys(server)


@pytest.mark.parametrize("listing", [b"", b"<html>", b"[]", b'{"files": 3}', b"[" * 100_000, b"\xff"])
def test_a_page_that_is_no_listing_is_named(server: ArchiveServer, listing: bytes) -> None:
    server.listing = listing
    with pytest.raises(DownloadError, match="no listing of a record"):
        keys(server)


def test_a_listing_without_archives_is_named(server: ArchiveServer) -> None:
    server.listing = json.dumps({"files": []}).encode()
    with pytest.raises(DownloadError, match="lists no archive that is named for a machine type; see"):
        keys(server)


@pytest.mark.parametrize("key", ["../../x_fan.zip", "dev_\0fan.zip", "3"])
def test_names_that_are_none_of_an_archive_are_shown(server: ArchiveServer, key: str) -> None:
    server.records = {4562016: {"dev_data_fan.zip": b"x"}}
    server.listed["dev_data_fan.zip"] = {"key": key}
    with pytest.raises(DownloadError, match=re.escape(f"machine type: it has {[key]}; see")):
        keys(server)


@pytest.mark.parametrize("source", ["http://a..b", f"http://{'a' * 64}.example"])
def test_a_source_that_cannot_be_asked_is_one_line(source: str) -> None:
    with pytest.raises(DownloadError, match="see whether --source is right") as said:
        list_archives(web(), source, "dcase2021", ["dev"])
    assert "\n" not in str(said.value)


def test_a_listing_that_never_comes_is_not_said_to_be_kept(server: ArchiveServer) -> None:
    server.faults["4562016"] = ["500"] * 5
    with pytest.raises(DownloadError, match="5 times in succession; try later, or another --source"):
        keys(server)


@pytest.mark.parametrize("fault", ["429", "500", "503", "hang"])
def test_a_listing_is_asked_for_again(server: ArchiveServer, fault: str) -> None:
    server.faults["4562016"] = [fault, fault]
    slept: list[float] = []
    assert len(keys(server, slept)) == 2
    assert len(slept) == 2
    assert 0.5 <= slept[0] <= 1 <= slept[1] <= 2


def test_a_record_that_is_gone_is_not_asked_for_again(server: ArchiveServer) -> None:
    server.faults["4562016"] = ["404"]
    slept: list[float] = []
    with pytest.raises(DownloadError, match="404"):
        keys(server, slept)
    assert slept == []


@pytest.mark.parametrize(
    "key", ["../labels.zip", "/labels.zip", "C:labels.zip", ".labels.zip", "a\nb.csv", "x" * 200]
)
def test_a_name_that_leads_elsewhere_is_refused(server: ArchiveServer, key: str) -> None:
    server.records = {5257674: {"labels.zip": b"x"}}
    server.listed["labels.zip"] = {"key": key + ("" if "." in key else ".zip")}
    with pytest.raises(DownloadError, match="can't be a file's name"):
        list_archives(web(), server.uri, "dcase2021", ["labels"])
