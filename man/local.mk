# SPDX-License-Identifier: MIT
# Manual pages.
dist_man_MANS += man/btstore.1 man/btstored.8 man/libbtstore.3
