"""Tasks that must live through whatever happens to their agent.

endure.py HOST:PORT --agent NAME:VALUE --each N --ledger FILE --gate FILE

Starts N command tasks and N tasks on an executor of its own, with checkpointing, on the agent that has
the attribute. Prints "running" once all of them run; from then on the caller may kill the agent. Each
task writes its name to the ledger when it starts, and ends when the gate exists: those of the executor at
once, command tasks one after the other, a fifth of a second apart.
"""
import argparse

from framework import Framework, amount, check, executor, order, run, task


def endure(args):
    framework = Framework(args.master, "pymesos endure", failover_timeout=60, checkpoint=True)
    framework.connect()
    framework.until("registration", lambda: framework.connections)
    offer = framework.take_offer(lambda offer: has(offer, args.agent) and amount(offer, "cpus") >= args.each * 0.2)
    own = ["own-%d" % n for n in range(args.each)]
    commands = ["command-%d" % n for n in range(args.each)]
    worker = executor("worker")
    tasks = [task(offer, name, executor=worker,
                  data=order(do="gate", path=args.gate, ledger=args.ledger)) for name in own]
    for number, name in enumerate(commands):
        tasks.append(task(offer, name))
        tasks[-1].command.value = "echo %s >> '%s'; until [ -e '%s' ]; do sleep 0.05; done; sleep %.1f" % (
            name, args.ledger, args.gate, number / 5)
    framework.driver.launchTasks([offer.id], tasks, {"refuse_seconds": 60})
    for name in own + commands:
        framework.update(name, "TASK_RUNNING")
    print("running", flush=True)
    for name in own + commands:
        framework.update(name, "TASK_FINISHED", source="SOURCE_EXECUTOR")
    for name in own + commands:
        ends = {u.uuid for u in framework.updates if u.task_id.value == name and u.state not in
                ("TASK_STARTING", "TASK_RUNNING")}
        check("one end of %s" % name, len(ends) == 1, framework.states(name))
    with open(args.ledger) as ledger:
        started = sorted(ledger.read().split())
    check("each task started once", started == sorted(own + commands), started)
    framework.driver.stop()
    framework.driver.join()
    return "%d tasks ended as they should" % len(started)


def has(offer, attribute):
    name, _, value = attribute.partition(":")
    return any(a.name == name and a.text.value == value for a in offer.get("attributes", []))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("master")
    parser.add_argument("--agent", required=True)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--gate", required=True)
    arguments = parser.parse_args()
    run(lambda: endure(arguments))
