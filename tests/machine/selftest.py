#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""
selftest.py BUILD [NAME...]: proves that check_machine.py can fail.

Each patch in seeded/ plants one bug into a copy of the source.  The daemon
that is built from it is put in the machine, and the run that the patch names
must fail and say what the patch says it must.

The last line is "N seeded bugs, N found"; the exit status is 0 if all were.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
LEFT_OUT = shutil.ignore_patterns(".git", "build", "__pycache__", "*.o", "*.lo", ".libs")
TIMEOUT_S = 1200
SHOWN_MAX = 4


def header(path):
    with open(path, encoding="utf-8") as file:
        return dict(re.findall(r"^(Bug|Row|Test|Says): (.*)$", file.read(), re.M))


def run_quietly(arguments, **settings):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, timeout=TIMEOUT_S, **settings)
    return done.returncode, done.stdout


def must_run(arguments, folder):
    status, output = run_quietly(arguments, cwd=folder)
    if status != 0:
        sys.exit(f"{output}\n{' '.join(arguments)}: exit status {status}")


def build_patched(patch, folder):
    """The folder of a btstored with that bug."""
    source = os.path.join(folder, "source")
    build = os.path.join(folder, "build")
    shutil.copytree(SOURCE, source, ignore=LEFT_OUT, symlinks=True)
    must_run(["patch", "-p1", "--quiet", "--input", patch], source)
    os.mkdir(build)
    must_run([os.path.join(source, "configure"), "-q"], build)
    must_run(["make", "-s", "btstored"], build)
    return build


def finds(patch, build):
    """Whether the run that the patch names fails, and as it says."""
    told = header(patch)
    program, *arguments = told["Test"].split()
    with tempfile.TemporaryDirectory(prefix="bts-seeded.") as folder:
        daemon = build_patched(patch, folder)
        status, output = run_quietly([os.path.join(SOURCE, program), *arguments,
                                      "--daemon", daemon, build])
    matching = [line.strip() for line in output.splitlines() if re.search(told["Says"], line)]
    found = status == 1 and bool(matching)
    print(f"# {os.path.basename(patch)}: {told['Bug']}: {'found' if found else 'NOT FOUND'}")
    for line in matching[:SHOWN_MAX] if found else output.splitlines()[-60:]:
        print(f"#     {line}")
    for line in output.splitlines()[-1:] if found else []:
        print(f"#     {line}", flush=True)
    return found


def main():
    build, *names = sys.argv[1:] or sys.exit(__doc__)
    folder = os.path.join(HERE, "seeded")
    patches = [os.path.join(folder, name) for name in sorted(os.listdir(folder))
               if name.endswith(".patch") and (not names or name[:-6] in names)]
    found = sum(finds(patch, os.path.abspath(build)) for patch in patches)
    print(f"{len(patches)} seeded bugs, {found} found")
    return 0 if patches and found == len(patches) else 1


if __name__ == "__main__":
    sys.exit(main())
