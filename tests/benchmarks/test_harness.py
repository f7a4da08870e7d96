"""The benchmark harness itself: what it measures is right, what is missing is said, not hidden."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare, growth, jobs, measure, server, steps
from benchmarks.contenders import CLIENT, CONTENDERS, FLOOR, OURS, Contender
from benchmarks.measure import Entry, Pace, judge, run_row
from benchmarks.peers import Settings
from benchmarks.rows import ANY_OTHER, ROWS, AtLeast, AtMost, Row
from benchmarks.server import Running
from tests.support import programs

TINY = Pace(rounds=2, seconds=0.01)


def quiet(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    programs.need_program("nginx")
    with server.start("nginx", None) as started:
        yield started


def entry(name: str, kind: str, *values: float) -> Entry:
    return Entry(name, kind, name, values=list(values), cpu_us=[1.0])


def test_every_row_names_contenders_that_exist() -> None:
    for row in ROWS.values():
        names = {*row.contenders}
        assert names <= set(CONTENDERS), row.key
        for wanted in row.requirements:
            assert wanted.who in names and CONTENDERS[wanted.who].kind == OURS
            if isinstance(wanted, AtLeast) and wanted.than != ANY_OTHER:
                assert wanted.than in names, (row.key, wanted)


def test_every_contender_is_a_module_of_its_own() -> None:
    for contender in CONTENDERS.values():
        module = contender.target.partition(":")[0].replace(".", "/")
        assert Path(measure.ROOT, "benchmarks", f"{module}.py").exists(), contender.name


@pytest.mark.parametrize("name", jobs.JOBS)
def test_every_job_gets_the_right_answers(running: Running, name: str) -> None:
    peer: Any = importlib.import_module("benchmarks.peers.pool")
    headers = {**measure.HEADERS, "Accept-Encoding": "gzip" if name == "gzip" else "identity"}
    try:
        run = jobs.prepare(peer, name, Settings(running.plain, headers, concurrency=2))
    except jobs.NotSupported as error:
        pytest.skip(str(error))
    run(3)


def test_threads_share_a_client_or_have_their_own(running: Running) -> None:
    row = Row("x", "x", ("pool", "bare_socket"), (), threads=3, job="get_beside")
    result = run_row(row, running, TINY, quiet)
    assert len(result["contenders"]) == 2, result["absent"]


def test_wrong_answer_is_noticed() -> None:
    job = jobs.JOBS["get"]
    first, second = jobs.urls_of(job)[:2]
    check = jobs.make_check(job, [first, second])
    check(first, 200, first.encode() + b"\nrest")
    with pytest.raises(jobs.WrongAnswer):
        check(first, 200, second.encode() + b"\nrest")
    with pytest.raises(jobs.WrongAnswer):
        check(first, 404, first.encode() + b"\n")


def test_wrong_size_is_noticed() -> None:
    job = jobs.JOBS["size_1000"]
    check = jobs.make_check(job, ["/"])
    check("/", 200, bytes(1000))
    with pytest.raises(jobs.WrongAnswer):
        check("/", 200, bytes(999))


def test_row_has_figures_and_verdicts(running: Running) -> None:
    programs.need_module("urllib3")
    row = Row("x", "x", ("pool", "urllib3", "bare_socket"), (AtLeast(1e9, "urllib3"),))
    result = run_row(row, running, TINY, quiet)
    assert [found["name"] for found in result["contenders"]] == ["pool", "urllib3", "bare_socket"]
    for found in result["contenders"]:
        assert len(found["rounds"]) == 2
        assert found["lowest"] <= found["value"] <= found["highest"]
        assert found["client_cpu_us"] > 0
    (verdict,) = result["requirements"]
    assert verdict["met"] is False and verdict["figure"] > 0


def test_tls_row_verifies_and_works(running: Running) -> None:
    if running.tls is None:
        pytest.skip(running.lacks)
    row = Row("x", "x", ("pool", "bare_socket", "http_client"), (), need="tls")
    result = run_row(row, running, TINY, quiet)
    assert len(result["contenders"]) == 3, result["absent"]


def test_contender_that_is_not_installed_is_reported_absent(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        CONTENDERS, "gone", Contender("gone", "peers.urllib3", without=("urllib3",))
    )
    monkeypatch.setitem(
        CONTENDERS, "extra", Contender("extra", "peers.pool", requires=("no_such_module",))
    )
    row = Row("x", "x", ("pool", "gone", "extra"), (AtLeast(1, "gone"),))
    result = run_row(row, running, TINY, quiet)
    assert {gone["name"] for gone in result["absent"]} == {"gone", "extra"}
    assert [found["name"] for found in result["contenders"]] == ["pool"]
    assert result["requirements"][0]["met"] is None


def test_contender_that_fails_leaves_the_others_alone(running: Running) -> None:
    # Pages of one size only: every answer of the other kind is wrong.
    row = Row("x", "x", ("pool", "wrk", "pycurl_multi"), (), job="get_field")
    result = run_row(row, running, TINY, quiet)
    assert [found["name"] for found in result["contenders"]] == ["pool"]
    assert len(result["absent"]) == 2


def test_row_without_its_server_is_skipped() -> None:
    row = ROWS["tls"]
    embedded = Running("embedded", "http://127.0.0.1:1", lacks="only pages")
    result = run_row(row, embedded, TINY, quiet)
    assert result["skipped"] == "only pages"


@pytest.mark.parametrize("key", ("head_8", "slots"))
def test_parts_are_measured_without_a_server(key: str) -> None:
    result = run_row(ROWS[key], None, TINY, quiet)
    figures = {found["name"]: found["value"] for found in result["contenders"]}
    assert all(figure > 0 for figure in figures.values())
    assert figures.keys() >= set(ROWS[key].contenders) - {"httptools"}


@pytest.mark.parametrize("key", ("idle", "hosts", "growth"))
def test_memory_rows_run(running: Running, key: str) -> None:
    programs.need_module("urllib3")
    row = ROWS[key]
    small = Row(
        row.key, row.title, row.contenders, row.requirements, need=row.need, unit=row.unit,
        count=1, size=20 if key == "growth" else 200,
    )  # fmt: skip
    result = run_row(small, running, Pace(rounds=1), quiet)
    assert len(result["contenders"]) == 2, result["absent"]


def test_rounds_are_shared_by_processes_one_after_the_other(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[measure.Worker] = []
    ended: list[int] = []

    class Counted(measure.Worker):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            began.append(self)

        def close(self) -> None:
            super().close()
            ended.append(self.process.returncode)

    monkeypatch.setattr(measure, "Worker", Counted)
    row = Row("x", "x", ("pool", "bare_socket"), ())
    result = run_row(row, running, Pace(rounds=5, seconds=0.01, processes=3), quiet)
    assert [worker.contender.name for worker in began] == ["pool", "bare_socket"] * 3
    assert ended == [0] * 6
    assert all(len(found["rounds"]) == 5 for found in result["contenders"])


def test_rounds_are_shared_evenly() -> None:
    def parts(rounds: int, count: int) -> list[int]:
        return [n for n in range(rounds) if measure.begins_part(n, rounds, count)]

    assert parts(9, 3) == [0, 3, 6]
    assert parts(7, 3) == [0, 3, 5]
    assert parts(2, 3) == [0, 1]
    assert parts(4, 1) == [0]


def test_contender_that_fails_later_is_not_started_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mortal(measure.Worker):
        def run(self, count: int) -> dict[str, float]:
            if self.contender.name == "bare_socket" and len(began) > 2:
                raise measure.Absent("failed: later")
            return super().run(count)

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            began.append(self)

    began: list[measure.Worker] = []
    monkeypatch.setattr(measure, "Worker", Mortal)
    row = Row("x", "x", ("pool", "bare_socket"), (AtLeast(1, "bare_socket"),))
    result = run_row(row, running, Pace(rounds=3, seconds=0.01, processes=3), quiet)
    assert [found["name"] for found in result["contenders"]] == ["pool"]
    assert result["absent"] == [{"name": "bare_socket", "reason": "failed: later"}]
    assert result["requirements"][0]["met"] is None
    assert len(began) == 5


def test_ratio_is_the_median_of_the_rounds() -> None:
    entries = [entry("pool", OURS, 10, 90, 30), entry("urllib3", CLIENT, 10, 10, 10)]
    row = Row("x", "x", (), ())
    assert judge(AtLeast(3, "urllib3"), row, entries)["figure"] == 3
    assert judge(AtLeast(3, "urllib3"), row, entries)["met"] is True
    assert judge(AtLeast(3.1, "urllib3"), row, entries)["met"] is False


def test_less_is_better_for_times() -> None:
    entries = [entry("pool_slots", OURS, 2.0), entry("lifo_queue", CLIENT, 8.0)]
    row = Row("x", "x", (), (), unit="µs")
    assert judge(AtLeast(4, "lifo_queue", who="pool_slots"), row, entries)["figure"] == 4
    assert judge(AtMost(2.0, "pool_slots"), row, entries)["met"] is True
    assert judge(AtMost(1.9, "pool_slots"), row, entries)["met"] is False


def test_any_other_client_is_the_best_one_and_no_floor() -> None:
    entries = [
        entry("pool", OURS, 20.0), entry("urllib3", CLIENT, 2.0),
        entry("pycurl", CLIENT, 10.0), entry("bare_socket", FLOOR, 40.0),
    ]  # fmt: skip
    found = judge(AtLeast(2, ANY_OTHER), Row("x", "x", (), ()), entries)
    assert (found["best"], found["figure"], found["met"]) == ("pycurl", 2, True)


def test_command_prints_the_verdicts_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.json"
    arguments = ["--rows", "slots", "--rounds", "2", "--seconds", "0.01", "--no-pin"]
    assert compare.main([*arguments, "--json", str(target)]) == 0
    output = capsys.readouterr().out
    assert "checkout and return" in output
    assert "fastpool, in C at most 0.03 µs" in output
    report = json.loads(target.read_text())
    assert [row["key"] for row in report["rows"]] == ["slots"]
    assert report["machine"]["python"]


@pytest.mark.parametrize("name", (*steps.LEVELS, *steps.BESIDE))
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_level_of_the_steps_makes_its_part_of_a_request(running: Running, name: str) -> None:
    if name == "urllib3":
        programs.need_module("urllib3")
    function = steps.Levels(Settings(running.plain, measure.HEADERS)).make(name)
    for path in steps.paths()[:3]:
        answer = function(path)
    assert getattr(answer, "status", 200) == 200


def test_steps_are_the_differences_of_the_levels() -> None:
    levels = [
        {"key": key, "title": key, "us": 10.0 * (place + 1), "instructions": 100 * (place + 1)}
        for place, key in enumerate((*steps.LEVELS, *steps.BESIDE))
    ]
    lines = steps.table({"levels": levels}).splitlines()
    assert lines[2:5] == [
        "| exchange | 10.0 | 100 |", "| request | 10.0 | 100 |", "| read | 10.0 | 100 |",
    ]  # fmt: skip
    assert f"| **together** | {10.0 * len(steps.LEVELS)} | {100 * len(steps.LEVELS)} |" in lines


def test_growth_measures_its_points(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.need_program("nginx")
    programs.need_module("urllib3")
    for key in ("fields", "hosts"):
        title, points = growth.GROUPS[key]
        monkeypatch.setitem(growth.GROUPS, key, (title, points[:2]))
    target = tmp_path / "out.json"
    growth.main(["--groups", "fields", "hosts", "--rounds", "1", "--seconds", "0.01",
                 "--json", str(target)])  # fmt: skip
    groups = json.loads(target.read_text())["groups"]
    assert [group["points"] for group in groups] == [[6, 10], [1, 10]]
    assert all(us > 0 for group in groups for values in group["us"].values() for us in values)
    assert "| fastpool, µs |" in capsys.readouterr().out
