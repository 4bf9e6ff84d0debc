# SPDX-License-Identifier: MIT
# Process tests: many processes, one store.

# A reader written from doc/FORMAT.md alone, for the tests of the format.
EXTRA_DIST += tests/process/format_reader.py
