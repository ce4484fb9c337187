/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  Mutations of valid inputs, the same for the same seed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_FUZZ_H
#define PGDR_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* A random number below n (0 if n is 0). */
extern uint64_t fuzz_below(uint64_t n);

/*
 * What takes an input: *wrong is set to what is wrong if it took what it must
 * not (a constant text); false if it refused it.
 */
typedef bool (*FuzzFn)(const char *data, size_t len, const char **wrong);

typedef struct FuzzTarget
{
	const char *name;
	const StrBuf *sample; /* valid */
	bool is_text;         /* mutations that suit text as well */
	unsigned cost;        /* so many times fewer rounds; 0 is 1 */
	FuzzFn fn;
} FuzzTarget;

/*
 * Gives the sample itself, which must be taken, and PGDR_FUZZ_ROUNDS (3000,
 * or 200000 with PGDR_SOAK) mutations of it to the target.  Each round begins
 * with a seed of its own, made from PGDR_SEED (1) and the target's name.
 * True if nothing was wrong; *text, the caller's, says what was done, and in
 * which round it went wrong first.
 */
extern bool fuzz_run(const FuzzTarget *target, char **text);

#endif
