"""`serve` and `worker` run as one user: neither may be an open book to the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"  # which every user may run
# Drops its rights itself: `Popen(user=…)` forks this process, where gRPC's threads of other tests break the child now and then.
AS_NOBODY = """import os, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.execv(sys.argv[1], sys.argv[1:])"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_DUMPABLE is Linux's")


@pytest.mark.parametrize("role", ["serve", "worker"])
def test_both_processes_close_themselves_before_they_read_their_configuration(role: str, tmp_path: Path) -> None:
    """Asked of the kernel from inside, where the command would go on to open the configuration."""
    program = f"""
import ctypes, resource
from pathlib import Path
from gateway.cli import serve as commands
def loaded(_directory):
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))  # 3: PR_GET_DUMPABLE
    raise SystemExit
commands.loaded = loaded
commands.{role}(Path({str(tmp_path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["0", "0", "0"], done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start two processes of another user")
@pytest.mark.parametrize("closed", [True, False])
def test_a_neighbour_of_the_same_user_reads_neither_environment_nor_files(closed: bool) -> None:
    """With the control that must fail to hide: without the call the neighbour reads the passphrase."""
    source = (ROOT / "gateway" / "shielding.py").read_text(encoding="utf-8")  # run as text: nobody may read the checkout
    call = "close_to_neighbours()" if closed else ""
    program = f"{source}\n{call}\nprint('up', flush=True)\nsys.stdin.read()"
    if not Path(PYTHON).exists():
        pytest.skip(f"{PYTHON} is needed")
    with subprocess.Popen(
        [PYTHON, "-c", AS_NOBODY, PYTHON, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env={"PASSPHRASE": "hunter2"},
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"up\n"
        look = f"cat /proc/{worker.pid}/environ; ls -L /proc/{worker.pid}/root"
        command = [PYTHON, "-c", AS_NOBODY, "/bin/sh", "-c", look]
        seen = subprocess.run(command, cwd="/", capture_output=True, check=False)
        worker.communicate(b"")
    assert (b"hunter2" in seen.stdout) is not closed
    assert (b"etc" in seen.stdout) is not closed
