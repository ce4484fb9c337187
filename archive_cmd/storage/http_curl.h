/*-------------------------------------------------------------------------
 *
 * http_curl.h
 *	  libcurl, loaded when the first store is opened that speaks HTTP.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_HTTP_CURL_H
#define PGDR_HTTP_CURL_H

#include <curl/curl.h>

#include "base/lazy.h"

/* macros around the functions of the same name, which check types */
#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt

#define CURL_FUNCTIONS(X)       \
	X(curl_easy_cleanup)        \
	X(curl_easy_getinfo)        \
	X(curl_easy_init)           \
	X(curl_easy_pause)          \
	X(curl_easy_reset)          \
	X(curl_easy_setopt)         \
	X(curl_easy_strerror)       \
	X(curl_getdate)             \
	X(curl_global_init)         \
	X(curl_multi_add_handle)    \
	X(curl_multi_cleanup)       \
	X(curl_multi_info_read)     \
	X(curl_multi_init)          \
	X(curl_multi_perform)       \
	X(curl_multi_poll)          \
	X(curl_multi_remove_handle) \
	X(curl_multi_setopt)        \
	X(curl_multi_strerror)      \
	X(curl_slist_append)        \
	X(curl_slist_free_all)      \
	X(curl_version_info)

typedef struct CurlLib
{
	CURL_FUNCTIONS(LAZY_MEMBER)
} CurlLib;

extern CurlLib curl_lib;

/* Before anything else is called. */
extern bool http_load_curl(Error *err);

#define curl_easy_cleanup curl_lib.curl_easy_cleanup_
#define curl_easy_getinfo curl_lib.curl_easy_getinfo_
#define curl_easy_init curl_lib.curl_easy_init_
#define curl_easy_pause curl_lib.curl_easy_pause_
#define curl_easy_reset curl_lib.curl_easy_reset_
#define curl_easy_setopt curl_lib.curl_easy_setopt_
#define curl_easy_strerror curl_lib.curl_easy_strerror_
#define curl_getdate curl_lib.curl_getdate_
#define curl_global_init curl_lib.curl_global_init_
#define curl_multi_add_handle curl_lib.curl_multi_add_handle_
#define curl_multi_cleanup curl_lib.curl_multi_cleanup_
#define curl_multi_info_read curl_lib.curl_multi_info_read_
#define curl_multi_init curl_lib.curl_multi_init_
#define curl_multi_perform curl_lib.curl_multi_perform_
#define curl_multi_poll curl_lib.curl_multi_poll_
#define curl_multi_remove_handle curl_lib.curl_multi_remove_handle_
#define curl_multi_setopt curl_lib.curl_multi_setopt_
#define curl_multi_strerror curl_lib.curl_multi_strerror_
#define curl_slist_append curl_lib.curl_slist_append_
#define curl_slist_free_all curl_lib.curl_slist_free_all_
#define curl_version_info curl_lib.curl_version_info_

#endif
