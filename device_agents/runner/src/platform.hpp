// Which system this is built for: Linux and Android, where cores are chosen and system calls may be refused, or another
// (iOS, macOS), where neither is so. LUTBENCH_PORTABLE builds the other one's on Linux, so that it is tested there.
#pragma once

#if defined(__linux__) && !defined(LUTBENCH_PORTABLE)
#define LUTBENCH_LINUX 1
#else
#define LUTBENCH_LINUX 0
#endif
