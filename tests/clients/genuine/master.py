# Python 2.7. A genuine Apache Mesos 1.11 master, until standard input ends.
#
# LD_LIBRARY_PATH=DEST/lib PYTHONPATH=DEST/site python2.7 master.py WORK_DIR
#
# The driver of mesos.scheduler can start a cluster inside its own process when its master is called
# "local"; this one has no agents. Prints "master listening on HOST:PORT" once it is there.
from __future__ import print_function
import ctypes
import os
import sys

work_dir = sys.argv[1]
os.environ.pop("LIBPROCESS_PORT", None)  # any free one
os.environ.update(
    LIBPROCESS_IP="127.0.0.1", MESOS_WORK_DIR=work_dir, MESOS_RUNTIME_DIR=os.path.join(work_dir, "run"),
    MESOS_LAUNCHER="posix", MESOS_SYSTEMD_ENABLE_SUPPORT="false", MESOS_HOSTNAME="127.0.0.1",
    MESOS_NUM_SLAVES="0", GLOG_logtostderr="1")

import mesos.interface
from mesos.interface import mesos_pb2
from mesos.scheduler import MesosSchedulerDriver, _scheduler


class OptionalString(ctypes.Structure):
    """stout's Option<std::string> as libstdc++ lays it out; the text has to fit into the string itself."""
    _fields_ = [("is_none", ctypes.c_int), ("data", ctypes.c_void_p), ("size", ctypes.c_size_t),
                ("inline", ctypes.c_char * 16)]

    @classmethod
    def of(cls, text):
        option = cls(is_none=0, size=len(text), inline=text)
        option.data = ctypes.addressof(option) + cls.inline.offset
        return option

    @classmethod
    def none(cls):
        return cls(is_none=1)


def answer_for_the_master():
    """Gives requests that name no actor, such as /api/v1/scheduler, to the master, as a master's own program
    does when it calls process::initialize(delegate, readwrite realm, readonly realm)."""
    initialize = ctypes.CDLL(_scheduler.__file__)[
        "_ZN7process10initializeERK6OptionINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEES9_S9_"]
    arguments = [OptionalString.of(b"master"), OptionalString.none(), OptionalString.none()]
    initialize(*[ctypes.byref(argument) for argument in arguments])
    return arguments  # which must live on


class Starter(mesos.interface.Scheduler):
    def registered(self, driver, framework_id, master):
        driver.stop()
        print("master listening on 127.0.0.1:%d" % master.port)
        sys.stdout.flush()

    def error(self, driver, message):
        print("error:", message, file=sys.stderr)
        os._exit(1)


kept = answer_for_the_master()
framework = mesos_pb2.FrameworkInfo(user="root", name="starter of the master")
driver = MesosSchedulerDriver(Starter(), framework, "local")
driver.start()
sys.stdin.read()
os._exit(0)
