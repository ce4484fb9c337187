/*-------------------------------------------------------------------------
 *
 * digest_openssl.h
 *	  OpenSSL's libcrypto, loaded when the first digest is computed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_DIGEST_OPENSSL_H
#define PGDR_DIGEST_OPENSSL_H

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/lazy.h"

#define OPENSSL_FUNCTIONS(X) \
	X(EVP_DecodeBlock)       \
	X(EVP_Digest)            \
	X(EVP_DigestFinal_ex)    \
	X(EVP_DigestInit_ex)     \
	X(EVP_DigestUpdate)      \
	X(EVP_EncodeBlock)       \
	X(EVP_MD_CTX_free)       \
	X(EVP_MD_CTX_new)        \
	X(EVP_md5)               \
	X(EVP_sha256)            \
	X(HMAC)

typedef struct OpensslLib
{
	OPENSSL_FUNCTIONS(LAZY_MEMBER)
} OpensslLib;

extern OpensslLib openssl_lib;

/* Before anything else is called. */
extern bool digest_load_openssl(Error *err);

#define EVP_DecodeBlock openssl_lib.EVP_DecodeBlock_
#define EVP_Digest openssl_lib.EVP_Digest_
#define EVP_DigestFinal_ex openssl_lib.EVP_DigestFinal_ex_
#define EVP_DigestInit_ex openssl_lib.EVP_DigestInit_ex_
#define EVP_DigestUpdate openssl_lib.EVP_DigestUpdate_
#define EVP_EncodeBlock openssl_lib.EVP_EncodeBlock_
#define EVP_MD_CTX_free openssl_lib.EVP_MD_CTX_free_
#define EVP_MD_CTX_new openssl_lib.EVP_MD_CTX_new_
#define EVP_md5 openssl_lib.EVP_md5_
#define EVP_sha256 openssl_lib.EVP_sha256_
#define HMAC openssl_lib.HMAC_

#endif
