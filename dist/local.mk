# SPDX-License-Identifier: MIT
# What goes with an installation, and what a developer's machine needs.
