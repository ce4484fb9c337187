/*-------------------------------------------------------------------------
 *
 * age.c
 *	  Whole small age files in memory.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/age_internal.h"

#include <stdlib.h>

/* Takes over w. */
static bool
encrypt_with(AgeWriter *w, const void *data, size_t len, StrBuf *out,
			 Error *err)
{
	uint8_t *header;
	Stage *sink;
	Stage *age;
	bool good;

	if (!w)
		return false;
	header = mem_alloc(age_writer_header_len(w));
	sink = stage_sink_buffer(out, SIZE_MAX);
	age = stage_age_encrypt(w, sink);
	good = age_writer_header(w, NULL, header, err);
	if (good)
	{
		strbuf_add(out, header, age_writer_header_len(w));
		good = stage_write(age, data, len, err) && stage_finish(age, err);
	}
	stage_free(age);
	stage_free(sink);
	free(header);
	age_writer_free(w);
	return good;
}

bool
age_encrypt_buffer(const AgeRecipients *recipients, const void *data,
				   size_t len, StrBuf *out, Error *err)
{
	return encrypt_with(age_writer_new(recipients, NULL, 0, err), data, len,
						out, err);
}

bool
age_encrypt_buffer_passphrase(const char *passphrase, int log_n,
							  const void *data, size_t len, StrBuf *out,
							  Error *err)
{
	return encrypt_with(age_writer_new_passphrase(passphrase, log_n, err), data,
						len, out, err);
}

bool
age_decrypt_buffer(const AgeIdentities *ids, const void *data, size_t len,
				   StrBuf *out, Error *err)
{
	AgeHeader h;
	AgeFileKey *key;
	Stage *sink;
	Stage *age;
	bool need_more;
	bool good = false;

	if (!age_header_parse(data, len, &h, &need_more, err))
	{
		if (need_more)
			error_set(err, ERR_DAMAGED, "age file ends inside its header");
		return false;
	}
	key = age_unwrap(&h, data, ids, err);
	if (key)
	{
		sink = stage_sink_buffer(out, SIZE_MAX);
		age = stage_age_decrypt(key, sink);
		good = stage_write(age, (const uint8_t *) data + h.len, len - h.len,
						   err) &&
			   stage_finish(age, err);
		stage_free(age);
		stage_free(sink);
		age_file_key_free(key);
	}
	age_header_free(&h);
	return good;
}
