# SPDX-License-Identifier: MIT
# Design and format, and the examples.
