# SPDX-License-Identifier: MIT
"""
machine: a machine whose plug can be pulled.

It is User-Mode Linux: a kernel that is a process.  Its root directory is the
host's, read-only; its disks are files of the host; process 1 is machine_init.
Pulling the plug is SIGKILL to all of its host processes: what the kernel had
in its caches is gone, what it had written to a disk is there.

No test lives here; see check_machine.py.
"""
import os
import queue
import shutil
import signal
import subprocess
import threading
import time

KERNEL = "linux.uml"
MEMORY = "384M"
DISK_SIZE = 320 << 20      # sparse; xfs refuses less than 300 MiB
SILENCE_MAX_S = 240        # a machine that says nothing for so long hangs
LINES_KEPT = 60
MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}


class Failure(Exception):
    """The machine did not do what it was started for."""


class Machine:
    """
    One run of the kernel.  `programs` is the build folder, `daemon` the folder
    that holds btstored, `folder` is the machine's own on the host, `disks` maps
    numbers of ubd ("1r": read-only) to files; the rest is for machine_init.
    """

    def __init__(self, programs, daemon, folder, job, disks, **settings):
        init = os.path.join(programs, "tests", "machine", "machine_init")
        arguments = [KERNEL, f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "hostfs=/",
                     "ro", f"init={init}", "con=null", "con0=null,fd:1", "ssl=null", "quiet",
                     "pty.legacy_count=0",  # 256 pairs of them take longer than all the rest
                     f"MACHINE_BUILD={daemon}", f"MACHINE_FOLDER={folder}", f"MACHINE_JOB={job}"]
        arguments += [f"ubd{name}={disk}" for name, disk in disks.items()]
        arguments += [f"MACHINE_{name.upper()}={value}" for name, value in settings.items()]
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder}
        self.lines = queue.Queue()
        self.said = []
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, cwd=folder,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env=environment, start_new_session=True)
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self.pull_the_plug()

    def _read(self):
        with self.process.stdout as pipe:
            for line in pipe:
                self.lines.put(line.decode(errors="replace").strip())
        self.lines.put(None)

    def next_line(self):
        """The words of its next line to us, which begins with "@ "; None: it is off."""
        while True:
            try:
                line = self.lines.get(timeout=SILENCE_MAX_S)
            except queue.Empty:
                raise Failure(f"nothing for {SILENCE_MAX_S} s:\n" + self.words()) from None
            if line is None:
                return None
            self.said.append(line)
            if line.startswith("@ "):
                return line[2:].split()

    def expect(self, word):
        """What follows `word` in its next line to us."""
        words = self.next_line()
        if not words or words[0] != word:
            while words and words[0] != "ended":
                words = self.next_line()
            raise Failure(f"no '{word}':\n" + self.words())
        return words[1:]

    def words(self):
        """The last that it said, but for what a daemon says in any case."""
        usual = (": serving on ", ": ending on signal ", ": nothing to replay", "SELinux: ")
        told = [line for line in self.said if not any(part in line for part in usual)]
        return "\n".join("    " + line for line in told[-LINES_KEPT:])

    def pull_the_plug(self):
        """Kills it, and waits until none of its processes is left to write anything."""
        group = self.process.pid
        try:
            os.killpg(group, signal.SIGKILL)
            self.process.wait()
            while True:
                os.killpg(group, signal.SIGKILL)
                time.sleep(0.01)
        except ProcessLookupError:
            self.process.wait()

    def wait_until_off(self):
        while self.next_line() is not None:
            pass
        self.pull_the_plug()


def new_disk(file_system, path):
    with open(path, "wb") as file:
        file.truncate(DISK_SIZE)
    subprocess.run(MKFS[file_system] + [path], check=True, stdout=subprocess.DEVNULL)


def why_not(file_system):
    """Why this machine cannot have such a file system; "": it can."""
    if not shutil.which(MKFS[file_system][0]):
        return f"no {MKFS[file_system][0]}"
    config = subprocess.run([KERNEL, "--showconfig"], stdout=subprocess.PIPE, check=True).stdout
    if f"CONFIG_{file_system.upper()}_FS=y" not in config.decode():
        return f"not in the kernel of {KERNEL}"
    return ""
