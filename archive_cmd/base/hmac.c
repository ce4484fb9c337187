/*-------------------------------------------------------------------------
 *
 * hmac.c
 *	  HMAC-SHA-256 by libsodium, which is linked: OpenSSL's takes longer to set
 *	  up than the few short texts take that are authenticated in a run.
 *
 *-------------------------------------------------------------------------
 */
#include <sodium.h>

#include "base/digest.h"

void
hmac_sha256(const uint8_t *key, size_t key_len, const void *data, size_t len,
			uint8_t out[SHA256_LEN])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, data, len);
	crypto_auth_hmacsha256_final(&state, out);
	sodium_memzero(&state, sizeof(state));
}
