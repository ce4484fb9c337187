/*-------------------------------------------------------------------------
 *
 * crc32c.h
 *	  CRC-32C (Castagnoli) as PostgreSQL computes it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CRC32C_H
#define PGDR_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Start with 0 and feed the result back. */
extern uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same without the CPU's instruction: what crc32c() falls back on. */
extern uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
