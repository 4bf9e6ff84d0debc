# SPDX-License-Identifier: MIT
# Crash tests: every write boundary, every kill.
