"""One client of a comparison in a process of its own; `RemoteClient` starts and talks to it.

It reads one line of JSON per round, a job, and answers one line; the first line names the client,
and its job says for all rounds which engine to use.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from array import array
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

from pool._cli import bench_load
from pool._cli.bench_stats import Outcome

PROGRAM = "from pool._cli.bench_worker import main; main()"


class Absent(Exception):
    """The client cannot take part; the text says why."""


def job_line(job: bench_load.Job) -> dict[str, Any]:
    fields = asdict(job)
    fields["body"] = None if job.body is None else base64.b64encode(job.body).decode()
    return fields


def job_of(fields: dict[str, Any]) -> bench_load.Job:
    body = fields.pop("body")
    headers = [(name, value) for name, value in fields.pop("headers")]
    return bench_load.Job(
        **fields, headers=headers, body=None if body is None else base64.b64decode(body)
    )


def outcome_line(outcome: Outcome) -> dict[str, Any]:
    return {
        "seconds": outcome.seconds,
        "cpu_seconds": outcome.cpu_seconds,
        "bytes": outcome.bytes,
        "connections": outcome.connections,
        "latencies": base64.b64encode(outcome.latencies.tobytes()).decode(),
        "statuses": list(outcome.statuses.items()),
        "errors": list(outcome.errors.items()),
    }


def outcome_of(fields: dict[str, Any]) -> Outcome:
    return Outcome(
        seconds=fields["seconds"],
        cpu_seconds=fields["cpu_seconds"],
        bytes=fields["bytes"],
        connections=fields["connections"],
        latencies=array("d", base64.b64decode(fields["latencies"])),
        statuses=Counter(dict(fields["statuses"])),
        errors=Counter(dict(fields["errors"])),
    )


class RemoteClient:
    """The worker as its parent sees it; raises `Absent` when it cannot work."""

    def __init__(self, name: str, job: bench_load.Job) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.label: str = self._ask({"name": name, "job": job_line(job)})["label"]

    def run(self, job: bench_load.Job) -> Outcome:
        return outcome_of(self._ask(job_line(job)))

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Absent(f"its process ended with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "absent" in answer:
            raise Absent(answer["absent"])
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def main() -> None:
    question = json.loads(sys.stdin.readline())
    first = job_of(question["job"])
    try:
        client = bench_load.open_client(question["name"], first)
        say({"label": client.label})
        for line in sys.stdin:
            job = replace(job_of(json.loads(line)), engine=first.engine)
            outcome, interrupted = bench_load.run(client, job, lambda *_: None)
            if interrupted:
                break
            say(outcome_line(outcome))
    except ImportError as error:
        say({"absent": str(error)})
    except KeyboardInterrupt:  # the parent, which got it too, tells the user
        pass
    # Other packages' threads must not keep the process, nor their finalisers complain.
    os._exit(0)
