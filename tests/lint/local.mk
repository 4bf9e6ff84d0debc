# SPDX-License-Identifier: MIT
# Style is a test.  Each lint has a file of exceptions, one a line with its
# reason, and the selftest shows that each can fail.
lint_scripts += \
	tests/lint/selftest \
	tests/lint/layers \
	tests/lint/sizes \
	tests/lint/symbols \
	tests/lint/words
EXTRA_DIST += \
	tests/lint/source.py \
	tests/lint/layers.allow \
	tests/lint/sizes.allow \
	tests/lint/words.allow
