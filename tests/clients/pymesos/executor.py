"""An executor on pymesos, started by an agent with its MESOS_* variables.

A task's data says what to do, as JSON:
  {"do": "finish"}               finish at once
  {"do": "reverse", "text": T}   finish, with T backwards as the update's data
  {"do": "hold"}                 run until killed
  {"do": "gate", "path": P}      run until the file P exists
Messages to the executor come back with "heard " before them.
"""
import json
import os
import threading
import time

from addict import Dict
from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data

FINISH = encode_data(json.dumps({"do": "finish"}).encode())


class Worker(Executor):
    def __init__(self):
        self.ended = set()

    def registered(self, driver, executor_info, framework_info, agent_info):
        self.name = executor_info.executor_id.value
        driver.sendFrameworkMessage(encode_data(("here is " + self.name).encode()))

    def launchTask(self, driver, task):
        if task.data == FINISH:
            self.report(driver, task.task_id.value, "TASK_RUNNING")
            self.report(driver, task.task_id.value, "TASK_FINISHED")
            return
        threading.Thread(target=self.work, args=(driver, task), daemon=True).start()

    def killTask(self, driver, task_id):
        # Only once: a task that has ended is not killed.
        if task_id.value not in self.ended:
            self.report(driver, task_id.value, "TASK_KILLED")

    def frameworkMessage(self, driver, message):
        driver.sendFrameworkMessage(encode_data(b"heard " + decode_data(message)))

    def work(self, driver, task):
        order = json.loads(decode_data(task.data))
        name = task.task_id.value
        if "ledger" in order:
            with open(order["ledger"], "a") as ledger:
                ledger.write(name + "\n")
        self.report(driver, name, "TASK_RUNNING")
        if order["do"] == "reverse":
            self.report(driver, name, "TASK_FINISHED", order["text"][::-1])
        elif order["do"] == "gate":
            while not os.path.exists(order["path"]):
                time.sleep(0.05)
            self.report(driver, name, "TASK_FINISHED")

    def report(self, driver, name, state, data=None):
        status = Dict(state=state, timestamp=time.time())
        status.task_id.value = name
        if data is not None:
            status.data = encode_data(data.encode())
        if state != "TASK_RUNNING":
            self.ended.add(name)
        # The driver does not keep updates for an agent that is away, so keep this one here. A second
        # try has the first one's uuid: the agent may have it already.
        while True:
            try:
                driver.sendStatusUpdate(status)
                return
            except (OSError, RuntimeError):
                time.sleep(0.1)


if __name__ == "__main__":
    MesosExecutorDriver(Worker(), use_addict=True).run()
