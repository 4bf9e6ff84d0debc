# SPDX-License-Identifier: MIT
# Fuzz tests: hostile bytes for every parser.
