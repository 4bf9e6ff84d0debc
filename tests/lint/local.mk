# SPDX-License-Identifier: MIT
# Style is a test.
