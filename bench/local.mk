# SPDX-License-Identifier: MIT
# Benchmarks: a harness, one file per workload, adapters/ per peer.
