"""How fast tasks go through one executor: load.py HOST:PORT [--tasks N]

The time is that from the first offer to the last TASK_FINISHED, two updates a task, each acknowledged, one
ACCEPT for all. Scheduler and executor are pymesos's, so most of it is Python's own.
"""
import argparse
import time

from framework import Framework, executor, order, run, task


class Load(Framework):
    """Counts instead of remembering, and says nothing on the way."""

    def __init__(self, master):
        Framework.__init__(self, master, "pymesos load")
        self.finished = 0

    def statusUpdate(self, driver, update):
        if update.state == "TASK_FINISHED":
            with self.changed:
                self.finished += 1
                self.changed.notify_all()


def load(args):
    framework = Load(args.master)
    framework.connect()
    offer = framework.take_offer()
    start = time.monotonic()
    worker = executor("worker")
    tasks = []
    for number in range(args.tasks):
        info = task(offer, "task-%d" % number, executor=worker, data=order(do="finish"))
        info.resources[0].scalar.value, info.resources[1].scalar.value = 0.001, 1
        tasks.append(info)
    framework.driver.launchTasks([offer.id], tasks, {"refuse_seconds": 60})
    framework.until("all tasks", lambda: framework.finished == args.tasks)
    seconds = time.monotonic() - start
    framework.driver.stop()
    framework.driver.join()
    return "%d tasks in %.2f s: %.0f tasks/s" % (args.tasks, seconds, args.tasks / seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("master")
    parser.add_argument("--tasks", type=int, default=1000)
    arguments = parser.parse_args()
    run(lambda: load(arguments))
