"""A real Slurm of two nodes on the loopback interface, in one folder and without root's services.

Each daemon is a child process in the foreground. Each node has two CPUs and two make-believe GPUs.
There is no accounting, no cgroup and no systemd. Debian's packages ``slurm-wlm`` and ``munge``
bring all that is needed.
"""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NODES, CPUS, GPUS = 2, 2, 2
PROGRAMS = ("sbatch", "srun", "squeue", "slurmctld", "slurmd", "munged")
_SBIN = "/usr/sbin:/usr/local/sbin"
_CONF = """\
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=0
KillWait=10
MessageTimeout=5
GresTypes=gpu
PropagateResourceLimits=NONE
{nodes}
PartitionName=debug Nodes=ALL Default=YES MaxTime=60 State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=60 State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str | None:
    """Why there can be no Slurm here, as the reason of a skipped test; None where there can."""
    path = f"{os.environ.get('PATH', '')}:{_SBIN}"
    absent = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    return f"Slurm is not installed: there is no {absent[0]}" if absent else None


class PrivateSlurm:
    """A Slurm that is at work between :meth:`start` and :meth:`end`.

    Args:
        folder: an empty folder with a short path, which every user may enter.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "GLOO_SOCKET_IFNAME": "lo",
            "PATH": f"{os.environ['PATH']}:{_SBIN}",
        }
        self._requeued: dict[str, float] = {}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Return when both nodes are idle.

        Raises:
            RuntimeError: a daemon has ended, or twenty seconds were not enough.
        """
        for part in ("state", *(f"spool/node{n + 1}" for n in range(NODES))):
            (self.folder / part).mkdir(parents=True)
        self._write_configuration()
        self._start_munge()
        self.start_controller(anew=True)
        for number in range(NODES):
            name = f"node{number + 1}"
            self._start(name, "slurmd", "-D", "-N", name, "-f", self.env["SLURM_CONF"])
        self._await(lambda: self.run("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2")

    def start_controller(self, *, anew: bool = False) -> None:
        """Start slurmctld, with an empty queue or with that of before."""
        fresh = ["-c"] if anew else []
        self._start("slurmctld", "slurmctld", "-D", *fresh, "-f", self.env["SLURM_CONF"])

    def stop_controller(self) -> None:
        """End slurmctld: jobs go on, and nobody answers."""
        self._stop("slurmctld")

    def run(self, *command: str) -> str:
        """What a program prints in this Slurm; a failure prints nothing."""
        return subprocess.run(
            command, env={**os.environ, **self.env}, capture_output=True, text=True, check=False
        ).stdout

    def squeue(self, form: str = "%i %T %r") -> list[str]:
        """A line for each job that waits or works."""
        return self.run("squeue", "-h", "-o", form).splitlines()

    def hurry(self) -> None:
        """Let requeued jobs begin ten seconds after they were seen first; call it again and again.

        Slurm lets each wait for two minutes. Too early, the credential of the job that has just
        ended would be that of the new one, and is revoked.
        """
        waiting = {line.split()[0] for line in self.squeue("%i %r") if "BeginTime" in line}
        self._requeued = {job: self._requeued.get(job, time.monotonic()) for job in waiting}
        for job, since in self._requeued.items():
            if time.monotonic() - since > 10:
                self.run("scontrol", "update", f"jobid={job}", "starttime=now")

    def clear(self) -> None:
        """Cancel all jobs, wait for their end, and let every node work again."""
        if "slurmctld" not in self._daemons:
            self.start_controller()
        with contextlib.suppress(RuntimeError):
            self._await(lambda: "up" in self.run("sinfo", "-h", "-o", "%a"))
        self.run("scancel", "-u", getpass.getuser())
        self.run("scontrol", "update", "nodename=node[1-2]", "state=resume")
        self._await(lambda: not self.squeue())

    def end(self) -> None:
        """Cancel all jobs and end all daemons."""
        with contextlib.suppress(RuntimeError):
            self.clear()
        for name in reversed(list(self._daemons)):
            self._stop(name)

    def _write_configuration(self) -> None:
        host = socket.gethostname().partition(".")[0]
        port, *ports = _free_ports(1 + NODES)
        nodes = "\n".join(
            f"NodeName=node{number + 1} NodeHostname={host} NodeAddr=127.0.0.1 Port={port_} "
            f"CPUs={CPUS} Boards=1 SocketsPerBoard=1 CoresPerSocket={CPUS} ThreadsPerCore=1 "
            f"RealMemory=8000 Gres=gpu:{GPUS} State=UNKNOWN"
            for number, port_ in enumerate(ports)
        )
        fields = {"host": host, "user": getpass.getuser(), "folder": self.folder, "port": port}
        text = _CONF.format(**fields, nodes=nodes)
        (self.folder / "slurm.conf").write_text(text, encoding="utf-8")
        # Only handed out, never opened: any device file serves.
        gres = [f"Name=gpu File={name}" for name in ("/dev/null", "/dev/zero")[:GPUS]]
        (self.folder / "gres.conf").write_text("\n".join(gres) + "\n", encoding="utf-8")

    def _start_munge(self) -> None:
        munge = self.folder / "munge"
        munge.mkdir(mode=0o711)
        munge.chmod(0o711)
        key = munge / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        files = {"key-file": key, "socket": munge / "socket", "pid-file": munge / "pid"}
        files |= {"seed-file": munge / "seed", "log-file": munge / "log"}
        options = [f"--{name}={path}" for name, path in files.items()]
        self._start("munged", "munged", "-F", "--force", *options)
        self._await((munge / "socket").exists)

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                command,
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _stop(self, name: str) -> None:
        daemon = self._daemons.pop(name)
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _await(self, ready: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            dead = [name for name, daemon in self._daemons.items() if daemon.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise RuntimeError(f"Slurm is not ready; ended: {dead}; see {self.folder}/*.log")
            time.sleep(0.1)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def private_slurm(folder: Path) -> Iterator[PrivateSlurm]:
    """A Slurm at work in an empty folder."""
    slurm = PrivateSlurm(folder)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.end()
