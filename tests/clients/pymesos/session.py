"""One framework's whole life against a master: session.py HOST:PORT"""
import sys

from pymesos import decode_data, encode_data

from framework import Framework, amount, check, executor, order, run, task


def session(master):
    framework = Framework(master, "pymesos session", failover_timeout=60, role="*")
    framework.connect()
    framework.until("registration", lambda: framework.connections)
    look_around(framework)
    offer = look_at(framework, framework.take_offer(roomy))
    launch(framework, offer)
    own_executor(framework)
    commands(framework)
    reconcile(framework)
    kill(framework)
    revive(framework)
    fail_over(framework)
    tear_down(framework)
    return "%d updates, %d messages, %d offers rescinded" % (
        len(framework.updates), len(framework.messages), len(framework.rescinded))


def look_around(framework):
    """What monitors and scripts ask first."""
    check("the version", framework.document("/version")["version"].count(".") == 2)
    check("that this one leads", framework.document("/metrics/snapshot?timeout=1secs")["master/elected"] == 1)
    for prefix in ("", "/master"):
        check("the flags", "allocation_interval" in framework.document(prefix + "/flags")["flags"])
        check("the health", framework.fetch(prefix + "/health").read() == b"")


def roomy(offer):
    return amount(offer, "cpus") >= 1 and amount(offer, "mem") >= 512


def look_at(framework, offer):
    check("the offer is for this framework", offer.framework_id.value == framework.id, offer)
    check("the offer names its agent", offer.agent_id.value and offer.hostname and offer.url.address.port, offer)
    # A framework without MULTI_ROLE knows nothing of allocation.
    check("no allocation", "allocation_info" not in offer
          and not any("allocation_info" in resource for resource in offer.resources), offer)
    return offer


def launch(framework, offer):
    own = executor("worker")
    shell = task(offer, "shell")
    shell.command.value = "test $COLOR-$TOKEN = red-hush && test -d \"$MESOS_SANDBOX\""
    secret = dict(type="VALUE", value=dict(data=encode_data(b"hush")))
    shell.command.environment.variables = [
        dict(name="COLOR", value="red"), dict(name="TOKEN", type="SECRET", secret=secret)]
    argv = task(offer, "argv")
    argv.command.update(shell=False, value="/bin/sh", arguments=["sh", "-c", "exit 3"])
    framework.driver.launchTasks([offer.id], [
        task(offer, "reverse", executor=own, data=order(do="reverse", text="stressed")),
        task(offer, "held", executor=own, data=order(do="hold")),
        task(offer, "stays", executor=own, data=order(do="hold")),
        shell, argv], {"refuse_seconds": 0})


def own_executor(framework):
    finished = framework.update("reverse", "TASK_FINISHED", source="SOURCE_EXECUTOR")
    check("the data of an update", decode_data(finished.data) == b"desserts", finished)
    framework.until("a message", lambda: "here is worker" in framework.messages)
    running = framework.update("held", "TASK_RUNNING")
    framework.driver.sendFrameworkMessage({"value": "worker"}, running.agent_id, encode_data(b"you"))
    framework.until("an answer", lambda: "heard you" in framework.messages)
    check("states in order", framework.states("reverse") == ["TASK_RUNNING", "TASK_FINISHED"],
          framework.states("reverse"))


def commands(framework):
    framework.update("shell", "TASK_FINISHED", message="Command exited with status 0")
    failed = framework.update("argv", "TASK_FAILED", message="Command exited with status 3")
    check("why a command failed", failed.reason == "REASON_COMMAND_EXECUTOR_FAILED", failed)
    for name, end in (("shell", "TASK_FINISHED"), ("argv", "TASK_FAILED")):
        check("states in order", framework.states(name) == ["TASK_STARTING", "TASK_RUNNING", end],
              framework.states(name))


def reconcile(framework):
    answer = dict(source="SOURCE_MASTER", reason="REASON_RECONCILIATION")
    framework.driver.reconcileTasks([{"task_id": {"value": "held"}}, {"task_id": {"value": "nobody"}}])
    told = framework.update("held", "TASK_RUNNING", **answer)
    check("nothing to acknowledge", "uuid" not in told, told)
    framework.update("nobody", "TASK_LOST", **answer)
    framework.update("stays", "TASK_RUNNING", source="SOURCE_EXECUTOR")
    framework.driver.reconcileTasks([])
    framework.update("stays", "TASK_RUNNING", **answer)


def kill(framework):
    framework.driver.killTask({"value": "held"})
    framework.update("held", "TASK_KILLED", source="SOURCE_EXECUTOR")


def revive(framework):
    """Nothing comes while every offer is refused for an hour, until REVIVE lifts that."""
    offer = framework.take_offer()
    framework.driver.declineOffer([offer.id], {"refuse_seconds": 3600})
    framework.driver.suppressOffers()
    framework.driver.reviveOffers()
    again = framework.take_offer(lambda other: other.agent_id == offer.agent_id)
    check("a new offer", again.id != offer.id, again)
    framework.driver.declineOffer([again.id], {"refuse_seconds": 3600})


def fail_over(framework):
    framework.driver.stop(failover=True)
    framework.driver.join()
    # The driver has put the id into the framework's description.
    framework.connect()
    framework.until("registration with the same id",
                    lambda: "reregistered" in [name for name, _ in framework.connections])
    framework.driver.killTask({"value": "stays"})
    framework.update("stays", "TASK_KILLED", source="SOURCE_EXECUTOR")


def tear_down(framework):
    framework.driver.stop()
    framework.driver.join()
    completed = framework.document("/master/frameworks")["completed_frameworks"]
    mine = [other for other in completed if other["id"] == framework.id]
    check("the framework has ended", len(mine) == 1, completed)
    ends = {done["id"]: done["state"] for done in mine[0]["completed_tasks"]}
    check("its tasks", ends == {"reverse": "TASK_FINISHED", "held": "TASK_KILLED", "stays": "TASK_KILLED",
                                "shell": "TASK_FINISHED", "argv": "TASK_FAILED"}, ends)


if __name__ == "__main__":
    run(lambda: session(sys.argv[1]))
