"""A real Slurm cluster of one node on this machine, for the tests of `--cluster slurm`.

    python tests/slurm.py start FOLDER     prints the environment to use it: SLURM_CONF=...
    python tests/slurm.py stop FOLDER

It needs Debian's packages slurm-wlm and munge, and root, as slurmd does. Everything that it writes
is under FOLDER; nothing of another cluster on the machine is touched.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CONFIG = """
ClusterName=skipway
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
JobRequeue=1
ReturnToService=2
MpiDefault=none
KillWait=5
MinJobAge=600
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


def start(folder: Path) -> dict[str, str]:
    """Start munge, the controller and the node, and wait until the node is idle."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    os.chmod(folder, 0o755)  # munge refuses a socket below a folder that others may write
    config = folder / "slurm.conf"
    config.write_text(
        CONFIG.format(
            host=socket.gethostname().split(".")[0], folder=folder, controller=_port(),
            daemon=_port(), cores=os.cpu_count(), memory=_megabytes() * 9 // 10,
        )
    )  # fmt: skip
    _munge(folder)
    environment = {"SLURM_CONF": str(config)}
    for program in ("slurmctld", "slurmd"):
        subprocess.run([_path(program), "-f", str(config)], check=True, cwd=folder)
    _wait_for_node(folder, environment)
    return environment


def stop(folder: Path) -> None:
    """End the three daemons."""
    for name in ("slurmd", "slurmctld", "munged"):
        file = folder / f"{name}.pid"
        if file.exists():
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)
            file.unlink(missing_ok=True)


def installed() -> bool:
    """Tell whether the programs are here, and whether they may be started."""
    return all(_path(name) for name in ("munged", "slurmctld", "slurmd")) and os.geteuid() == 0


def _path(program: str) -> str:
    for place in ("/usr/sbin", "/usr/bin"):
        if os.access(f"{place}/{program}", os.X_OK):
            return f"{place}/{program}"
    return ""


def _munge(folder: Path) -> None:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    options = {
        "key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munged.pid",
        "log-file": folder / "munged.log", "seed-file": folder / "munged.seed",
    }  # fmt: skip
    words = [f"--{name}={value}" for name, value in options.items()]
    subprocess.run([_path("munged"), "--force", *words], check=True)


def _wait_for_node(folder: Path, environment: dict[str, str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        asked = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], capture_output=True, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip
        if asked.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("slurm*.log"))
    raise RuntimeError(f"the node did not come up: {asked.stdout} {asked.stderr}\n{logs}")


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _megabytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


if __name__ == "__main__":
    command, place = sys.argv[1], Path(sys.argv[2]).resolve()
    if command == "start":
        print("\n".join(f"{key}={value}" for key, value in start(place).items()))
    else:
        stop(place)
