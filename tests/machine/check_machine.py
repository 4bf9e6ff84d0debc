#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""
check_machine.py [OPTION]... BUILD: whole-machine power cuts; see README.md.

  --cuts N            machines killed under load, over all file systems (50)
  --states N          about so many states replayed, over all file systems (450)
  --transactions N    of each writer, in the log that is replayed (10)
  --file-systems A,B  of ext4, xfs and btrfs (all)
  --seed N            of all that is random (1)
  --jobs N            machines at a time (one a processor)
  --daemon FOLDER     takes btstored from there (BUILD)
  --verbose           shows what the machines say

Figures come in lines "# ...".  The last line of stdout is "N machine cuts, N
replayed states, N lost, N leaked"; the exit status is 0 if all were sound.
"""
import argparse
import concurrent.futures
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from machine import MKFS, Failure, Machine, new_disk, why_not

LOG_SIZE = 4 << 30         # sparse
ROOM_NEEDED = 2 << 30
CUT_AFTER_S = (0.0, 1.5)   # from the first write on
CHAIN_MAX = 9              # cuts of one store, one after the other
PLAIN_EVERY = 4            # such a cut has no volatile cache
BAD = ("lost", "hole", "leaked", "refused")


class Figures:
    """What was found on one file system; its methods may be called by several threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.cuts = self.cached = self.commits = 0
        self.flushes = self.states = 0
        self.cut_bad = dict.fromkeys(BAD, 0)
        self.state_bad = dict.fromkeys(BAD, 0)

    def add_cut(self, cached):
        with self.lock:
            self.cuts += 1
            self.cached += cached

    def add_verified(self, verdict, commits):
        with self.lock:
            self.commits += commits
            if verdict != "sound":
                self.cut_bad[verdict] += 1

    def add_states(self, flushes, states, *bad):
        with self.lock:
            self.flushes = flushes
            self.states += states
            for name, count in zip(BAD, bad):
                self.state_bad[name] += count


def in_words(bad):
    return (f"{bad['lost']} lost, {bad['hole']} holes, {bad['leaked']} leaked, "
            f"{bad['refused']} refused")


class Run:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.figures = {}

    def new_folder(self, *names):
        folder = os.path.join(self.folder, "-".join(map(str, names)))
        os.makedirs(folder)
        return folder

    def start(self, folder, job, disks, **settings):
        return Machine(self.options.build, self.options.daemon, folder, job, disks, **settings)

    def tell(self, machine, unsound):
        if unsound or self.options.verbose:
            print(machine.words(), flush=True)

    # ---- the plug is pulled under load ---------------------------------------------------
    def cut_chain(self, file_system, number, count):
        """Cuts one store again and again; each cut is verified by the machine that follows."""
        folder = self.new_folder("cut", file_system, number)
        disk = os.path.join(folder, "disk")
        chance = random.Random(f"{self.options.seed} {file_system} {number}")
        figures = self.figures[file_system]
        before = 0
        new_disk(file_system, disk)
        for cut in range(count + 1):
            cached = (number + cut) % PLAIN_EVERY != 0
            with self.start(folder, "cut", {"0": disk}, fs=file_system, cache=int(cached),
                            seed=chance.randrange(1, 1 << 31),
                            count=int(cut < count)) as machine:
                verdict, *found = machine.expect("verified")
                commits = sum(map(int, found))
                figures.add_verified(verdict, commits - before)
                before = commits
                if verdict != "sound":
                    machine.wait_until_off()
                self.tell(machine, verdict != "sound")
                if verdict != "sound":
                    break
                if cut < count:
                    machine.expect("loading")
                    time.sleep(chance.uniform(*CUT_AFTER_S))
                    if machine.process.poll() is not None:
                        raise Failure("the load ended by itself:\n" + machine.words())
                    figures.add_cut(cached)
        shutil.rmtree(folder)

    # ---- every flush is replayed ----------------------------------------------------------
    def record(self, file_system):
        """Leaves the file system as it was before the load, and the log of all that followed."""
        folder = self.new_folder("record", file_system)
        disk, empty, log = (os.path.join(folder, name) for name in ("disk", "empty", "log"))
        new_disk(file_system, disk)
        subprocess.run(["cp", "--sparse=always", disk, empty], check=True)
        with open(log, "wb") as file:
            file.truncate(LOG_SIZE)
        with self.start(folder, "record", {"0": disk, "1": log}, fs=file_system,
                        count=self.options.transactions) as machine:
            machine.expect("recorded")
            machine.wait_until_off()
        os.unlink(disk)
        return empty, log

    def replay_part(self, file_system, part, recorded):
        folder = self.new_folder("replay", file_system, part)
        base = os.path.join(folder, "base")
        subprocess.run(["cp", "--sparse=always", recorded[0], base], check=True)
        with self.start(folder, "replay", {"0": base, "1r": recorded[1]}, fs=file_system,
                        count=self.options.states // len(self.figures), part=part,
                        parts=self.options.jobs, seed=self.options.seed) as machine:
            figures = [int(word) for word in machine.expect("replayed")]
            machine.wait_until_off()
            self.figures[file_system].add_states(*figures)
            self.tell(machine, any(figures[2:]))
        shutil.rmtree(folder)

    # ---- all of it ------------------------------------------------------------------------
    def chains(self):
        """(file system, number, cuts), alternating between the file systems."""
        left = {}
        share, more = divmod(self.options.cuts, len(self.figures))
        for index, name in enumerate(self.figures):
            left[name] = share + (index < more)
        number = 0
        while any(left.values()):
            for name in self.figures:
                if left[name]:
                    count = min(left[name], CHAIN_MAX)
                    yield name, number, count
                    left[name] -= count
            number += 1

    def run(self, file_systems):
        self.figures = {name: Figures() for name in file_systems}
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            cuts = [pool.submit(self.cut_chain, *chain) for chain in self.chains()]
            records = {}
            if self.options.states:
                records = {name: pool.submit(self.record, name) for name in file_systems}
            self.wait(cuts)
            for name, figures in self.figures.items():
                if figures.cuts:
                    print(f"# {name}: {figures.cuts} cuts, {figures.cached} of them with a "
                          f"volatile cache, {figures.commits} commits verified, "
                          f"{in_words(figures.cut_bad)}")
            print(f"# cut and recorded in {time.monotonic() - start:.0f} s", flush=True)
            start = time.monotonic()
            self.wait([pool.submit(self.replay_part, name, part, record.result())
                       for name, record in records.items()
                       for part in range(self.options.jobs)])
        for name, figures in self.figures.items():
            if figures.states:
                print(f"# {name}: {figures.flushes} flush points, {figures.states} states, "
                      f"{in_words(figures.state_bad)}")
        print(f"# replayed in {time.monotonic() - start:.0f} s", flush=True)

    @staticmethod
    def wait(tasks):
        """All of them, or the first failure; then those that have not begun are given up."""
        try:
            for task in concurrent.futures.as_completed(tasks):
                task.result()
        except Exception:
            for task in tasks:
                task.cancel()
            raise

    def sum_up(self):
        """The last line; true if everything was sound and something was done."""
        every = list(self.figures.values())
        bad = {name: sum(f.cut_bad[name] + f.state_bad[name] for f in every) for name in BAD}
        cuts = sum(f.cuts for f in every)
        states = sum(f.states for f in every)
        if bad["hole"] or bad["refused"]:
            print(f"{bad['hole']} with holes, {bad['refused']} refused")
        print(f"{cuts} machine cuts, {states} replayed states, {bad['lost']} lost, "
              f"{bad['leaked']} leaked")
        return not any(bad.values()) and cuts + states > 0


@contextlib.contextmanager
def scratch_folder():
    """On /dev/shm if there is room: disks that are written back to a disk take their time."""
    place = None
    with contextlib.suppress(OSError):
        room = os.statvfs("/dev/shm")
        if room.f_bavail * room.f_frsize >= ROOM_NEEDED and os.access("/dev/shm", os.W_OK):
            place = "/dev/shm"
    folder = tempfile.mkdtemp(prefix="bts-machine.", dir=place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--states", type=int, default=450)
    parser.add_argument("--transactions", type=int, default=10)
    parser.add_argument("--file-systems", default=",".join(MKFS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--daemon")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("build")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.daemon = os.path.abspath(options.daemon or options.build)
    options.file_systems = options.file_systems.split(",")
    for name in options.file_systems:
        if name not in MKFS:
            parser.error(f"{name}: there are {', '.join(MKFS)}")
    return options


def main():
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # mkfs
    options = parse()
    usable = []
    for name in options.file_systems:
        reason = why_not(name)
        if reason:
            print(f"SKIP {name}: {reason}")
        else:
            usable.append(name)
    with scratch_folder() as folder:
        run = Run(options, folder)
        failed = not usable
        try:
            if usable:
                run.run(usable)
        except Failure as failure:
            print(f"FAIL {failure}")
            failed = True
        sound = run.sum_up()
    return 0 if sound and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
