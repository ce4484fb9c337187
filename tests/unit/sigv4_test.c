/*-------------------------------------------------------------------------
 *
 * sigv4_test.c
 *	  Signatures: the worked examples that AWS publishes for S3, and what they
 *	  leave out.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "base/clock.h"
#include "storage/sigv4.h"
#include "tap.h"

/* 2013-05-24T00:00:00Z */
#define EXAMPLE_TIME (INT64_C(1369353600) * USECS_PER_SEC)

/* As AWS prints them: they open nothing. */
static const SigV4Key example_key = {
	.scheme = &sigv4_aws,
	.access_key = "AKIAIOSFODNN7EXAMPLE",
	.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	.region = "us-east-1",
	.service = "s3"};

typedef struct Example
{
	const char *label;
	const char *method;
	const char *url;
	const char *lines;
	const char *payload;
	const char *canonical_hash;
	const char *signed_headers;
	const char *signature;
} Example;

static const Example examples[] = {
	{"GET of a range", "GET", "https://examplebucket.s3.amazonaws.com/test.txt",
	 "Range: bytes=0-9\n", SIGV4_EMPTY_PAYLOAD,
	 "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
	 "host;range;x-amz-content-sha256;x-amz-date",
	 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{"PUT", "PUT", "https://examplebucket.s3.amazonaws.com/test%24file.text",
	 "Date: Fri, 24 May 2013 00:00:00 GMT\n"
	 "x-amz-storage-class: REDUCED_REDUNDANCY\n",
	 "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	 "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
	 "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{"a parameter without value", "GET",
	 "https://examplebucket.s3.amazonaws.com?lifecycle", "",
	 SIGV4_EMPTY_PAYLOAD,
	 "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
	 "host;x-amz-content-sha256;x-amz-date",
	 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{"a listing", "GET",
	 "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", "",
	 SIGV4_EMPTY_PAYLOAD,
	 "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
	 "host;x-amz-content-sha256;x-amz-date",
	 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	{"a listing in the other order", "GET",
	 "https://examplebucket.s3.amazonaws.com:443/?prefix=J&max-keys=2", "",
	 SIGV4_EMPTY_PAYLOAD,
	 "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
	 "host;x-amz-content-sha256;x-amz-date",
	 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static SigV4Request
request_of(const Example *e)
{
	return (SigV4Request){.method = e->method,
						  .url = e->url,
						  .payload = e->payload,
						  .now = EXAMPLE_TIME};
}

static void
test_steps(const Example *e, const SigV4Request *request)
{
	StrBuf lines = STRBUF_INIT;
	char *names;
	char *canonical;
	char *to_sign;

	strbuf_puts(&lines, e->lines);
	strbuf_printf(&lines,
				  "x-amz-date: 20130524T000000Z\nx-amz-content-sha256: %s\n",
				  e->payload);
	canonical = sigv4_canonical_request(request, &lines, &names);
	to_sign = sigv4_string_to_sign(&example_key, EXAMPLE_TIME, canonical);
	ok(strlen(to_sign) > 64 &&
		   strcmp(to_sign + strlen(to_sign) - 64, e->canonical_hash) == 0,
	   "%s: hash of the canonical request", e->label);
	ok(strcmp(names, e->signed_headers) == 0, "%s: signed headers", e->label);
	free(names);
	free(canonical);
	free(to_sign);
	strbuf_free(&lines);
}

static void
test_example(const Example *e)
{
	SigV4Request request = request_of(e);
	StrBuf lines = STRBUF_INIT;
	char *expected = mem_printf(
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/"
		"20130524/us-east-1/s3/aws4_request,SignedHeaders=%s,Signature=%s\n",
		e->signed_headers, e->signature);

	test_steps(e, &request);
	strbuf_puts(&lines, e->lines);
	sigv4_sign(&example_key, &request, &lines);
	ok(strstr(lines.data, expected) != NULL, "%s: the signature", e->label);
	ok(strncmp(lines.data, e->lines, strlen(e->lines)) == 0,
	   "%s: the headers given stay", e->label);
	strbuf_free(&lines);
	free(expected);
}

/* What the canonical form of a request is, line by line. */
static void
is_canonical(const char *url, const char *given, const char *expected,
			 const char *name)
{
	SigV4Request request = {.method = "GET", .url = url, .payload = "hash"};
	StrBuf lines = STRBUF_INIT;
	char *names;
	char *got;

	strbuf_puts(&lines, given);
	got = sigv4_canonical_request(&request, &lines, &names);
	is_str(got, expected, name);
	free(got);
	free(names);
	strbuf_free(&lines);
}

static void
test_canonical(void)
{
	is_canonical("http://h", "", "GET\n/\n\nhost:h\n\nhost\nhash",
				 "no path is the root");
	is_canonical("http://h:8080/a/b%20c", "",
				 "GET\n/a/b%20c\n\nhost:h:8080\n\nhost\nhash",
				 "path and port as they are");
	is_canonical("http://h:80/a", "", "GET\n/a\n\nhost:h\n\nhost\nhash",
				 "the usual port is not in Host");
	is_canonical("https://h:80/a", "", "GET\n/a\n\nhost:h:80\n\nhost\nhash",
				 "but another one is");
	is_canonical("https://[::1]:443/a", "",
				 "GET\n/a\n\nhost:[::1]\n\nhost\nhash", "an IPv6 address");
	is_canonical("http://h/?b=2&a&b=1&a-b=3&ab", "",
				 "GET\n/\na=&a-b=3&ab=&b=1&b=2\nhost:h\n\nhost\nhash",
				 "parameters by name, then by value");
	is_canonical("http://h/?uploads", "",
				 "GET\n/\nuploads=\nhost:h\n\nhost\nhash",
				 "a parameter without value gets its sign");
	is_canonical("http://h/?a=b%3Dc=", "",
				 "GET\n/\na=b%3Dc=\nhost:h\n\nhost\nhash",
				 "only the first sign counts");
	is_canonical("http://h/",
				 "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id: k\n"
				 "x-amz-server-side-encryption:  aws:kms\t \n"
				 "A:  two   words \n",
				 "GET\n/\n\na:two words\nhost:h\n"
				 "x-amz-server-side-encryption:aws:kms\n"
				 "x-amz-server-side-encryption-aws-kms-key-id:k\n\n"
				 "a;host;x-amz-server-side-encryption;"
				 "x-amz-server-side-encryption-aws-kms-key-id\nhash",
				 "headers by name, in lower case, blanks folded");
}

static void
test_token(void)
{
	SigV4Request request = request_of(&examples[0]);
	SigV4Key key = example_key;
	StrBuf lines = STRBUF_INIT;

	key.token = "session/token==";
	sigv4_sign(&key, &request, &lines);
	ok(strstr(lines.data, "x-amz-security-token: session/token==\n") != NULL,
	   "the token of a session is sent");
	ok(strstr(lines.data, "x-amz-date;x-amz-security-token,") != NULL,
	   "and signed");
	ok(strstr(lines.data, "wJalr") == NULL, "the secret key is not");
	strbuf_free(&lines);
}

/* The same with Google's names; its documents give no worked example. */
static void
test_google(void)
{
	SigV4Request request = request_of(&examples[0]);
	SigV4Key key = example_key;
	StrBuf lines = STRBUF_INIT;

	key.scheme = &sigv4_google;
	key.service = "storage";
	key.region = "auto";
	sigv4_sign(&key, &request, &lines);
	ok(strstr(lines.data, "x-goog-date: 20130524T000000Z\n") != NULL &&
		   strstr(lines.data, "x-goog-content-sha256: e3b0c44298") != NULL,
	   "Google: its own headers");
	ok(strstr(lines.data, "x-amz-") == NULL,
	   "Google: and none of Amazon's, which it refuses beside them");
	ok(strstr(lines.data,
			  "GOOG4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
			  "auto/storage/goog4_request,SignedHeaders=") != NULL,
	   "Google: its own scope");
	strbuf_free(&lines);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		test_example(&examples[i]);
	test_canonical();
	test_token();
	test_google();
	return done_testing();
}
