/*-------------------------------------------------------------------------
 *
 * digest_aes.c
 *	  AES-256-GCM by OpenSSL.
 *
 *-------------------------------------------------------------------------
 */
#include "base/digest_aes.h"

#include <limits.h>
#include <stdlib.h>

#include "base/digest_openssl.h"
#include "base/mem.h"

struct AesGcm
{
	EVP_CIPHER_CTX *ctx;
};

static bool
broken(Error *err)
{
	return error_set(err, ERR_INTERNAL, "AES-256-GCM of OpenSSL failed");
}

AesGcm *
aes_gcm_new(const uint8_t key[AES_GCM_KEY], bool encrypt, Error *err)
{
	AesGcm *gcm;

	if (!digest_load_openssl(err))
		return NULL;
	gcm = mem_zalloc(sizeof(*gcm));
	gcm->ctx = EVP_CIPHER_CTX_new();
	if (gcm->ctx != NULL && EVP_CipherInit_ex(gcm->ctx, EVP_aes_256_gcm(), NULL,
											  key, NULL, encrypt) == 1)
		return gcm;
	aes_gcm_free(gcm);
	broken(err);
	return NULL;
}

void
aes_gcm_free(AesGcm *gcm)
{
	if (gcm == NULL)
		return;
	EVP_CIPHER_CTX_free(gcm->ctx);
	free(gcm);
}

/* With the key that is set, for this nonce; all of data. */
static bool
run(AesGcm *gcm, const uint8_t *nonce, const uint8_t *data, size_t len,
	uint8_t *out)
{
	int n = 0;

	return len <= INT_MAX &&
		   EVP_CipherInit_ex(gcm->ctx, NULL, NULL, NULL, nonce, -1) == 1 &&
		   (len == 0 ||
			(EVP_CipherUpdate(gcm->ctx, out, &n, data, (int) len) == 1 &&
			 (size_t) n == len));
}

bool
aes_gcm_seal(AesGcm *gcm, const uint8_t nonce[AES_GCM_NONCE],
			 const uint8_t *data, size_t len, uint8_t *out, Error *err)
{
	uint8_t rest[AES_GCM_TAG];
	int n = 0;

	return (run(gcm, nonce, data, len, out) &&
			EVP_CipherFinal_ex(gcm->ctx, rest, &n) == 1 && n == 0 &&
			EVP_CIPHER_CTX_ctrl(gcm->ctx, EVP_CTRL_GCM_GET_TAG, AES_GCM_TAG,
								out + len) == 1) ||
		   broken(err);
}

bool
aes_gcm_open(AesGcm *gcm, const uint8_t nonce[AES_GCM_NONCE],
			 const uint8_t *data, size_t len, uint8_t *out, bool *authentic,
			 Error *err)
{
	uint8_t rest[AES_GCM_TAG];
	size_t plain = len - AES_GCM_TAG;
	int n = 0;

	*authentic = false;
	if (len < AES_GCM_TAG)
		return true;
	if (!run(gcm, nonce, data, plain, out) ||
		EVP_CIPHER_CTX_ctrl(gcm->ctx, EVP_CTRL_GCM_SET_TAG, AES_GCM_TAG,
							(void *) (uintptr_t) (data + plain)) != 1)
		return broken(err);
	*authentic = EVP_CipherFinal_ex(gcm->ctx, rest, &n) == 1;
	return true;
}
