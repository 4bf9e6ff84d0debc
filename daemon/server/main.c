/* SPDX-License-Identifier: MIT */
/* btstored, the daemon: stands here so that the build is whole; its owner replaces it. */
#include <stdio.h>

int main(void)
{
    puts("btstored " PACKAGE_VERSION);
    return 0;
}
