/*-------------------------------------------------------------------------
 *
 * sha256_cpu.h
 *	  SHA-256 by the CPU's own instructions for it.
 *
 * With those, hashing is as fast as in OpenSSL, and a short run need not load
 * OpenSSL for it, which takes longer than hashing a segment.  Without them
 * (sha256_cpu_can() is false) nothing else here may be called.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SHA256_CPU_H
#define PGDR_SHA256_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_BLOCK 64

typedef struct Sha256Cpu
{
	uint32_t state[8];
	uint64_t len; /* bytes so far */
	uint8_t block[SHA256_BLOCK];
} Sha256Cpu;

extern bool sha256_cpu_can(void);

extern void sha256_cpu_begin(Sha256Cpu *h);
extern void sha256_cpu_add(Sha256Cpu *h, const void *data, size_t len);
extern void sha256_cpu_end(Sha256Cpu *h, uint8_t out[32]);

#endif
