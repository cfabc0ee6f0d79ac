"""How fast tasks go through one executor, in JSON over the v1 API: load.py HOST:PORT [--tasks N]

A small scheduler and its executor, on nothing but Python's own library: one SUBSCRIBE stream each, one
ACCEPT with all tasks, two updates a task, every update acknowledged, one call at a time. The time is that
from the first offer to the last TASK_FINISHED.
"""
import argparse
import base64
import http.client
import json
import os
import sys
import time
import uuid


def events(address, path, call):
    """The stream id and the events of a subscription."""
    connection = http.client.HTTPConnection(address)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    connection.request("POST", path, json.dumps(call), headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit("%s: %d %s" % (call["type"], answer.status, answer.read()))

    def follow():
        while True:
            length = answer.readline()
            if not length:
                return
            yield json.loads(answer.read(int(length)))

    return answer.getheader("Mesos-Stream-Id"), follow()


class Calls:
    """One connection for all other calls."""

    def __init__(self, address, path, stream):
        self.connection = http.client.HTTPConnection(address)
        self.path = path
        self.headers = {"Content-Type": "application/json"}
        if stream:
            self.headers["Mesos-Stream-Id"] = stream

    def send(self, call):
        self.connection.request("POST", self.path, json.dumps(call), self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 202:
            raise SystemExit("%s: %d %s" % (call["type"], answer.status, body))


def run_executor():
    address = os.environ["MESOS_AGENT_ENDPOINT"]
    own = {
        "executor_id": {"value": os.environ["MESOS_EXECUTOR_ID"]},
        "framework_id": {"value": os.environ["MESOS_FRAMEWORK_ID"]},
    }
    path = "/api/v1/executor"
    subscribe = {"unacknowledged_tasks": [], "unacknowledged_updates": []}
    stream, follow = events(address, path, dict(own, type="SUBSCRIBE", subscribe=subscribe))
    calls = Calls(address, path, stream)
    for event in follow:
        if event["type"] == "SHUTDOWN":
            return
        if event["type"] != "LAUNCH":
            continue
        for state in ("TASK_RUNNING", "TASK_FINISHED"):
            status = {
                "task_id": event["launch"]["task"]["task_id"],
                "state": state,
                "source": "SOURCE_EXECUTOR",
                "uuid": base64.b64encode(uuid.uuid4().bytes).decode(),
            }
            calls.send(dict(own, type="UPDATE", update={"status": status}))


def scalars(cpus, mem):
    amounts = (("cpus", cpus), ("mem", mem))
    return [{"name": name, "type": "SCALAR", "scalar": {"value": amount}} for name, amount in amounts]


def task(number, offer):
    arguments = [sys.executable, os.path.abspath(__file__), "--executor"]
    executor = {
        "type": "CUSTOM",
        "executor_id": {"value": "load"},
        "command": {"shell": False, "value": sys.executable, "arguments": arguments},
        "resources": scalars(0.1, 32),
    }
    return {
        "name": "load",
        "task_id": {"value": "load-%d" % number},
        "agent_id": offer["agent_id"],
        "executor": executor,
        "resources": scalars(0.01, 1),
    }


def load(master, tasks):
    path = "/api/v1/scheduler"
    info = {"user": "root", "name": "json load", "roles": ["*"], "capabilities": [{"type": "MULTI_ROLE"}]}
    stream, follow = events(master, path, {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}})
    calls = Calls(master, path, stream)
    own, start, finished = None, None, 0
    for event in follow:
        if event["type"] == "SUBSCRIBED":
            own = {"framework_id": event["subscribed"]["framework_id"]}
        elif event["type"] == "OFFERS":
            offers = event["offers"]["offers"]
            if start is None:
                start = time.monotonic()
                launch = {"task_infos": [task(number, offers[0]) for number in range(tasks)]}
                accept = {
                    "offer_ids": [offers.pop(0)["id"]],
                    "operations": [{"type": "LAUNCH", "launch": launch}],
                    "filters": {"refuse_seconds": 600},
                }
                calls.send(dict(own, type="ACCEPT", accept=accept))
            if offers:
                decline = {"offer_ids": [offer["id"] for offer in offers], "filters": {"refuse_seconds": 600}}
                calls.send(dict(own, type="DECLINE", decline=decline))
        elif event["type"] == "UPDATE":
            status = event["update"]["status"]
            acknowledge = {key: status[key] for key in ("agent_id", "task_id", "uuid")}
            calls.send(dict(own, type="ACKNOWLEDGE", acknowledge=acknowledge))
            if status["state"] not in ("TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"):
                raise SystemExit("%s: %s" % (status["state"], status.get("message")))
            finished += status["state"] == "TASK_FINISHED"
            if finished == tasks:
                break
        elif event["type"] == "ERROR":
            raise SystemExit(event["error"]["message"])
    seconds = time.monotonic() - start
    calls.send(dict(own, type="TEARDOWN"))
    print("ok: %d tasks in %.2f s: %.0f tasks/s" % (tasks, seconds, tasks / seconds))


if __name__ == "__main__":
    if sys.argv[1:] == ["--executor"]:
        run_executor()
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("master")
        parser.add_argument("--tasks", type=int, default=1000)
        arguments = parser.parse_args()
        load(arguments.master, arguments.tasks)
