// Compiled into ggml before its own lines. `_tile_loadconfig` of GCC before 12.4, 13.3 and 14 tells the compiler that it
// reads 8 of its 64 bytes (GCC bug 114098), so the stores to the others are dropped, and ggml's first tile instruction is
// illegal.
#pragma once
#if defined(__GNUC__) && !defined(__clang__) && defined(__AMX_TILE__)
#include <immintrin.h>
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg %X0" : : "m"(*(const char(*)[64])(config)))
#endif
