/*-------------------------------------------------------------------------
 *
 * xml.h
 *	  Reading the small XML documents that object stores answer with (expat is
 *	  included by xml.c only).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_XML_H
#define PGDR_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define XML_DEPTH_MAX 16
#define XML_TEXT_MAX 65536

/*
 * Called at the end of each element, with its path from the root
 * ("ListBucketResult/Contents/Key", without prefixes of namespaces) and its
 * own text ("" if it has none; for an element with children, what stands
 * behind the last of them).  False with *err set ends the parsing.
 */
typedef bool (*XmlElementFn)(void *arg, const char *path, const char *text,
							 Error *err);

/*
 * ERR_IO, transient (it may have been cut off), if the document is not
 * well-formed, has a document type, or goes beyond the limits above.
 */
extern bool xml_parse(const char *data, size_t len, XmlElementFn fn, void *arg,
					  Error *err);

/* Text of the first element with that path, caller frees; NULL if none. */
extern char *xml_find(const char *data, size_t len, const char *path);

/* The text with what XML wants escaped; caller frees. */
extern char *xml_escape(const char *text);

#endif
