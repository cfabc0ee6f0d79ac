"""What the scheduler programs share: a pymesos scheduler that remembers everything it is told, so that a
program is a list of steps, each of which waits for what it expects."""
import json
import os
import pwd
import sys
import threading
import urllib.request

from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data

# No step waits longer than this, in seconds.
PATIENCE = 60
HERE = os.path.dirname(os.path.abspath(__file__))


class Failed(Exception):
    """A step did not go as expected."""


def check(what, good, seen=""):
    if not good:
        raise Failed("%s: %s" % (what, seen))


class Framework(Scheduler):
    def __init__(self, master, name, **info):
        self.master = master
        self.info = Dict(user=pwd.getpwuid(os.getuid()).pw_name, name=name, **info)
        self.changed = threading.Condition()
        self.connections, self.offers, self.rescinded = [], {}, []
        self.updates, self.messages, self.errors = [], [], []
        self.heartbeats = 0
        self.driver = None

    def connect(self):
        self.driver = MesosSchedulerDriver(self, self.info, self.master, use_addict=True)
        self.driver.start()

    # What the driver calls, on its own thread.

    def remember(self, place, *what):
        with self.changed:
            place.extend(what)
            self.changed.notify_all()

    def registered(self, driver, framework_id, master_info):
        self.id = framework_id.value
        self.remember(self.connections, ("registered", master_info))

    def reregistered(self, driver, master_info):
        self.remember(self.connections, ("reregistered", master_info))

    def resourceOffers(self, driver, offers):
        with self.changed:
            self.offers.update((offer.id.value, offer) for offer in offers)
            self.changed.notify_all()

    def offerRescinded(self, driver, offer_id):
        with self.changed:
            self.offers.pop(offer_id.value, None)
            self.rescinded.append(offer_id.value)
            self.changed.notify_all()

    def statusUpdate(self, driver, update):
        print("update", update.task_id.value, update.state, update.get("reason", ""),
              update.get("message", ""), flush=True)
        self.remember(self.updates, update)

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        self.remember(self.messages, decode_data(message).decode())

    def processHeartBeat(self, driver):
        self.heartbeats += 1

    def error(self, driver, message):
        self.remember(self.errors, message)

    # What a program's steps are made of.

    def until(self, what, found):
        """Waits until `found()` returns something, and returns that."""
        with self.changed:
            answer = self.changed.wait_for(lambda: self.errors or found(), timeout=PATIENCE)
        check("an ERROR event", not self.errors, self.errors)
        check("not within %d s: %s" % (PATIENCE, what), answer,
              {"updates": [(u.task_id.value, u.state) for u in self.updates], "messages": self.messages})
        return answer

    def update(self, task, state, **fields):
        """Waits for an update of a task with this state and these fields."""
        def found():
            for update in self.updates:
                if update.task_id.value == task and update.state == state and all(
                        update.get(name) == value for name, value in fields.items()):
                    return update
        return self.until("%s of %s %s" % (state, task, fields or ""), found)

    def states(self, task):
        """The states a task went through, as told by whoever runs it."""
        return [u.state for u in self.updates if u.task_id.value == task and u.source == "SOURCE_EXECUTOR"]

    def take_offer(self, fits=lambda offer: True):
        """Waits for an offer that fits, and takes it out of those at hand; others are declined."""
        def found():
            for name, offer in list(self.offers.items()):
                del self.offers[name]
                if fits(offer):
                    return offer
                self.driver.declineOffer([offer.id], {"refuse_seconds": 1})
        return self.until("an offer", found)

    def fetch(self, path):
        return urllib.request.urlopen("http://%s%s" % (self.master, path), timeout=PATIENCE)

    def document(self, path):
        with self.fetch(path) as reply:
            return json.load(reply)


def amounts(cpus, mem):
    return [Dict(name=name, type="SCALAR", scalar=Dict(value=value)) for name, value in (("cpus", cpus), ("mem", mem))]


def amount(offer, name):
    return sum(r.scalar.value for r in offer.resources if r.name == name)


def task(offer, name, **fields):
    info = Dict(name=name, resources=amounts(0.1, 32), **fields)
    info.task_id.value = name
    info.agent_id.value = offer.agent_id.value
    return info


def executor(name):
    info = Dict(resources=amounts(0.1, 64))
    info.executor_id.value = name
    info.command.value = "exec %s %s" % (sys.executable, os.path.join(HERE, "executor.py"))
    return info


def order(**words):
    """The data of a task of executor.py."""
    return encode_data(json.dumps(words).encode())


def run(story):
    """Runs a program's steps; the last line and the exit code say how it went."""
    try:
        print("ok:", story(), flush=True)
        code = 0
    except Failed as failure:
        print("failed:", failure, flush=True)
        code = 1
    # The driver's threads do not end by themselves.
    os._exit(code)
