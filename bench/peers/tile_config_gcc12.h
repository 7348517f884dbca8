/* Included before every file when the peer is compiled by gcc 12 for a CPU with AMX.
 *
 * gcc 12 declares _tile_loadconfig as reading 8 bytes of its argument, so that the optimiser drops
 * the stores to the other 56 and the peer dies of a general protection fault in its first matrix
 * product. This definition names all 64 bytes. */
#if defined(__x86_64__) && defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define _tile_loadconfig(config)                                                                   \
    __asm__ volatile("ldtilecfg\t%X0" ::"m"(*(const char(*)[64])(const void *)(config)))
#endif
