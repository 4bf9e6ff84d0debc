# SPDX-License-Identifier: MIT
# Design and format, and the examples.
dist_doc_DATA += doc/FORMAT.md
