/* SPDX-License-Identifier: MIT */
/* btstore, the command: stands here so that the build is whole; its owner replaces it. */
#include <stdio.h>

int main(void)
{
    puts("btstore " PACKAGE_VERSION);
    return 0;
}
