# SPDX-License-Identifier: MIT
# Process tests: many processes, one store.
