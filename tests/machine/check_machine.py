#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""
check_machine.py: whole-machine power cuts, from outside; see README.md.

A machine is User-Mode Linux, a kernel that is a process: pulling its plug is
SIGKILL to its process group.  Inside it, machine_init is process 1.  Disks are
files of the host, on a tmpfs if there is room, and so is a folder in which the
machine leaves its acknowledgements.

    check_machine.py [--cuts N] [--states N] [--transactions N] [--seed N]
                     [--file-systems ext4,xfs,btrfs] [--jobs N] BUILD

The last line of stdout is "N machine cuts, N replayed states, 0 lost, 0
leaked", and the exit status is 0 if nothing was lost, found with holes,
leaked or refused.  Figures come in lines that begin with "# ".
"""
import argparse
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

KERNEL = "linux.uml"
MEMORY = "384M"
DISK_SIZE = 320 << 20      # sparse; xfs refuses less than 300 MiB
LOG_SIZE = 4 << 30         # sparse as well
ROOM_NEEDED = 1 << 30
SILENCE_MAX_S = 240        # a machine that says nothing for so long hangs
CUT_AFTER_S = (0.0, 1.5)   # from the first write on
MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}


class Failure(Exception):
    pass


class Machine:
    """One run of the kernel; lines that begin with "@ " come out of next_line()."""

    def __init__(self, build, folder, job, disks, **settings):
        init = os.path.join(build, "tests", "machine", "machine_init")
        arguments = [KERNEL, f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "hostfs=/",
                     "ro", f"init={init}", "con=null", "con0=null,fd:1", "ssl=null", "quiet",
                     "pty.legacy_count=0", f"MACHINE_BUILD={build}", f"MACHINE_FOLDER={folder}",
                     f"MACHINE_JOB={job}"]
        arguments += [f"ubd{n}={disk}" for n, disk in enumerate(disks)]
        arguments += [f"MACHINE_{name.upper()}={value}" for name, value in settings.items()]
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder}
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, cwd=folder,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env=environment, start_new_session=True)
        self.lines = queue.Queue()
        self.said = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode(errors="replace").strip())
        self.lines.put(None)

    def next_line(self):
        """The words of its next line to us; None: it is off."""
        while True:
            try:
                line = self.lines.get(timeout=SILENCE_MAX_S)
            except queue.Empty:
                raise Failure(f"nothing for {SILENCE_MAX_S} s:\n" + self.last_words()) from None
            if line is None:
                return None
            self.said.append(line)
            if line.startswith("@ "):
                return line[2:].split()

    def expect(self, word):
        words = self.next_line()
        if not words or words[0] != word:
            while words and words[0] != "ended":
                words = self.next_line()
            raise Failure(f"no '{word}':\n" + self.last_words())
        return words[1:]

    def last_words(self):
        return "\n".join("    " + line for line in self.said[-40:])

    def pull_the_plug(self):
        """SIGKILL to all of its processes, and waits until none is left to write anything."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        while True:
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.01)

    def wait_until_off(self):
        while self.next_line() is not None:
            pass
        self.pull_the_plug()


class Run:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.random = random.Random(options.seed)
        self.cuts = 0
        self.states = 0
        self.bad = {"lost": 0, "hole": 0, "leaked": 0, "refused": 0}

    def new_folder(self, name):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        return folder

    def new_disk(self, file_system, path):
        with open(path, "wb") as file:
            file.truncate(DISK_SIZE)
        subprocess.run(MKFS[file_system] + [path], check=True, stdout=subprocess.DEVNULL)

    # ---- the plug is pulled under load -------------------------------------------------
    def cut_often(self, file_system, count):
        """Cuts, each recovered by the machine that is cut next."""
        folder = self.new_folder(f"cut.{file_system}")
        disk = os.path.join(folder, "disk")
        self.new_disk(file_system, disk)
        start = time.monotonic()
        cached = commits = 0
        for number in range(count + 1):
            cache = number % 4 != 3
            machine = Machine(self.options.build, folder, "cut", [disk], fs=file_system,
                              cache=int(cache), seed=self.random.randrange(1, 1 << 31),
                              count=int(number < count))
            try:
                commits = self.one_cut(machine, number < count, commits)
            finally:
                machine.pull_the_plug()
            if number < count:
                self.cuts += 1
                cached += cache
            if commits is None:
                break
        print(f"# {file_system}: {count} cuts, {cached} of them with a volatile cache, "
              f"{commits} commits were acknowledged, {time.monotonic() - start:.0f} s", flush=True)
        shutil.rmtree(folder)

    def one_cut(self, machine, then_cut, commits):
        """How many commits the store holds before the load; None: it is not sound."""
        verdict, *found = machine.expect("verified")
        if verdict != "sound":
            machine.wait_until_off()
            print(f"after a cut: {verdict}:\n" + machine.last_words())
            self.bad[verdict] += 1
            return None
        if then_cut:
            machine.expect("loading")
            time.sleep(self.random.uniform(*CUT_AFTER_S))
            if machine.process.poll() is not None:
                raise Failure("the load ended by itself:\n" + machine.last_words())
        return sum(map(int, found))

    # ---- every flush is replayed ----------------------------------------------------------
    def replay_all(self, file_system, states):
        folder = self.new_folder(f"replay.{file_system}")
        disk = os.path.join(folder, "disk")
        log = os.path.join(folder, "log")
        bases = [os.path.join(folder, f"base.{part}") for part in range(self.options.jobs)]
        start = time.monotonic()
        self.new_disk(file_system, disk)
        for base in bases:
            subprocess.run(["cp", "--sparse=always", disk, base], check=True)
        with open(log, "wb") as file:
            file.truncate(LOG_SIZE)
        machine = Machine(self.options.build, folder, "record", [disk, log], fs=file_system,
                          count=self.options.transactions)
        machine.expect("recorded")
        machine.wait_until_off()
        machines = []
        for part, base in enumerate(bases):
            inner = self.new_folder(f"replay.{file_system}.{part}")
            machines.append(Machine(self.options.build, inner, "replay", [base, log],
                                    fs=file_system, count=states, part=part, parts=len(bases),
                                    seed=self.options.seed))
        flushes = 0
        sums = [0] * 5
        for machine in machines:
            flushes, *figures = map(int, machine.expect("replayed"))
            machine.wait_until_off()
            sums = [a + b for a, b in zip(sums, figures)]
            if any(figures[1:]):
                print("\n".join(line for line in machine.said if not line.startswith("@ ")))
        self.states += sums[0]
        for name, figure in zip(self.bad, sums[1:]):
            self.bad[name] += figure
        print(f"# {file_system}: {flushes} flush points, {sums[0]} states, {sums[1]} lost, "
              f"{sums[2]} holes, {sums[3]} leaked, {sums[4]} refused, "
              f"{time.monotonic() - start:.0f} s", flush=True)
        shutil.rmtree(folder)

    # ---- all of it ---------------------------------------------------------------------
    def run(self):
        usable = [fs for fs in self.options.file_systems.split(",") if self.can_use(fs)]
        if not usable:
            raise Failure("no file system to test on")
        share = len(usable)
        for number, file_system in enumerate(usable):
            cuts = (self.options.cuts + share - 1 - number) // share
            if cuts:
                self.cut_often(file_system, cuts)
            if self.options.states:
                self.replay_all(file_system, self.options.states // share)

    @staticmethod
    def can_use(file_system):
        if file_system not in MKFS:
            raise Failure(f"{file_system}: unknown; there are {', '.join(MKFS)}")
        if not shutil.which(MKFS[file_system][0]):
            print(f"SKIP {file_system}: no {MKFS[file_system][0]}")
            return False
        config = subprocess.run([KERNEL, "--showconfig"], stdout=subprocess.PIPE,
                                check=True).stdout.decode()
        if f"CONFIG_{file_system.upper()}_FS=y" not in config:
            print(f"SKIP {file_system}: not in the kernel of {KERNEL}")
            return False
        return True


def scratch_place():
    """/dev/shm if there is room: it is the disks' write-back that takes the time."""
    try:
        room = os.statvfs("/dev/shm")
        if room.f_bavail * room.f_frsize >= ROOM_NEEDED and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    except OSError:
        pass
    return None


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--states", type=int, default=600)
    parser.add_argument("--transactions", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--file-systems", default="ext4,xfs,btrfs")
    parser.add_argument("build")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    # mkfs lies in an administrator's path
    os.environ["PATH"] += ":/usr/sbin:/sbin"

    folder = tempfile.mkdtemp(prefix="bts-machine.", dir=scratch_place())
    run = Run(options, folder)
    failed = False
    try:
        run.run()
    except Failure as failure:
        print(f"FAIL {failure}")
        failed = True
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bad = run.bad
    if bad["hole"] or bad["refused"]:
        print(f"{bad['hole']} with holes, {bad['refused']} refused")
    print(f"{run.cuts} machine cuts, {run.states} replayed states, {bad['lost']} lost, "
          f"{bad['leaked']} leaked")
    return 1 if failed or any(bad.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
