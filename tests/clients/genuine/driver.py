# Python 2.7. A framework on Mesos's own scheduler driver (C++, v0 messages): driver.py HOST:PORT
#
# LD_LIBRARY_PATH=DEST/lib PYTHONPATH=DEST/site python2.7 driver.py HOST:PORT
from __future__ import print_function
import json
import os
import sys
import threading
import time
import urllib2

os.environ["LIBPROCESS_IP"] = "127.0.0.1"
os.environ.pop("LIBPROCESS_PORT", None)  # any free one

import mesos.interface
from mesos.interface import mesos_pb2
from mesos.scheduler import MesosSchedulerDriver

PATIENCE = 60  # seconds for each step


class Failed(Exception):
    pass


class Framework(mesos.interface.Scheduler):
    def __init__(self, master):
        self.master = master
        self.changed = threading.Condition()
        self.connections, self.offers, self.updates, self.errors = [], [], [], []
        self.info = mesos_pb2.FrameworkInfo(user="", name="C++ driver", failover_timeout=60)

    def connect(self):
        # 0: updates are acknowledged by us.
        self.driver = MesosSchedulerDriver(self, self.info, self.master, 0)
        self.driver.start()

    def remember(self, place, *what):
        with self.changed:
            place.extend(what)
            self.changed.notify_all()

    def registered(self, driver, framework_id, master_info):
        self.info.id.CopyFrom(framework_id)
        self.remember(self.connections, "registered")

    def reregistered(self, driver, master_info):
        self.remember(self.connections, "reregistered")

    def resourceOffers(self, driver, offers):
        self.remember(self.offers, *offers)

    def statusUpdate(self, driver, update):
        print("update", update.task_id.value, mesos_pb2.TaskState.Name(update.state), update.message)
        sys.stdout.flush()
        if update.uuid:
            driver.acknowledgeStatusUpdate(update)
        self.remember(self.updates, update)

    def error(self, driver, message):
        self.remember(self.errors, message)

    def until(self, what, found):
        deadline = time.time() + PATIENCE
        with self.changed:
            while not found():
                if self.errors or time.time() > deadline:
                    raise Failed("%s: errors %s, %d updates" % (what, self.errors, len(self.updates)))
                self.changed.wait(1)
            return found()

    def update(self, task, state, reconciled=False):
        def found():
            for update in self.updates:
                if (update.task_id.value == task and update.state == mesos_pb2.TaskState.Value(state)
                        and (update.reason == mesos_pb2.TaskStatus.REASON_RECONCILIATION) == reconciled):
                    return update
        return self.until("%s of %s" % (state, task), found)


def task(offer, name, command):
    info = mesos_pb2.TaskInfo(name=name)
    info.task_id.value = name
    info.slave_id.CopyFrom(offer.slave_id)
    info.command.value = command
    for resource, amount in (("cpus", 0.1), ("mem", 32)):
        info.resources.add(name=resource, type=mesos_pb2.Value.SCALAR).scalar.value = amount
    return info


def session(framework):
    framework.connect()
    framework.until("registration", lambda: framework.connections)
    offer = framework.until("an offer", lambda: framework.offers[:1])[0]
    launch = mesos_pb2.Offer.Operation(type=mesos_pb2.Offer.Operation.LAUNCH)
    launch.launch.task_infos.extend([
        task(offer, "good", "exit 0"), task(offer, "bad", "exit 7"),
        task(offer, "long", "exec sleep 600"), task(offer, "stays", "exec sleep 600")])
    framework.driver.acceptOffers([offer.id], [launch], mesos_pb2.Filters(refuse_seconds=1))
    framework.update("good", "TASK_FINISHED")
    framework.update("bad", "TASK_FAILED")
    running = framework.update("long", "TASK_RUNNING")
    framework.driver.reconcileTasks([running])
    framework.update("long", "TASK_RUNNING", reconciled=True)
    framework.driver.killTask(running.task_id)
    framework.update("long", "TASK_KILLED")
    framework.update("stays", "TASK_RUNNING")

    # The next offer is declined for so long that only REVIVE brings another one.
    offer = framework.until("another offer", lambda: framework.offers[1:2])[0]
    framework.driver.declineOffer(offer.id, mesos_pb2.Filters(refuse_seconds=3600))
    framework.driver.reviveOffers()
    framework.until("an offer after REVIVE", lambda: framework.offers[2:])

    # Another instance takes over, and ends it all.
    framework.driver.stop(True)
    framework.connect()
    framework.until("the second registration", lambda: framework.connections[1:])
    framework.driver.killTask(mesos_pb2.TaskID(value="stays"))
    framework.update("stays", "TASK_KILLED")
    framework.driver.stop()
    framework.driver.join()
    framework.until("the framework's end", lambda: has_ended(framework))
    return "%d updates" % len(framework.updates)


def has_ended(framework):
    document = json.load(urllib2.urlopen("http://%s/master/frameworks" % framework.master, timeout=PATIENCE))
    return framework.info.id.value in [ended["id"] for ended in document["completed_frameworks"]]


try:
    print("ok:", session(Framework(sys.argv[1])))
    code = 0
except Failed as failure:
    print("failed:", failure)
    code = 1
sys.stdout.flush()
os._exit(code)
