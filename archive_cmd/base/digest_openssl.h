/*-------------------------------------------------------------------------
 *
 * digest_openssl.h
 *	  OpenSSL's libcrypto, loaded when the first digest is computed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_DIGEST_OPENSSL_H
#define PGDR_DIGEST_OPENSSL_H

/*
 * SHA256_*() are deprecated in OpenSSL 3 and stay in its libcrypto.so.3.  They
 * are used because EVP's first call sets up providers, for longer than it takes
 * to hash a segment: at each call of archive_command.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/lazy.h"

#define OPENSSL_FUNCTIONS(X) \
	X(EVP_CIPHER_CTX_ctrl)   \
	X(EVP_CIPHER_CTX_free)   \
	X(EVP_CIPHER_CTX_new)    \
	X(EVP_CipherFinal_ex)    \
	X(EVP_CipherInit_ex)     \
	X(EVP_CipherUpdate)      \
	X(EVP_DecodeBlock)       \
	X(EVP_Digest)            \
	X(EVP_EncodeBlock)       \
	X(EVP_aes_256_gcm)       \
	X(EVP_md5)               \
	X(SHA256_Final)          \
	X(SHA256_Init)           \
	X(SHA256_Update)

typedef struct OpensslLib
{
	OPENSSL_FUNCTIONS(LAZY_MEMBER)
} OpensslLib;

extern OpensslLib openssl_lib;

/* Before anything else is called. */
extern bool digest_load_openssl(Error *err);

#define EVP_CIPHER_CTX_ctrl openssl_lib.EVP_CIPHER_CTX_ctrl_
#define EVP_CIPHER_CTX_free openssl_lib.EVP_CIPHER_CTX_free_
#define EVP_CIPHER_CTX_new openssl_lib.EVP_CIPHER_CTX_new_
#define EVP_CipherFinal_ex openssl_lib.EVP_CipherFinal_ex_
#define EVP_CipherInit_ex openssl_lib.EVP_CipherInit_ex_
#define EVP_CipherUpdate openssl_lib.EVP_CipherUpdate_
#define EVP_DecodeBlock openssl_lib.EVP_DecodeBlock_
#define EVP_Digest openssl_lib.EVP_Digest_
#define EVP_EncodeBlock openssl_lib.EVP_EncodeBlock_
#define EVP_aes_256_gcm openssl_lib.EVP_aes_256_gcm_
#define EVP_md5 openssl_lib.EVP_md5_
#define SHA256_Final openssl_lib.SHA256_Final_
#define SHA256_Init openssl_lib.SHA256_Init_
#define SHA256_Update openssl_lib.SHA256_Update_

#endif
