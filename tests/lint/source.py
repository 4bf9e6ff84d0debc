# SPDX-License-Identifier: MIT
"""What the lints share: the tree's files, C without its comments, exceptions."""
import os
import re
import sys

ROOT = os.path.abspath(os.environ.get("BTS_SRCDIR")
                       or os.path.join(os.path.dirname(__file__), "..", ".."))
HERE = os.path.join(ROOT, "tests", "lint")

# The folders that hold our own text; nothing that a build makes lies there,
# unless somebody builds inside the source tree.
FOLDERS = ("include", "src", "daemon", "cli", "tests", "bench", "doc", "man", "dist")


def files(*suffixes, folders=FOLDERS):
    """Paths under the tree's root that end in one of the suffixes, sorted."""
    found = []
    for folder in folders:
        for place, inner, names in os.walk(os.path.join(ROOT, folder)):
            inner[:] = [name for name in inner if not name.startswith((".", "__"))]
            for name in names:
                if name.endswith(suffixes):
                    found.append(os.path.relpath(os.path.join(place, name), ROOT))
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


_NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code(path):
    """C source with comments and literals blanked; lines keep their numbers."""
    def blank(match):
        text = match.group()
        mark = text[0] if text[0] in "\"'" else " "
        return mark + "\n" * text.count("\n") + mark
    # Includes name files in quotes: keep those lines as they are.
    return "\n".join(_keep_includes(read(path), _NOISE.sub(blank, read(path))))


def _keep_includes(original, blanked):
    for before, after in zip(original.split("\n"), blanked.split("\n")):
        yield before if re.match(r'\s*#\s*include\s*"', after) else after


class Exceptions:
    """
    A file of allowed exceptions beside the lint, one a line:

        PATH WHAT[,WHAT...] reason

    WHAT may be `*`.  An exception without a reason, or that nothing needs any
    more, is a finding itself.
    """

    def __init__(self, name):
        self.path = "tests/lint/" + name
        self.entries = {}
        self.used = set()
        self.bad = []
        if not os.path.exists(os.path.join(ROOT, self.path)):
            return
        for number, line in enumerate(read(self.path).split("\n"), 1):
            words = line.split(None, 2)
            if not words or words[0].startswith("#"):
                continue
            if len(words) < 3:
                self.bad.append(f"{self.path}:{number}: an exception needs a reason")
                continue
            for what in words[1].split(","):
                self.entries[words[0], what] = number

    def allow(self, path, what):
        for key in ((path, what), (path, "*")):
            if key in self.entries:
                self.used.add(key)
                return True
        return False

    def findings(self):
        unused = [f"{self.path}:{number}: nothing in {key[0]} needs the exception for {key[1]}"
                  for key, number in self.entries.items() if key not in self.used]
        return self.bad + unused


def report(findings):
    """Prints the findings and ends the lint."""
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)
